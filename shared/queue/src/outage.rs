//! Postgres that goes away and comes back.

use std::{
    error::Error,
    time::{Duration, Instant},
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Whether an error, or what caused it, is that Postgres is away: nothing is wrong with what was asked of it.
#[must_use]
pub fn is_outage(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| Error::source(*error));
    causes.filter_map(|cause| cause.downcast_ref()).any(|error: &sqlx::Error| match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // 08: connection, 53: out of disk, memory or connections, 57P: stopping or starting, 25006: a standby
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") || code == "25006"
        }),
        _ => false,
    })
}

/// Does `work` again for as long as it fails because Postgres is away, for at most `limit`. `work` is told when it is
/// not the first time: what was done before may have taken effect, and only the answer was lost.
///
/// # Errors
/// The first error that is no outage, or the last one when the limit is over.
pub async fn through_outage<T, E, F>(limit: Duration, mut work: impl FnMut(bool) -> F) -> Result<T, E>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut again = false;
    loop {
        match work(again).await {
            Err(error) if is_outage(&error) && since.elapsed() + pause < limit => {
                tracing::warn!(error = &error as &dyn Error, "Postgres is away; trying again");
            }
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        again = true;
    }
}
