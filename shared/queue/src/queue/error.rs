//! What can go wrong with a queue.

use ::redis::RedisError;

use crate::{GroupId, PayloadError};

/// Errors of the queue. A broker that is unreachable fails no push: the sweep makes it good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// A statement, or the connection to Postgres, failed.
    #[error("the ledger failed")]
    Ledger(#[from] sqlx::Error),
    /// The broker's URL or settings are unusable.
    #[error("the broker's settings are unusable")]
    Broker(#[source] RedisError),
    /// Redis did not answer.
    #[error("the broker does not answer")]
    BrokerUnavailable(#[source] RedisError),
    /// A payload does not serialize.
    #[error("the payload does not serialize")]
    Encode(#[source] serde_json::Error),
    /// A payload cannot be kept. Nothing was asked of the ledger: the caller's transaction goes on.
    #[error("the payload of `{name}` {problem}")]
    Payload {
        /// The job's.
        name: String,
        /// What is wrong with it.
        problem: PayloadError,
    },
    /// A key, or a name, with a NUL in it, which no text of Postgres has. The caller's transaction goes on.
    #[error("{0} has a NUL character in it, which the ledger cannot hold: leave it out")]
    Nul(&'static str),
    /// The group is sealed, has failed, was cancelled, or does not exist.
    #[error("group {0} takes no more members")]
    GroupClosed(GroupId),
}
