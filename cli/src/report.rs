//! An error as a person reads it: what, why, and what to do.

use std::fmt::Write as _;

use gristmill_platform::broker::BrokerError;
use gristmill_platform::database::DatabaseError;
use gristmill_platform::engines::EngineError;

use crate::client::Failure;

/// An error with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Advice {
    pub(crate) what: String,
    pub(crate) todo: String,
}

impl Advice {
    pub(crate) fn new(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), todo: todo.into() }
    }
}

/// The lines for standard error: `error:`, a `cause:` each, `do:`.
pub(crate) fn report(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // some errors repeat their cause in their own words
        if !told.contains(&cause) {
            let _ = writeln!(text, "cause: {cause}");
            told = cause;
        }
    }
    if let Some(todo) = todo(error) {
        let _ = writeln!(text, "do:    {todo}");
    }
    text
}

fn todo(error: &anyhow::Error) -> Option<String> {
    if let Some(advice) = error.downcast_ref::<Advice>() {
        return Some(advice.todo.clone());
    }
    error.chain().find_map(|cause| {
        let engine = cause.downcast_ref::<EngineError>().and_then(EngineError::advice);
        let client = || cause.downcast_ref::<Failure>().and_then(Failure::advice);
        let broker = || Some(cause.downcast_ref::<BrokerError>()?.advice()?.to_owned());
        engine.or_else(client).or_else(broker).or_else(|| Some(cause.downcast_ref::<DatabaseError>()?.advice()))
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = std::io::Error::other("no such device");
        let error = anyhow::Error::from(error).context(Advice::new("cannot read the tape", "insert it"));
        assert_eq!(report(&error), "error: cannot read the tape\ncause: no such device\ndo:    insert it\n");
        let error = Err::<(), _>(DatabaseError::NoUrl).context("no ledger").unwrap_err();
        let text = report(&error);
        assert!(text.starts_with("error: no ledger\ncause: no database was given\ndo:    set DATABASE_URL"), "{text}");
    }
}
