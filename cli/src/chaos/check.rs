//! What must be true when everything is quiet: asked of the ledger, the data and Redis.

mod bills;
mod groups;
mod jobs;
mod leftovers;
mod ticks;
mod uploads;

use super::{load::Asked, stage::Stage};

/// One promise, and what speaks against it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) promise: &'static str,
    /// Of what it was found to be true.
    pub(super) counted: String,
    pub(super) wrong: Vec<String>,
}

pub(super) async fn all(stage: &Stage, asked: &Asked) -> anyhow::Result<Vec<Finding>> {
    let pool = &stage.pool;
    Ok(vec![
        jobs::accepted(pool, asked).await?,
        jobs::once(pool).await?,
        jobs::ended(pool).await?,
        groups::counted(pool).await?,
        groups::joined(pool, asked).await?,
        ticks::once(pool).await?,
        uploads::accepted(asked),
        uploads::conserved(pool, asked).await?,
        uploads::counted(pool).await?,
        bills::runs(pool, asked).await?,
        bills::once(pool).await?,
        bills::mailed(pool).await?,
        bills::paid(pool, asked).await?,
        leftovers::redis(stage).await?,
        leftovers::invariants(stage).await?,
        leftovers::panics(stage)?,
    ])
}

/// The first few of what is wrong: more would not help.
fn some<T>(rows: Vec<T>, say: impl Fn(T) -> String) -> Vec<String> {
    let more = rows.len().saturating_sub(10);
    let said = rows.into_iter().take(10).map(say);
    said.chain((more > 0).then(|| format!("… and {more} more"))).collect()
}
