//! Who runs in this process: many jobs beside each other, or one that is suspected of taking its process down, alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::watch;

/// The jobs of one namespace that run in this process, whichever worker and queue they are of. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Quiet(Arc<watch::Sender<Runs>>);

#[derive(Debug, Clone, Copy, Default)]
struct Runs {
    beside: usize,
    /// One waits to be alone, or is.
    suspect: bool,
}

/// A job that runs beside others, as long as this lives.
pub(super) struct Beside(Quiet);

/// The one suspect. No other job begins as long as this lives.
pub(super) struct Suspect(Quiet);

impl Quiet {
    /// Of this namespace.
    pub(super) fn of(namespace: &str) -> Self {
        static ALL: Mutex<Option<HashMap<String, Weak<watch::Sender<Runs>>>>> = Mutex::new(None);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        if let Some(runs) = all.get(namespace).and_then(Weak::upgrade) {
            return Self(runs);
        }
        all.retain(|_, runs| runs.strong_count() > 0);
        let runs = Arc::new(watch::Sender::default());
        all.insert(namespace.to_owned(), Arc::downgrade(&runs));
        Self(runs)
    }

    /// None: a suspect is here.
    pub(super) fn beside(&self) -> Option<Beside> {
        let begins = self.0.send_if_modified(|runs| {
            runs.beside += usize::from(!runs.suspect);
            !runs.suspect
        });
        begins.then(|| Beside(self.clone()))
    }

    /// None: another suspect is here.
    pub(super) fn suspect(&self) -> Option<Suspect> {
        let begins = self.0.send_if_modified(|runs| !std::mem::replace(&mut runs.suspect, true));
        begins.then(|| Suspect(self.clone()))
    }

    pub(super) fn has_suspect(&self) -> bool {
        self.0.borrow().suspect
    }

    /// Waits until no suspect is here.
    pub(super) async fn open(&self) {
        // The sender is ours, so it is there.
        let _ = self.0.subscribe().wait_for(|runs| !runs.suspect).await;
    }
}

impl Suspect {
    /// Waits until nothing runs beside it. False: that took longer than `patience`.
    pub(super) async fn is_alone(&self, patience: Duration) -> bool {
        let mut runs = self.0.0.subscribe();
        tokio::time::timeout(patience, runs.wait_for(|runs| runs.beside == 0)).await.is_ok()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.0.send_modify(|runs| runs.beside -= 1);
    }
}

impl Drop for Suspect {
    fn drop(&mut self) {
        self.0.0.send_modify(|runs| runs.suspect = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_suspect_waits_for_those_that_run_and_lets_none_begin() {
        let (quiet, same) = (Quiet::of("one"), Quiet::of("one"));
        let (first, second) = (quiet.beside().unwrap(), same.beside().unwrap());
        let suspect = quiet.suspect().unwrap();
        assert!(same.suspect().is_none() && same.beside().is_none() && same.has_suspect());
        assert!(Quiet::of("another").beside().is_some());
        drop(first);
        assert!(!suspect.is_alone(Duration::from_millis(1)).await);
        drop(second);
        assert!(suspect.is_alone(Duration::from_secs(60)).await);
        drop(suspect);
        same.open().await;
        assert!(quiet.beside().is_some());
    }
}
