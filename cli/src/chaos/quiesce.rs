//! Waiting until everything that was asked for is done.

use std::time::{Duration, Instant};

use super::cluster::{Cluster, SCHEDULE};

/// For a job that failed again and again its next attempt is minutes away.
const QUIESCE_TIMEOUT: Duration = Duration::from_secs(240);

#[derive(Debug, sqlx::FromRow)]
struct UnfinishedWork {
    jobs: i64,
    uploads: i64,
    groups: i64,
}

/// How long it took, or what is still to be done when patience ends.
pub(super) async fn quiet(cluster: &Cluster) -> anyhow::Result<Result<Duration, String>> {
    let begun = Instant::now();
    // the ticks of the time before are caught up with, then there are no more
    let ended = super::inject::now();
    loop {
        let until: f64 = sqlx::query_scalar(
            "select extract(epoch from ticked_until)::float8 from gristmill.schedules where name = $1",
        )
        .bind(SCHEDULE)
        .fetch_one(&cluster.pool)
        .await?;
        if until >= ended {
            break;
        }
        if begun.elapsed() > QUIESCE_TIMEOUT {
            return Ok(Err(format!("the schedule is {:.0} s behind", ended - until)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.queue.schedules().pause(SCHEDULE).await?;
    loop {
        let left: UnfinishedWork = sqlx::query_as(
            "select (select count(*) from gristmill.jobs where state in ('available', 'scheduled', 'parked')) as jobs,
                    (select count(*) from uploads where state in ('receiving', 'processing')) as uploads,
                    (select count(*) from gristmill.groups g where finished_at is null
                         and exists (select from gristmill.jobs where group_id = g.id)) as groups",
        )
        .fetch_one(&cluster.pool)
        .await?;
        if left.jobs + left.uploads + left.groups == 0 {
            return Ok(Ok(begun.elapsed()));
        }
        if begun.elapsed() > QUIESCE_TIMEOUT {
            return Ok(Err(format!("after {QUIESCE_TIMEOUT:?} there is still work: {left:?}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
