//! The Redis of the settings: whether it can be used, which a role asks at its start, `/readyz` and the doctor too.

use gristmill_queue::redis::fitness;
pub use gristmill_queue::redis::fitness::{Refused, Unfit, examine};
use redis::Client;

use crate::config::{NoRedisUrl, RedisConfig};

/// Why a role does not start with this Redis.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It was named by nothing.
    #[error(transparent)]
    NoUrl(#[from] NoRedisUrl),
    /// It cannot be used.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl BrokerError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NoUrl(_) => None,
            Self::Refused(Refused::BadUrl(_)) => {
                Some("correct REDIS_URL; `gristmill up` without it starts a private Redis")
            }
            Self::Refused(refused) => Some(refused.advice()),
        }
    }
}

/// A client of the Redis that is configured; it connects when it is first asked to.
///
/// # Errors
/// What is wrong with its URL.
pub fn client(config: &RedisConfig) -> Result<Client, BrokerError> {
    Ok(fitness::client(config.url()?)?)
}

/// Refuses a Redis that answers and cannot be used. One that does not answer now is waited for elsewhere.
///
/// # Errors
/// What is wrong with it, or with its URL.
pub async fn refuse_unfit(config: &RedisConfig) -> Result<(), BrokerError> {
    Ok(fitness::refuse_unfit(config.url()?).await?)
}
