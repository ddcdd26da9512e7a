//! Why a broker did not answer.

use ::redis::RedisError;

/// The broker did not answer, or refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// Redis.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Postgres, as the broker.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
}
