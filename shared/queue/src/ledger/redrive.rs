//! Jobs that ended badly, and what somebody decides about them.

use std::collections::{BTreeMap, HashSet};

use sqlx::PgConnection;

use super::{
    flows,
    group_completion::{self, Counts},
};
use crate::{
    Enqueued, GroupId, JobId, QueueError, Schema,
    envelope::{JobRow, enqueued},
};

/// A job that may run again. Its unique key may belong to another one by now: then it stays.
#[derive(sqlx::FromRow)]
struct Candidate {
    id: JobId,
    state: String,
    group_id: Option<GroupId>,
}

const CANDIDATES: &str = "
select id, state, group_id from gristmill.jobs j
where id = any($1) and state in ('dead', 'cancelled', 'parked')
  and not exists (select from gristmill.jobs o where o.unique_key = j.unique_key and o.state in ('available', 'scheduled'))
  and not exists (select from gristmill.jobs o where o.unique_key = j.unique_key and o.id = any($1) and o.id < j.id
                  and o.state in ('dead', 'cancelled', 'parked'))
order by id for update of j";

/// One of an order key goes behind those that wait: what came after it may have run meanwhile.
const REVIVE: &str = "
with revived as (
    update gristmill.jobs set state = case when order_key is null then 'available' else 'scheduled' end,
        rounds = rounds + attempt + 1, attempt = 0,
        run_at = case when order_key is null then now() else timestamptz '9999-12-31 00:00:00+00' end,
        due_at = case when order_key is not null then now() end,
        gate = case when order_key is not null then 'turn' end,
        order_seq = case when order_key is not null then nextval('gristmill.job_order') end,
        finished_at = null, started_at = null, worker = null, result = null, cancel_requested_at = null, parked_by = null
    where id = any($1)
    returning *
), turns as (
    insert into gristmill.order_turns (key) select distinct order_key from revived where order_key is not null
)
select id, name, queue, priority, payload::text, version, client_id, trace_parent, fair_key,
       (extract(epoch from run_at) * 1000)::bigint as due, state = 'available' as ready
from revived order by id";

#[derive(sqlx::FromRow)]
struct Revived {
    #[sqlx(flatten)]
    job: JobRow,
    ready: bool,
}

/// Makes dead, cancelled and parked jobs available again, with all their attempts. Finished groups of theirs are
/// open again; where one of them has failed fast, what its failure stopped comes back with it. Members of a group that is
/// still stopping are left alone.
pub(crate) async fn redrive(schema: Schema, conn: &mut PgConnection, ids: &[JobId]) -> Result<Enqueued, QueueError> {
    let mut ids = ids.to_vec();
    ids.extend(stopped_by(schema, conn, &ids).await?);
    let candidates: Vec<Candidate> = sqlx::query_as(schema.sql(CANDIDATES)).bind(&ids).fetch_all(&mut *conn).await?;
    let groups: Vec<GroupId> = candidates.iter().filter_map(|job| job.group_id).collect();
    let stopping = if groups.is_empty() { HashSet::new() } else { lock_around(schema, conn, &groups).await? };
    let revived: Vec<Candidate> =
        candidates.into_iter().filter(|job| job.group_id.is_none_or(|group| !stopping.contains(&group))).collect();

    let mut ended = Counts::default();
    for job in &revived {
        if let Some(group) = job.group_id {
            ended.add(group, &job.state, -1);
        }
    }
    reopen(schema, conn, ended).await?;
    let ids: Vec<JobId> = revived.iter().map(|job| job.id).collect();
    let rows: Vec<Revived> = sqlx::query_as(schema.sql(REVIVE)).bind(&ids).fetch_all(&mut *conn).await?;
    let revived = rows.iter().map(|revived| revived.job.id).collect();
    let ready = rows.into_iter().filter(|revived| revived.ready).map(|revived| revived.job).collect();
    let mut enqueued = Enqueued { ids: revived, ..enqueued(ready) };
    if !groups.is_empty() {
        let held = flows::hold_members(schema, conn, &ids).await?;
        enqueued.messages.retain(|message| !held.contains(&message.id));
    }
    Ok(enqueued)
}

