//! Beside what a job runs: anything, or nothing when it may be what takes its workers down.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    Broker, Strikes,
    link::Link,
    quiet::{Beside, Quiet, Suspect},
};

#[derive(Clone)]
pub(super) struct Company {
    pub(super) broker: Broker,
    pub(super) link: Link,
    pub(super) quiet: Quiet,
    pub(super) max_deliveries: u32,
    /// The worker takes no more jobs.
    pub(super) stop: CancellationToken,
}

/// Where a job runs, as long as this lives.
pub(super) enum Place {
    Beside { _others: Beside },
    Alone { _suspect: Suspect },
}

/// Not here, not now: back in line, after this long.
pub(super) struct Later(pub(super) Duration);

/// How long a suspect keeps its process from other work, for each of its deliveries so far: what runs there may take
/// long, and another process may be idle.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

impl Company {
    /// A place to run in. A suspect waits until nothing runs beside it, and then that is written down, so that it is blamed
    /// for what happens, and nobody else.
    pub(super) async fn place(
        &self,
        id: &str,
        number: u64,
        strikes: &Strikes,
        lost: &CancellationToken,
    ) -> Result<Place, Later> {
        if !strikes.suspect(self.max_deliveries) {
            return self.quiet.beside().map(|others| Place::Beside { _others: others }).ok_or(Later(Duration::ZERO));
        }
        // Whichever process comes first takes it; this one has its hands full.
        let Some(suspect) = self.quiet.suspect() else { return Err(Later(Duration::ZERO)) };
        let patience = PATIENCE.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)).min(LONGEST);
        let alone = tokio::select! {
            alone = suspect.is_alone(patience) => alone,
            () = self.stop.cancelled() => return Err(Later(Duration::ZERO)),
            () = lost.cancelled() => return Err(Later(Duration::ZERO)),
        };
        if !alone {
            info!(job = id, ?patience, "it is to run alone, and others run for longer: it is tried again later");
            return Err(Later(patience));
        }
        match self.broker.alone(&mut self.link.conn(), id, number).await {
            Ok(true) => {
                info!(job = id, delivery = number, ?strikes, "its workers were lost: it runs alone");
                Ok(Place::Alone { _suspect: suspect })
            }
            Ok(false) => Err(Later(Duration::ZERO)),
            Err(error) => {
                debug!(job = id, %error, "the broker cannot note that it runs alone");
                Err(Later(Duration::from_secs(1)))
            }
        }
    }
}
