//! Limits by the name of a job: who may start, and who is called when there is room. What both do is said in
//! `migrations/0051_limit_jobs_by_name.sql`.

use std::{collections::HashSet, time::Duration};

use sqlx::PgPool;

use crate::{JobId, Schema};

/// Lets those of these jobs start that there is room for, and returns them. The others wait in the ledger until they are called:
/// the broker is to forget them.
pub(crate) async fn admit(schema: Schema, pool: &PgPool, ids: &[JobId]) -> Result<HashSet<JobId>, sqlx::Error> {
    let admitted: Vec<JobId> =
        sqlx::query_scalar(schema.sql("select * from gristmill.admit($1)")).bind(ids).fetch_all(pool).await?;
    Ok(admitted.into_iter().collect())
}

/// How it stands at the gates: see [`call`].
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Gates {
    next_in: Option<f64>,
    turns: bool,
}

/// Calls those that there is room for: they are due then. Returns how long until the next one may be called by a rate (none: nobody
/// waits for that), and whether the order of jobs is to be looked at: see [`super::order`].
pub(crate) async fn call(schema: Schema, pool: &PgPool) -> Result<(Option<Duration>, bool), sqlx::Error> {
    let gates: Gates = sqlx::query_as(
        schema.sql("select gristmill.call_to_slots() as next_in, exists (select from gristmill.order_turns) as turns"),
    )
    .fetch_one(pool)
    .await?;
    let next_in = gates.next_in.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    Ok((next_in, gates.turns))
}
