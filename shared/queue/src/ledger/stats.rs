//! How many jobs are where, read at a cost that does not grow with them.

use crate::Schema;
use sqlx::PgConnection;

use crate::QueueError;

/// Jobs of one queue and state are counted up to here.
const MAX_COUNTED: i64 = 10_000;

/// Jobs of one queue in one state.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Depth {
    /// The queue.
    pub queue: String,
    /// `available`, `scheduled`, `dead` or `parked`.
    pub state: String,
    /// How many; beyond 10,000 about how many, by what Postgres' planner knows of the table, and 10,001 at least.
    pub jobs: i64,
    /// Whether they were all counted; else `jobs` is about right.
    #[sqlx(default)]
    pub exact: bool,
    /// How many seconds the oldest of them is due (not positive when none is yet), or dead, or parked; of dead and parked
    /// ones beyond 10,000 the oldest of those that were due first.
    pub oldest_seconds: f64,
}

/// A look at the index for each queue and state there is, and at most [`MAX_COUNTED`] rows of each.
const DEPTHS: &str = "with recursive kinds as (
        (select state, queue from gristmill.jobs where state in ('available', 'scheduled', 'dead', 'parked') and queue <> ''
         order by state, queue limit 1)
        union all
        select next.state, next.queue from kinds k cross join lateral (
            select j.state, j.queue from gristmill.jobs j
            where j.state in ('available', 'scheduled', 'dead', 'parked') and j.queue <> '' and (j.state, j.queue) > (k.state, k.queue)
            order by j.state, j.queue limit 1) next
    )
    select k.queue, k.state, c.jobs, extract(epoch from now() - c.since)::float8 as oldest_seconds
    from kinds k cross join lateral (
        select count(*) as jobs, min(first.since) as since from (
            select coalesce(j.finished_at, j.run_at) as since from gristmill.jobs j
            where j.state in ('available', 'scheduled', 'dead', 'parked') and j.queue <> ''
              and j.state = k.state and j.queue = k.queue
            order by j.run_at limit $1) first
    ) c
    where c.jobs > 0 order by k.queue, k.state";

pub(crate) async fn depths(schema: Schema, conn: &mut PgConnection) -> Result<Vec<Depth>, QueueError> {
    let mut depths: Vec<Depth> = sqlx::query_as(schema.sql(DEPTHS)).bind(MAX_COUNTED + 1).fetch_all(&mut *conn).await?;
    for depth in &mut depths {
        depth.exact = depth.jobs <= MAX_COUNTED;
        if !depth.exact {
            depth.jobs = estimate(schema, conn, depth).await?.max(MAX_COUNTED + 1);
        }
    }
    Ok(depths)
}

/// What the planner expects to find. 0: it does not say.
async fn estimate(schema: Schema, conn: &mut PgConnection, depth: &Depth) -> Result<i64, QueueError> {
    let plan: sqlx::types::Json<serde_json::Value> = sqlx::query_scalar(
        schema.sql("explain (format json) select from gristmill.jobs where state = $1 and queue = $2"),
    )
    .bind(&depth.state)
    .bind(&depth.queue)
    .fetch_one(conn)
    .await?;
    Ok(plan.0[0]["Plan"]["Plan Rows"].as_f64().map_or(0, |rows| rows as i64))
}
