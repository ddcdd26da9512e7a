//! Who did what.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::future::{BoxFuture, ready};
use jiff::Timestamp;

use crate::{Error, access::Person, board::App};

/// Where actions are noted. A [`Board`](crate::Board) that is given none has [`RecentActions`].
pub trait Audit: Send + Sync + 'static {
    /// Notes an action before it is done, with [`BEGUN`] as its outcome, and returns its line. It is called for every action,
    /// so that one whose process dies in its middle has left a line.
    ///
    /// # Errors
    /// When it cannot be noted: then it is not done.
    fn begin<'a>(&'a self, person: &'a Person, action: &'a str, target: &'a str) -> BoxFuture<'a, Result<i64, Error>>;

    /// Notes what came of it.
    ///
    /// # Errors
    /// When it cannot be noted. It stays [`BEGUN`] then.
    fn end<'a>(&'a self, line: i64, outcome: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Notes what somebody asked for and was not let do.
    ///
    /// # Errors
    /// When it cannot be noted. It is not done in any case.
    fn refused<'a>(&'a self, person: &'a Person, what: &'a str, why: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// The newest first, those before the line `before`; at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn list(&self, before: Option<i64>, limit: i64) -> BoxFuture<'_, Result<Vec<AuditEntry>, Error>>;

    /// What is said above them: from when on they are kept, for example.
    fn note(&self) -> Option<&str> {
        None
    }
}

/// A line of the audit.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Its number: a newer one has a higher one.
    pub id: i64,
    /// When it began.
    pub at: Timestamp,
    /// Whose action.
    pub who: String,
    /// What else is known of them: the beginning of a key.
    pub key: Option<String>,
    /// `queues.pause`, or `refused`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// What came of it.
    pub outcome: Option<String>,
}

/// What an action's line says until its outcome is known, and for ever when its process dies before.
pub const BEGUN: &str = "Begun. What came of it was not written down";

/// What is kept of them.
const KEPT: usize = 1_000;

/// The last thousand actions since this process began, in its memory. Every action is also told to `tracing`, at `info`; what
/// was refused at `warn`. An application that must know later who did what keeps them in a table by an [`Audit`] of its own.
#[derive(Debug, Default)]
pub struct RecentActions(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// The oldest first.
    lines: VecDeque<AuditEntry>,
    last: i64,
}

impl RecentActions {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, person: &Person, action: &str, target: &str, outcome: String) -> i64 {
        let mut kept = self.lines();
        kept.last += 1;
        let id = kept.last;
        if kept.lines.len() == KEPT {
            kept.lines.pop_front();
        }
        kept.lines.push_back(AuditEntry {
            id,
            at: Timestamp::now(),
            who: person.name.clone(),
            key: person.key.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            outcome: Some(outcome),
        });
        id
    }
}

impl Audit for RecentActions {
    fn begin<'a>(&'a self, person: &'a Person, action: &'a str, target: &'a str) -> BoxFuture<'a, Result<i64, Error>> {
        Box::pin(ready(Ok(self.push(person, action, target, BEGUN.to_owned()))))
    }

    fn end<'a>(&'a self, line: i64, outcome: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        if let Some(entry) = self.lines().lines.iter_mut().rev().find(|entry| entry.id == line) {
            entry.outcome = Some(outcome.to_owned());
        }
        Box::pin(ready(Ok(())))
    }

    fn refused<'a>(&'a self, person: &'a Person, what: &'a str, why: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.push(person, "refused", what, format!("Refused: {why}"));
        Box::pin(ready(Ok(())))
    }

    fn list(&self, before: Option<i64>, limit: i64) -> BoxFuture<'_, Result<Vec<AuditEntry>, Error>> {
        let limit = usize::try_from(limit).unwrap_or(0);
        let kept = self.lines();
        let older = kept.lines.iter().rev().filter(|entry| before.is_none_or(|before| entry.id < before));
        let listed = older.take(limit).cloned().collect();
        Box::pin(ready(Ok(listed)))
    }

    fn note(&self) -> Option<&str> {
        Some("The last thousand since this process began; its log has them all.")
    }
}

/// Characters of an address that is kept: whoever asks writes it.
const MAX_PATH_CHARS: usize = 200;

/// Notes what somebody who was let in asked for and was not let do.
pub(crate) async fn refused(app: &App, person: &Person, what: &str, why: &str) {
    let what: String = what.chars().filter(|c| !c.is_control()).take(MAX_PATH_CHARS).collect();
    tracing::warn!(who = person.name, key = person.key, what, why, "refused on the dashboard");
    if let Err(error) = app.audit.refused(person, &what, why).await {
        tracing::error!(%error, who = person.name, what, "what was refused is not in the audit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_actions_are_kept_with_their_outcomes() {
        let (audit, ana) = (RecentActions::default(), Person::operator("ana"));
        for n in 0..KEPT {
            let line = audit.begin(&ana, "queues.pause", &n.to_string()).await.unwrap();
            audit.end(line, "paused").await.unwrap();
        }
        audit.begin(&ana, "queues.drain", "last").await.unwrap();
        audit.refused(&ana, "jobs/cancel", "a viewer may look, not act").await.unwrap();
        let newest = audit.list(None, 3).await.unwrap();
        let told: Vec<_> = newest.iter().map(|entry| (entry.target.as_str(), entry.outcome.as_deref())).collect();
        let refused = Some("Refused: a viewer may look, not act");
        assert_eq!(told, [("jobs/cancel", refused), ("last", Some(BEGUN)), ("999", Some("paused"))]);
        let all = audit.list(None, 5_000).await.unwrap();
        assert_eq!((all.len(), all[KEPT - 1].target.as_str()), (KEPT, "2"));
        assert_eq!(audit.list(Some(all[KEPT - 2].id), 5).await.unwrap().len(), 1);
    }
}
