//! A database that restarts in the middle of a file must not cost the file.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use gristmill_platform::database;

use super::ReceiveError;

/// How long a file waits for a database that is away. One that crashed was measured to read its WAL again at 10 to 36 MiB/s, on two
/// cores that other work was using, and a private one keeps 8 GiB of it at most (`bench/README.md`).
const PATIENCE: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Does `work` again for as long as it fails because the database is away. `work` is told when it is not the first
/// time: what was done before may have taken effect, and only the answer was lost.
pub(super) async fn patiently<T, F>(mut work: impl FnMut(bool) -> F) -> Result<T, ReceiveError>
where
    F: Future<Output = Result<T, ReceiveError>>,
{
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut again = false;
    loop {
        match work(again).await {
            Err(error) if database::is_outage(&error) && since.elapsed() + pause < PATIENCE => {
                tracing::warn!(error = &error as &dyn Error, "the database is away; a file waits for it");
            }
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        again = true;
    }
}
