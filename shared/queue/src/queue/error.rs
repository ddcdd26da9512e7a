//! What can go wrong with a queue.

use ::redis::RedisError;
use gristmill_core::BatchError;

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

impl BatchError for QueueError {
    /// What Postgres refuses for what is in the statement (classes 22, 23 and the like) it refuses again; a lost
    /// connection, a full disk, a conflict or a shutdown passes.
    fn is_transient(&self) -> bool {
        match self {
            Self::Ledger(sqlx::Error::Database(error)) => error
                .code()
                .is_none_or(|code| ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, error::Error, fmt};

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// What Postgres answers with this code.
    #[derive(Debug)]
    struct Answer(&'static str);

    impl fmt::Display for Answer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Answer {}

    impl DatabaseError for Answer {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn what_postgres_refuses_for_the_statement_itself_is_not_transient() {
        let transient = |code| QueueError::Ledger(sqlx::Error::Database(Box::new(Answer(code)))).is_transient();
        // a date out of range, a key that is taken, a table that is not there
        for code in ["22008", "23505", "42P01"] {
            assert!(!transient(code), "{code}");
        }
        // a lost connection, a deadlock, a full disk, a lock, a shutdown, an error of the disk
        for code in ["08006", "40P01", "53100", "55P03", "57P01", "58030"] {
            assert!(transient(code), "{code}");
        }
        assert!(QueueError::Ledger(sqlx::Error::PoolTimedOut).is_transient());
    }
}
