use std::time::Duration;

use crate::{Kind, smtp::Outcome};

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// The server has it. The text is there when it was kept too.
    Sent(Option<String>),
    /// There is no server: the store has it, and nobody else.
    Kept(String),
    /// Its address was known to take no mail.
    Suppressed(String),
    /// Its address turned out to take no mail.
    Dead(String),
    /// Not wanted.
    Failed(String),
    /// Not now.
    Deferred(String),
    /// The server is away.
    Unreachable(String),
    /// Not begun, for a reason that says nothing about it.
    Left,
    /// Not begun, because its domain takes no more for so long.
    Later(Duration),
}

impl SendOutcome {
    pub(super) fn of(outcome: Outcome, kept: Option<String>) -> Self {
        match outcome {
            Outcome::Sent => Self::Sent(kept),
            Outcome::Deferred(error) => Self::Deferred(error),
            Outcome::Unreachable(error) => Self::Unreachable(error),
            Outcome::Dead(error) => Self::Dead(error),
            Outcome::Refused(error) => Self::Failed(error),
        }
    }

    /// The word of the metric.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent(_) | Self::Kept(_) => "sent",
            Self::Suppressed(_) | Self::Dead(_) => "suppressed",
            Self::Failed(_) => "failed",
            Self::Deferred(_) => "deferred",
            Self::Unreachable(_) => "unreachable",
            Self::Left | Self::Later(_) => "left",
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Suppressed(error)
            | Self::Dead(error)
            | Self::Failed(error)
            | Self::Deferred(error)
            | Self::Unreachable(error) => Some(error),
            Self::Sent(_) | Self::Kept(_) | Self::Left | Self::Later(_) => None,
        }
    }
}

/// A fate, and which mail's it is.
pub(super) struct MailOutcome {
    pub(super) id: uuid::Uuid,
    pub(super) kind: Kind,
    pub(super) reference: String,
    pub(super) address: String,
    pub(super) fate: SendOutcome,
}
