use gristmill_queue::GroupId;
use sqlx::PgPool;

use super::{Finding, some};
use crate::chaos::workload::{Workload, lock};

/// Each group's counters are what its members say. One whose first transaction failed has no members and no row.
pub(super) async fn counted(pool: &PgPool) -> anyhow::Result<Finding> {
    let states: Vec<(String, i64, i64)> = sqlx::query_as(
        "select state, count(*), sum(total)::bigint from gristmill.groups group by state order by state",
    )
    .fetch_all(pool)
    .await?;
    let wrong: Vec<(GroupId, String)> = sqlx::query_as(
        "select g.id, g.state from gristmill.groups g left join gristmill.jobs j on j.group_id = g.id
         group by g.id
         having (g.total, g.completed, g.failed, g.cancelled) is distinct from
                (count(j.id), count(*) filter (where j.state = 'completed'), count(*) filter (where j.state = 'dead'),
                 count(*) filter (where j.state = 'cancelled'))
             or g.finished_at is null or not g.sealed or g.state not in ('completed', 'failed', 'cancelled')
             or (g.state = 'completed' and g.failed > 0)",
    )
    .fetch_all(pool)
    .await?;
    let counted = states.iter().map(|(state, n, members)| format!("{n} {state} with {members} members"));
    Ok(Finding {
        promise: "every group is closed and counts its members right",
        counted: counted.collect::<Vec<_>>().join(", "),
        wrong: some(wrong, |(id, state)| format!("group {id} ({state}) is not closed, or counts wrongly")),
    })
}

/// A completed or failed group has one join of its kind, with one effect; a cancelled one has none.
pub(super) async fn joined(pool: &PgPool, workload: &Workload) -> anyhow::Result<Finding> {
    let (numbers, ids): (Vec<i64>, Vec<GroupId>) =
        lock(&workload.groups).iter().map(|(number, id)| (*number, *id)).unzip();
    let wrong: Vec<(i64, String, i64, i64)> = sqlx::query_as(
        "with joins as (
            select (j.payload->>'group')::bigint as number, (j.payload->>'failed')::boolean as failed, j.id, e.job
            from gristmill.jobs j left join chaos_effects e on e.job = j.id where j.name = 'chaos.join'
         )
         select a.number, g.state, count(distinct i.id), count(i.job)
         from unnest($1::bigint[], $2::uuid[]) as a (number, id) join gristmill.groups g on g.id = a.id
         left join joins i on i.number = a.number
         group by a.number, g.state
         having array[count(i.id), count(i.job)] <> array_fill(case g.state when 'cancelled' then 0 else 1 end::bigint, array[2])
             or bool_or(i.failed) <> (g.state = 'failed')",
    )
    .bind(&numbers)
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    let joins: i64 =
        sqlx::query_scalar("select count(*) from gristmill.jobs where name = 'chaos.join'").fetch_one(pool).await?;
    Ok(Finding {
        promise: "every join fired once",
        counted: format!("{joins} joins of {} groups; the others were cancelled", numbers.len()),
        wrong: some(wrong, |(number, state, joins, effects)| {
            format!("group number {number} is {state} with {joins} joins that had {effects} effects")
        }),
    })
}
