//! Keeps leases alive, on an OS thread and a runtime of its own, so that work that hogs the other
//! threads cannot cost a worker its jobs. Also the heartbeat, and the reaper of other workers' leases.

use std::{io, sync::Arc, time::Duration};

use ::redis::{Client, RedisResult, aio::ConnectionManager};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Broker, Buried, Graveyard, Reason, acks::bury, fetch::Claims};

pub(super) struct Keeper {
    pub(super) broker: Broker,
    pub(super) client: Client,
    pub(super) claims: Arc<Claims>,
    pub(super) graveyard: Arc<dyn Graveyard>,
    pub(super) lease: Duration,
    pub(super) max_deliveries: u32,
    /// Random id, a blank, and the label.
    pub(super) member: String,
    pub(super) end: CancellationToken,
}

const HEARTBEAT: Duration = Duration::from_secs(5);

impl Keeper {
    /// Starts the thread; burials run on the caller's runtime.
    pub(super) fn start(self) -> io::Result<()> {
        let burials = Handle::current();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("lease-keeper".into())
            .spawn(move || runtime.block_on(self.run(burials)))
            .map(drop)
    }

    async fn run(self, burials: Handle) {
        let config = super::backend::connection_config();
        let mut conn = match self.client.get_connection_manager_lazy(config) {
            Ok(conn) => conn,
            Err(error) => return warn!(%error, "no leases can be kept"),
        };
        let renewal = self.lease / 3;
        let reaping = (self.lease / 6).min(Duration::from_millis(500));
        let (mut renewed, mut reaped) = (Instant::now(), Instant::now());
        let mut heard: Option<Instant> = None;
        loop {
            tokio::select! {
                () = self.end.cancelled() => break,
                () = tokio::time::sleep(reaping.min(renewal)) => {}
            }
            if renewed.elapsed() + reaping / 2 >= renewal {
                // Before the call: a slow one must not put off the next.
                renewed = Instant::now();
                tell(self.renew(&mut conn).await);
            }
            if reaped.elapsed() >= reaping {
                reaped = Instant::now();
                tell(self.reap(&mut conn, &burials).await);
            }
            if heard.is_none_or(|heard| heard.elapsed() >= HEARTBEAT) {
                heard = Some(Instant::now());
                tell(self.broker.heartbeat(&mut conn, &self.member).await);
            }
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), self.broker.farewell(&mut conn, &self.member)).await;
    }

    async fn renew(&self, conn: &mut ConnectionManager) -> RedisResult<()> {
        let held = self.claims.held();
        if held.is_empty() {
            return Ok(());
        }
        let lost = self.broker.renew(conn, self.lease, &held).await?;
        metrics::counter!("gristmill_lease_renewals_total").increment((held.len() - lost.len()) as u64);
        if !lost.is_empty() {
            warn!(jobs = lost.len(), "leases were lost: this process was slower than they last");
            metrics::counter!("gristmill_leases_lost_total").increment(lost.len() as u64);
            self.claims.lose(&lost);
        }
        Ok(())
    }

    async fn reap(&self, conn: &mut ConnectionManager, burials: &Handle) -> RedisResult<()> {
        loop {
            let (back, worn_out) = self.broker.reap(conn, self.max_deliveries, self.lease).await?;
            let found = back + worn_out.len() as u64;
            if back > 0 {
                warn!(jobs = back, "leases ran out: their jobs are delivered again");
                metrics::counter!("gristmill_leases_expired_total").increment(back);
            }
            for lease in worn_out {
                let reason = Reason::LostWorker { deliveries: lease.number - 1 };
                let job = Buried { id: lease.id, payload: lease.payload, reason };
                burials.spawn(bury(Arc::clone(&self.claims), Arc::clone(&self.graveyard), job, lease.number));
            }
            if found < 100 {
                return Ok(());
            }
        }
    }
}

fn tell(result: RedisResult<()>) {
    if let Err(error) = result {
        debug!(%error, "the broker does not answer the lease keeper");
    }
}
