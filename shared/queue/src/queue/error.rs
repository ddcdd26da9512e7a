//! What can go wrong with a queue.

use gristmill_core::BatchError;

use crate::{BrokerError, CodecError, GroupId, PayloadError};

/// Errors of the queue. A broker that is unreachable fails no push: the sweep makes it good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// A statement, or the connection to Postgres, failed.
    #[error("the ledger failed")]
    Ledger(#[from] sqlx::Error),
    /// The broker's URL or settings are unusable.
    #[error("the broker's settings are unusable")]
    Broker(#[source] BrokerError),
    /// The broker did not answer.
    #[error("the broker does not answer")]
    BrokerUnavailable(#[from] BrokerError),
    /// Another ledger's workers use this namespace of the broker.
    #[error(
        "the namespace `{namespace}` in Redis is used with another ledger ({holder}), whose workers would be given these jobs: give each \
         application a namespace of its own (QueueConfig::namespace, GRISTMILL_REDIS_NAMESPACE), or wait a minute after the other has stopped"
    )]
    NamespaceTaken {
        /// The namespace.
        namespace: String,
        /// The cluster's identifier, the database and the schema of the other ledger.
        holder: String,
    },
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
    /// Something is not encoded, or cannot be decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A key, or a name, with a NUL in it, which no text of Postgres has. The caller's transaction goes on.
    #[error("{0} has a NUL character in it, which the ledger cannot hold: leave it out")]
    Nul(&'static str),
    /// A key that is too long for an index of Postgres. The caller's transaction goes on.
    #[error("{0} has more than 2,000 bytes, which is too long for a key")]
    LongKey(&'static str),
    /// The group is sealed, has failed, was cancelled, or does not exist.
    #[error("group {0} takes no more members")]
    GroupClosed(GroupId),
}

/// Whether Postgres is starting, stopping or not there yet: the same may be asked of it again soon.
#[must_use]
pub fn is_not_up(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // cannot_connect_now, admin_shutdown, crash_shutdown, too_many_connections
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("57P03" | "57P01" | "57P02" | "53300"))
        }
        _ => false,
    }
}

impl BatchError for QueueError {
    /// What Postgres refuses for what is in the statement (classes 22, 23 and the like) it refuses again; a lost
    /// connection, a full disk, a conflict or a shutdown passes.
    fn is_transient(&self) -> bool {
        match self {
            Self::Ledger(sqlx::Error::Database(error)) => error
                .code()
                .is_none_or(|code| ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))),
            Self::Codec(_) => false,
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
