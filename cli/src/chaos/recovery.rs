//! How long after a fault things went on.

use sqlx::PgPool;

use super::{
    inject::InjectedFault,
    plan::Fault,
    workload::{Workload, lock},
};

/// What became of a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recovery {
    pub(super) fault: Fault,
    /// Seconds since 1970.
    at: f64,
    /// Seconds until what it hit went on; none: it never did.
    pub(super) took: Option<f64>,
}

impl Recovery {
    /// Whether no other fault came, or was still felt, before this one was over.
    pub(super) fn alone(&self, all: &[Self]) -> bool {
        let end = |recovery: &Self| recovery.at + recovery.took.unwrap_or(f64::INFINITY);
        all.iter().filter(|other| other.at <= end(self) && end(other) >= self.at).count() == 1
    }
}

/// Seconds from each fault until what it hit goes on: for a worker until each job that it ran is run or finished
/// elsewhere; for a scheduler until the next tick, for an API until the next `202`, and for everything else until
/// the first job that was enqueued afterwards is done.
pub(super) async fn recoveries(
    pool: &PgPool,
    workload: &Workload,
    struck: &[InjectedFault],
) -> anyhow::Result<Vec<Recovery>> {
    let mut recoveries = Vec::new();
    for InjectedFault { fault, at, whom } in struck {
        let took = match fault {
            Fault::KillWorker | Fault::KillWorkerAgain | Fault::StopWorker => {
                match taken_over(pool, whom.as_deref(), *at).await? {
                    None => next(pool, "chaos.effect", *at).await?,
                    took => took,
                }
            }
            Fault::KillScheduler | Fault::StopScheduler => next(pool, "chaos.tick", *at).await?,
            Fault::KillApi | Fault::StopApi => {
                let uploads = lock(&workload.uploads);
                let later = uploads.values().filter_map(|sent| sent.accepted).map(|(_, accepted)| accepted - at);
                later.filter(|took| *took > 0.0).min_by(f64::total_cmp)
            }
            _ => next(pool, "chaos.effect", *at).await?,
        };
        recoveries.push(Recovery { fault: *fault, at: *at, took });
    }
    Ok(recoveries)
}

async fn taken_over(pool: &PgPool, worker: Option<&str>, at: f64) -> anyhow::Result<Option<f64>> {
    Ok(sqlx::query_scalar(
        "with held as (
            select r.job, j.finished_at from chaos_runs r join gristmill.jobs j on j.id = r.job
            where r.worker = $1 and r.at <= to_timestamp($2) and j.finished_at > to_timestamp($2)
              and j.payload->>'end' = 'done'
         )
         select max(extract(epoch from least(finished_at, (
                    select min(r.at) from chaos_runs r where r.job = held.job and r.worker <> $1 and r.at > to_timestamp($2)
                ))) - $2)::float8
         from held",
    )
    .bind(worker)
    .bind(at)
    .fetch_one(pool)
    .await?)
}

async fn next(pool: &PgPool, job: &str, at: f64) -> anyhow::Result<Option<f64>> {
    Ok(sqlx::query_scalar(
        "select (extract(epoch from min(e.at)) - $2)::float8 from gristmill.jobs j join chaos_effects e on e.job = j.id
         where j.name = $1 and j.created_at > to_timestamp($2)",
    )
    .bind(job)
    .bind(at)
    .fetch_one(pool)
    .await?)
}
