//! Finishing jobs, and with the last member its group.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Enqueued, QueueError, envelope::JobRow};

/// Jobs that are still to be done become completed; groups count them; a sealed group whose last
/// member this was closes and its join is inserted. One statement, so that a completion costs one
/// round trip inside the effect's transaction. `$2` holds ids for joins, made by us (version 7).
const COMPLETE: &str = "
with done as (
    update jobs set state = 'completed', finished_at = now()
    where id = any($1) and state = 'available'
    returning id, group_id
), members as (
    select group_id as id, count(*) as n from done where group_id is not null group by group_id
), counted as (
    update groups g set
        completed = g.completed + m.n,
        state = case when not (g.sealed and g.finished_at is null and g.completed + m.n + g.failed + g.cancelled = g.total) then g.state
                     when g.failed > 0 then 'failed' else 'completed' end,
        finished_at = case when g.sealed and g.completed + m.n + g.failed + g.cancelled = g.total then coalesce(g.finished_at, now())
                           else g.finished_at end
    from members m where g.id = m.id
    returning case g.state
        when 'completed' then g.on_complete
        when 'failed' then case g.policy when 'continue' then coalesce(g.on_failure, g.on_complete) else g.on_failure end
    end as spec
), joined as (
    insert into jobs (id, name, queue, priority, payload, state, max_attempts, client_id, trace_parent, fair_key)
    select ($2::uuid[])[row_number() over ()], spec->>'name', spec->>'queue', (spec->>'priority')::smallint, spec->'payload',
           'available', (spec->>'max_attempts')::int, (spec->>'client_id')::int, spec->>'trace_parent', spec->>'client_id'
    from counted where spec is not null and spec <> 'null'
    returning id, name, queue, priority, payload::text, client_id, trace_parent, fair_key, (extract(epoch from run_at) * 1000)::bigint as due
)
select false as is_join, id, ''::text as name, ''::text as queue, 0::smallint as priority, ''::text as payload,
       null::int as client_id, null::text as trace_parent, null::text as fair_key, 0::bigint as due
from done
union all
select true, id, name, queue, priority, payload, client_id, trace_parent, fair_key, due from joined";

/// The same end for groups that nobody has just finished a member of: on sealing, and on failure.
const CLOSE: &str = "
with ready as (
    select id from groups where id = any($1) and sealed and finished_at is null and completed + failed + cancelled = total
    order by id for no key update
), closed as (
    update groups g set state = case when g.failed > 0 then 'failed' else 'completed' end, finished_at = now()
    from ready where g.id = ready.id
    returning case g.state
        when 'completed' then g.on_complete
        when 'failed' then case g.policy when 'continue' then coalesce(g.on_failure, g.on_complete) else g.on_failure end
    end as spec
)
insert into jobs (id, name, queue, priority, payload, state, max_attempts, client_id, trace_parent, fair_key)
select ($2::uuid[])[row_number() over ()], spec->>'name', spec->>'queue', (spec->>'priority')::smallint, spec->'payload',
       'available', (spec->>'max_attempts')::int, (spec->>'client_id')::int, spec->>'trace_parent', spec->>'client_id'
from closed where spec is not null and spec <> 'null'
returning id, name, queue, priority, payload::text, client_id, trace_parent, fair_key, (extract(epoch from run_at) * 1000)::bigint as due";

#[derive(sqlx::FromRow)]
struct Finished {
    is_join: bool,
    #[sqlx(flatten)]
    row: JobRow,
}

/// Which of the jobs were finished by this call, and the joins that became due. Give the ids sorted:
/// two statements that lock the same rows then do so in the same order.
pub(crate) async fn complete(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(Vec<Uuid>, Enqueued), QueueError> {
    let rows: Vec<Finished> = sqlx::query_as(COMPLETE).bind(ids).bind(fresh_ids(ids.len())).fetch_all(conn).await?;
    let mut done = Vec::with_capacity(rows.len());
    let mut joins = Enqueued::default();
    for finished in rows {
        if finished.is_join {
            joins.ids.push(finished.row.id);
            joins.messages.push(finished.row.into_message());
        } else {
            done.push(finished.row.id);
        }
    }
    Ok((done, joins))
}

pub(crate) async fn close_groups(conn: &mut PgConnection, groups: &[Uuid]) -> Result<Enqueued, QueueError> {
    let rows: Vec<JobRow> = sqlx::query_as(CLOSE).bind(groups).bind(fresh_ids(groups.len())).fetch_all(conn).await?;
    Ok(Enqueued {
        ids: rows.iter().map(|row| row.id).collect(),
        messages: rows.into_iter().map(JobRow::into_message).collect(),
    })
}

fn fresh_ids(n: usize) -> Vec<Uuid> {
    std::iter::repeat_with(Uuid::now_v7).take(n).collect()
}
