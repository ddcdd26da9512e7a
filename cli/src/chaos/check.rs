//! What must be true when everything is quiet: asked of the ledger, the data and Redis.

mod bills;
mod groups;
mod jobs;
mod leftovers;
mod ticks;
mod uploads;

use super::{cluster::Cluster, workload::Workload};

/// One promise, and what speaks against it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) promise: &'static str,
    /// Of what it was found to be true.
    pub(super) counted: String,
    pub(super) wrong: Vec<String>,
}

pub(super) async fn all(cluster: &Cluster, workload: &Workload) -> anyhow::Result<Vec<Finding>> {
    let pool = &cluster.pool;
    Ok(vec![
        jobs::accepted(pool, workload).await?,
        jobs::once(pool).await?,
        jobs::ended(pool).await?,
        groups::counted(pool).await?,
        groups::joined(pool, workload).await?,
        ticks::once(pool).await?,
        uploads::accepted(workload),
        uploads::conserved(pool, workload).await?,
        uploads::counted(pool).await?,
        bills::runs(pool, workload).await?,
        bills::once(pool).await?,
        bills::mailed(pool).await?,
        bills::paid(pool, workload).await?,
        leftovers::redis(cluster).await?,
        leftovers::invariants(cluster).await?,
        leftovers::panics(cluster)?,
    ])
}

/// The first few of what is wrong: more would not help.
fn some<T>(rows: Vec<T>, say: impl Fn(T) -> String) -> Vec<String> {
    let more = rows.len().saturating_sub(10);
    let said = rows.into_iter().take(10).map(say);
    said.chain((more > 0).then(|| format!("… and {more} more"))).collect()
}
