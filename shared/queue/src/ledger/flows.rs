//! Stages that wait for others: written down, let go, stopped, held again. Whoever changes them holds the row of the outermost
//! group around them, as for every change of more than one level.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{enqueue_many, group_completion::Counts, groups, stop};
use crate::{EnqueuedFlow, Flow, FlowError, GroupId, GroupPolicy, JobId, NewGroup, NewJob, Queue, QueueError, Schema};

/// When members of a stage that waits are due: then, and by as much later as they are to be delayed.
macro_rules! held_until {
    () => {
        "timestamptz '9000-01-01 00:00:00+00'"
    };
}
pub(crate) use held_until;

/// The first second of the year 9000.
pub(crate) const HELD_UNTIL: i64 = 221_845_392_000;

const HOLD: &str = concat!(
    "update gristmill.jobs set state = 'scheduled', run_at = case when due_at is null then ",
    held_until!(),
    " + greatest(run_at - now(), interval '0') else run_at end, due_at = case when due_at is not null then ",
    held_until!(),
    " + greatest(due_at - now(), interval '0') end, expires_at = ",
    held_until!(),
    " + (expires_at - now()) where group_id = any($1) and state in ('available', 'scheduled')"
);

/// Writes a flow down; `after` has for each stage the places of those before it.
pub(crate) async fn insert(
    queue: &Queue,
    conn: &mut PgConnection,
    flow: &Flow,
    after: &[Vec<usize>],
) -> Result<EnqueuedFlow, FlowError> {
    let (schema, intake) = (queue.schema(), queue.config().intake());
    let Flow { name, client_id, parent, on_complete, on_failure, stages } = flow;
    let new = NewGroup {
        on_complete: on_complete.clone(),
        on_failure: on_failure.clone(),
        parent: *parent,
        name: name.clone(),
        client_id: *client_id,
        ..NewGroup::new(GroupPolicy::Continue)
    };
    let id = groups::create(schema, conn, &new, intake).await?;
    let ids: Vec<GroupId> = stages.iter().map(|_| GroupId::from(Uuid::now_v7())).collect();
    sqlx::query(schema.sql(
        "insert into gristmill.groups (id, policy, parent_id, root_id, name, client_id)
         select s.id, s.policy, f.id, coalesce(f.root_id, f.id), s.name, f.client_id
         from unnest($2::uuid[], $3::text[], $4::text[]) as s (id, policy, name) join gristmill.groups f on f.id = $1",
    ))
    .bind(id)
    .bind(&ids)
    .bind(stages.iter().map(|stage| <&str>::from(stage.policy)).collect::<Vec<_>>())
    .bind(stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;

    let (mut jobs, mut places): (Vec<NewJob>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    for (n, stage) in stages.iter().enumerate() {
        for (at, job) in stage.jobs.iter().enumerate() {
            let client_id = job.client_id.or(*client_id);
            jobs.push(NewJob { group: Some(ids[n]), client_id, ..job.clone() });
            places.push((n, at));
        }
    }
    let many = enqueue_many::insert(queue, conn, &jobs).await.map_err(|error| match error.job {
        Some(n) => {
            let (stage, job) = places[n];
            FlowError::Job { stage: stages[stage].name.clone(), job, error: error.error }
        }
        None => error.error.into(),
    })?;

    let waits: Vec<bool> = after.iter().map(|after| !after.is_empty()).collect();
    let held: Vec<GroupId> = ids.iter().zip(&waits).filter(|(_, waits)| **waits).map(|(id, _)| *id).collect();
    sqlx::query(schema.sql(HOLD)).bind(&held).execute(&mut *conn).await?;
    sqlx::query(schema.sql(
        "insert into gristmill.flow_stages (group_id, flow_id, name, after, after_failure, held)
         select s.id, $1, s.name, array(select jsonb_array_elements_text(s.after::jsonb)::uuid), s.after_failure, s.held
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::boolean[]) as s (id, name, after, after_failure, held)",
    ))
    .bind(id)
    .bind(&ids)
    .bind(stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>())
    .bind(after.iter().map(|after| json_of(after.iter().map(|n| ids[*n]))).collect::<Vec<_>>())
    .bind(stages.iter().map(|stage| <&str>::from(stage.after_failure)).collect::<Vec<_>>())
    .bind(&waits)
    .execute(&mut *conn)
    .await?;
    sqlx::query(schema.sql("update gristmill.groups set sealed = true where id = any($1)"))
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    sqlx::query(schema.sql("update gristmill.groups set sealed = true, is_flow = true, total = $2 where id = $1"))
        .bind(id)
        .bind(i64::try_from(ids.len()).unwrap_or(i64::MAX))
        .execute(&mut *conn)
        .await?;

    let waiting: HashSet<JobId> =
        many.ids().iter().zip(&places).filter(|(_, (stage, _))| waits[*stage]).map(|(id, _)| *id).collect();
    let mut enqueued = many.into_enqueued();
    enqueued.messages.retain(|message| !waiting.contains(&message.id));
    Ok(EnqueuedFlow { id, stages: ids, jobs: enqueued.ids().to_vec(), enqueued })
}

/// `["…", "…"]`.
fn json_of(ids: impl Iterator<Item = GroupId>) -> String {
    serde_json::Value::from(ids.map(|id| id.to_string()).collect::<Vec<_>>()).to_string()
}

/// What a stage before has come to, for one that waits.
#[derive(sqlx::FromRow)]
struct Due {
    group_id: GroupId,
    flow_id: GroupId,
    stops: bool,
}

/// Of these flows, whose outermost groups are locked: lets go what waits for nothing any more, and cancels what waits for what has
/// failed. Cancelled stages are counted in their flow.
pub(super) async fn advance(schema: Schema, conn: &mut PgConnection, flows: &[GroupId]) -> Result<(), QueueError> {
    let mut released = false;
    loop {
        let due: Vec<Due> =
            sqlx::query_as(schema.sql(include_str!("flows/due.sql"))).bind(flows).fetch_all(&mut *conn).await?;
        if due.is_empty() {
            break;
        }
        let of = |stops: bool| due.iter().filter(|due| due.stops == stops).map(|due| due.group_id).collect::<Vec<_>>();
        let (stopped, free) = (of(true), of(false));
        if !stopped.is_empty() {
            stop(schema, conn, &stopped, &due).await?;
        }
        if !free.is_empty() {
            released = true;
            sqlx::query(schema.sql(
                "with free as (update gristmill.flow_stages set held = false where group_id = any($1) returning group_id)
                 insert into gristmill.stages_to_release select group_id from free on conflict do nothing",
            ))
            .bind(&free)
            .execute(&mut *conn)
            .await?;
        }
    }
    if released {
        sqlx::query("select pg_notify($1, 'groups')").bind(schema.name()).execute(conn).await?;
    }
    Ok(())
}

/// Cancels stages that wait.
async fn stop(schema: Schema, conn: &mut PgConnection, stages: &[GroupId], due: &[Due]) -> Result<(), QueueError> {
    sqlx::query(schema.sql("update gristmill.flow_stages set held = false, stopped = true where group_id = any($1)"))
        .bind(stages)
        .execute(&mut *conn)
        .await?;
    let ended: Vec<GroupId> = sqlx::query_scalar(schema.sql(
        "update gristmill.groups set state = 'cancelled', finished_at = now(), completions = completions + 1
         where id = any($1) and finished_at is null returning id",
    ))
    .bind(stages)
    .fetch_all(&mut *conn)
    .await?;
    stop::members(schema, conn, &ended).await?;
    let mut counts = Counts::default();
    for due in due.iter().filter(|due| ended.contains(&due.group_id)) {
        counts.add(due.flow_id, "cancelled", 1);
    }
    Ok(counts.apply(schema, conn).await?)
}

/// After a failed stage was opened again: what was stopped because of it waits again. Returns each such stage's flow, which counts it
/// as cancelled still.
pub(super) async fn hold_again(
    schema: Schema,
    conn: &mut PgConnection,
    opened: &[GroupId],
    flows: &[GroupId],
) -> Result<Vec<GroupId>, sqlx::Error> {
    sqlx::query_scalar(schema.sql(include_str!("flows/hold_again.sql"))).bind(opened).bind(flows).fetch_all(conn).await
}

/// Of these jobs, which were just made available: those of stages that wait are to wait with them. Returns these.
pub(super) async fn hold_members(
    schema: Schema,
    conn: &mut PgConnection,
    jobs: &[JobId],
) -> Result<Vec<JobId>, sqlx::Error> {
    sqlx::query_scalar(schema.sql(concat!(
        "update gristmill.jobs j set state = 'scheduled', run_at = case when j.due_at is null then ",
        held_until!(),
        " else j.run_at end, due_at = case when j.due_at is not null then ",
        held_until!(),
        " end from gristmill.flow_stages s where s.group_id = j.group_id and s.held and j.id = any($1) returning j.id"
    )))
    .bind(jobs)
    .fetch_all(conn)
    .await
}

/// Lets the members of some stages go that wait no more. Holds no group: who cancels a member holds it, and then asks for its
/// group. Returns how many stages there were.
pub(crate) async fn release(schema: Schema, conn: &mut PgConnection, limit: i64) -> Result<usize, QueueError> {
    let stages: Vec<GroupId> = sqlx::query_scalar(schema.sql(
        "delete from gristmill.stages_to_release where group_id in (
             select group_id from gristmill.stages_to_release order by group_id limit $1 for update skip locked)
         returning group_id",
    ))
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    if stages.is_empty() {
        return Ok(0);
    }
    sqlx::query(schema.sql(concat!(
        "update gristmill.jobs set run_at = case when due_at is null then now() + (run_at - ",
        held_until!(),
        ") else run_at end, due_at = now() + (due_at - ",
        held_until!(),
        "), expires_at = now() + (expires_at - ",
        held_until!(),
        ") where group_id = any($1) and state = 'scheduled' and coalesce(due_at, run_at) >= ",
        held_until!()
    )))
    .bind(&stages)
    .execute(conn)
    .await?;
    Ok(stages.len())
}

/// Flows in which something waits for nothing any more: an older version, which knows no flows, has ended what was before it.
pub(crate) async fn overdue(schema: Schema, conn: &mut PgConnection, limit: i64) -> Result<Vec<GroupId>, sqlx::Error> {
    sqlx::query_scalar(schema.sql(
        "select distinct s.flow_id from gristmill.flow_stages s join gristmill.groups f on f.id = s.flow_id
         where s.held and f.finished_at is null and not exists (
             select from gristmill.groups p left join gristmill.flow_stages w on w.group_id = p.id
             where p.id = any(s.after) and (p.finished_at is null or w.held))
         limit $1",
    ))
    .bind(limit)
    .fetch_all(conn)
    .await
}
