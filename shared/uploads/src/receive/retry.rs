//! A database that restarts in the middle of a file must not cost the file.

use std::time::Duration;

use gristmill_queue::through_outage;

use super::ReceiveError;

/// How long a file waits for a database that is away. One that crashed was measured to read its WAL again at 10 to 36 MiB/s, on two
/// cores that other work was using, and a private one keeps 8 GiB of it at most (`bench/README.md`).
const MAX_OUTAGE: Duration = Duration::from_secs(600);

/// Does `work` again for as long as it fails because the database is away. `work` is told when it is not the first
/// time: what was done before may have taken effect, and only the answer was lost.
pub(super) async fn retry_through_outage<T, F>(work: impl FnMut(bool) -> F) -> Result<T, ReceiveError>
where
    F: Future<Output = Result<T, ReceiveError>>,
{
    through_outage(MAX_OUTAGE, work).await
}
