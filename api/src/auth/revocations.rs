//! What a key has begun and is not done ends when the key does: uploads that arrive, streams of events.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use gristmill_platform::keys;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::KeyHash;

/// How often the keys of what is under way are looked up, all by one statement.
const EVERY: Duration = Duration::from_secs(2);
/// How long to wait for the database: while it is away, what is under way goes on.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The keys of what is under way.
#[derive(Default)]
pub(crate) struct Revocations(Mutex<HashMap<KeyHash, Weak<CancellationToken>>>);

/// Ready when the key is revoked.
pub(crate) struct RevocationSignal {
    told: Pin<Box<WaitForCancellationFutureOwned>>,
    /// While somebody holds it, the key is looked up.
    _watched: Arc<CancellationToken>,
}

impl RevocationSignal {
    fn of(token: Arc<CancellationToken>) -> Self {
        Self { told: Box::pin(CancellationToken::clone(&token).cancelled_owned()), _watched: token }
    }

    /// Of what needs no key.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self::of(Arc::new(CancellationToken::new()))
    }
}

impl Future for RevocationSignal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.told.as_mut().poll(cx)
    }
}

impl Revocations {
    /// Tells when a key is revoked, within seconds.
    pub(crate) fn watch(&self, key: KeyHash) -> RevocationSignal {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = watched.get(&key).and_then(Weak::upgrade).filter(|token| !token.is_cancelled());
        RevocationSignal::of(known.unwrap_or_else(|| {
            let token = Arc::new(CancellationToken::new());
            watched.insert(key, Arc::downgrade(&token));
            token
        }))
    }

    /// Looks up until `stop`.
    pub(crate) async fn run(&self, pool: &PgPool, stop: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let watched = self.watched();
            if watched.is_empty() {
                continue;
            }
            let hashes: Vec<Vec<u8>> = watched.keys().map(|key| key.to_vec()).collect();
            match tokio::time::timeout(DATABASE_TIMEOUT, keys::revoked(pool, &hashes)).await {
                Ok(Ok(revoked)) => {
                    let ended = revoked.iter().filter_map(|hash| watched.get(hash.as_slice()));
                    ended.for_each(|token| token.cancel());
                }
                Ok(Err(error)) => tracing::warn!(%error, "whether keys were revoked cannot be read"),
                Err(_) => tracing::warn!("whether keys were revoked cannot be read in time"),
            }
        }
    }

    fn watched(&self) -> HashMap<KeyHash, Arc<CancellationToken>> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, token| token.strong_count() > 0);
        watched.iter().filter_map(|(key, token)| Some((*key, token.upgrade()?))).collect()
    }
}
