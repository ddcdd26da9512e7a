use gristmill_queue::JobId;
use sqlx::PgPool;

use super::{Finding, some};
use crate::chaos::workload::{Workload, lock};

pub(super) async fn accepted(pool: &PgPool, workload: &Workload) -> anyhow::Result<Finding> {
    let ids = lock(&workload.jobs).clone();
    let lost: Vec<JobId> = sqlx::query_scalar(
        "select a.id from unnest($1::uuid[]) as a (id) left join gristmill.jobs j on j.id = a.id
         where j.id is null or j.finished_at is null",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    Ok(Finding {
        promise: "every accepted job has finished",
        counted: format!("{} jobs", ids.len()),
        wrong: some(lost, |id| format!("job {id} is lost or not finished")),
    })
}

/// Of what a job does, the ledger and the data say the same: that it is done once, or not at all.
pub(super) async fn once(pool: &PgPool) -> anyhow::Result<Finding> {
    let wrong: Vec<(JobId, Option<String>, Option<String>, i64)> = sqlx::query_as(
        "select coalesce(j.id, e.job), j.name, j.state, count(e.job)
         from (select * from gristmill.jobs where name in ('chaos.effect', 'chaos.join', 'chaos.tick', 'chaos.yesterday', 'chaos.today')) j
         full join chaos_effects e on e.job = j.id
         group by j.id, e.job, j.name, j.state
         having count(e.job) <> case j.state when 'completed' then 1 else 0 end",
    )
    .fetch_all(pool)
    .await?;
    let (effects, runs, again, fenced): (i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from chaos_effects), count(*), count(*) - count(distinct job), count(*) filter (where fenced)
         from chaos_runs",
    )
    .fetch_one(pool)
    .await?;
    Ok(Finding {
        promise: "every completed job has one effect, every other one none, whoever ran it",
        counted: format!(
            "{effects} effects of {runs} runs; {again} were repeated, {fenced} came too late and were fenced off"
        ),
        wrong: some(wrong, |(id, name, state, n)| {
            format!("{} {id} is {} with {n} effects", name.unwrap_or_default(), state.unwrap_or("unknown".into()))
        }),
    })
}

/// Only those are dead that were to die, and only those cancelled whose group or upload was.
pub(super) async fn ended(pool: &PgPool) -> anyhow::Result<Finding> {
    let states: Vec<(String, i64)> =
        sqlx::query_as("select state, count(*) from gristmill.jobs group by state order by state")
            .fetch_all(pool)
            .await?;
    let wrong: Vec<(JobId, String, String, Option<String>)> = sqlx::query_as(
        "select j.id, j.name, j.state, j.last_error from gristmill.jobs j left join gristmill.groups g on g.id = j.group_id
         where case j.state when 'completed' then false
                            when 'dead' then not (j.name = 'chaos.effect' and j.payload->>'end' = 'discard')
                            when 'cancelled' then coalesce(g.state, 'none') not in ('failed', 'cancelled')
                            else true end",
    )
    .fetch_all(pool)
    .await?;
    Ok(Finding {
        promise: "jobs end as they were to end",
        counted: states.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>().join(", "),
        wrong: some(wrong, |(id, name, state, error)| format!("{name} {id} is {state}: {}", error.unwrap_or_default())),
    })
}