/// The members that were stopped because of these failures: without them a group that failed fast would end well although
/// they never ran. Where the failure has been given up since, any other member of the group stands for it. A group that is
/// still stopping is asked too: it may have stopped by the time that its row is locked.
async fn stopped_by(schema: Schema, conn: &mut PgConnection, ids: &[JobId]) -> Result<Vec<JobId>, sqlx::Error> {
    sqlx::query_scalar(schema.sql(
        "with recursive failed as (
            select g.id, g.parent_id, g.policy from gristmill.jobs j join gristmill.groups g on g.id = j.group_id
            where j.id = any($1) and g.state in ('failed', 'failing')
              and (j.state = 'dead' or (j.state = 'cancelled' and g.failed = 0))
            union
            select g.id, g.parent_id, g.policy from failed f join gristmill.groups g on g.id = f.parent_id
            where g.state in ('failed', 'failing')
         ), stopped as (
            select id from failed where policy = 'fail_fast'
            union
            select g.id from stopped s join gristmill.groups g on g.parent_id = s.id where g.state = 'cancelled'
         )
         select j.id from stopped s join gristmill.jobs j on j.group_id = s.id
         where j.state = 'cancelled' and j.cancel_requested_at is null and not j.id = any($1)",
    ))
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// Locks these groups and all around them. Returns those that are stopping, or are inside one that is.
async fn lock_around(
    schema: Schema,
    conn: &mut PgConnection,
    groups: &[GroupId],
) -> Result<HashSet<GroupId>, sqlx::Error> {
    group_completion::lock(schema, conn, groups).await?;
    let stopping: Vec<GroupId> = sqlx::query_scalar(schema.sql(
        "with recursive around as (
            select id, id as member, parent_id, state from gristmill.groups where id = any($1)
            union all
            select g.id, a.member, g.parent_id, g.state from around a join gristmill.groups g on g.id = a.parent_id
         )
         select distinct member from around where state = 'failing'",
    ))
    .bind(groups)
    .fetch_all(conn)
    .await?;
    Ok(stopping.into_iter().collect())
}

/// Takes members that ended out of the count. A finished group is open again, and so it has not ended for its parent either.
async fn reopen(schema: Schema, conn: &mut PgConnection, mut ended: Counts) -> Result<(), sqlx::Error> {
    while !ended.is_empty() {
        let groups = ended.groups();
        ended.apply(schema, conn).await?;
        let reopened: Vec<(GroupId, Option<GroupId>, String)> = sqlx::query_as(schema.sql("with finished as (
                select id, state from gristmill.groups where id = any($1) and finished_at is not null and completed + failed + cancelled < total
             )
             update gristmill.groups g set state = 'open', finished_at = null from finished f where g.id = f.id
             returning g.id, g.parent_id, f.state"))
        .bind(&groups)
        .fetch_all(&mut *conn)
        .await?;
        ended = Counts::default();
        let (mut opened, mut parents) = (Vec::new(), Vec::new());
        for (id, parent, state) in reopened {
            if let Some(parent) = parent {
                ended.add(parent, &state, -1);
                opened.push(id);
                parents.push(parent);
            }
        }
        // What was stopped because of a stage that is open again waits for it again.
        if !opened.is_empty() {
            for flow in flows::hold_again(schema, conn, &opened, &parents).await? {
                ended.add(flow, "cancelled", -1);
            }
        }
    }
    Ok(())
}

/// Dead and parked jobs are given up for good: cancelled, their error kept. Their groups count them as that.
pub(crate) async fn discard(schema: Schema, conn: &mut PgConnection, ids: &[JobId]) -> Result<u64, QueueError> {
    let rows: Vec<(String, Option<GroupId>)> = sqlx::query_as(schema.sql("with held as (
            select id, state from gristmill.jobs where id = any($1) and state in ('dead', 'parked') order by id for update
         )
         update gristmill.jobs j set state = 'cancelled', finished_at = now(), parked_by = null,
            cancel_requested_at = now(), last_error = 'given up' || coalesce(': ' || j.last_error, '')
         from held where j.id = held.id returning held.state, j.group_id"))
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut groups: BTreeMap<GroupId, (i64, i64)> = BTreeMap::new();
    for (state, group) in &rows {
        if let Some(group) = group {
            let (dead, parked) = groups.entry(*group).or_default();
            *(if state == "dead" { dead } else { parked }) += 1;
        }
    }
    if !groups.is_empty() {
        group_completion::lock(schema, conn, &groups.keys().copied().collect::<Vec<_>>()).await?;
        let (mut failures, mut ended) = (Counts::default(), Counts::default());
        for (group, (dead, parked)) in groups {
            failures.add(group, "dead", -dead);
            failures.add(group, "cancelled", dead);
            if parked > 0 {
                ended.add(group, "cancelled", parked);
            }
        }
        failures.apply(schema, conn).await?;
        // A join that this makes due is pushed by the sweep.
        let _swept = group_completion::count(schema, conn, ended).await?;
    }
    Ok(rows.len() as u64)
}

/// The failed members of a group and of those inside it. Where a failure has stopped a group, the members
/// that it stopped belong to them: without these the group could not become complete.
pub(crate) async fn failed_members(
    schema: Schema,
    conn: &mut PgConnection,
    group: GroupId,
) -> Result<Vec<JobId>, sqlx::Error> {
    sqlx::query_scalar(schema.sql(
        "with recursive inside as (
            select id, policy = 'fail_fast' and state = 'failed' as stopped from gristmill.groups where id = $1
            union all
            select g.id, (g.policy = 'fail_fast' and g.state = 'failed') or (i.stopped and g.state = 'cancelled')
            from inside i join gristmill.groups g on g.parent_id = i.id
         )
         select j.id from inside i join gristmill.jobs j on j.group_id = i.id
         where j.state = 'dead' or (i.stopped and j.state = 'cancelled' and j.cancel_requested_at is null)",
    ))
    .bind(group)
    .fetch_all(conn)
    .await
}
