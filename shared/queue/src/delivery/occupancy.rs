//! Who runs in this worker_state: many jobs beside each other, or one that is suspected of taking its process down, alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::watch;

/// The jobs of one namespace that run in this process, over all its workers and queues. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Occupancy(Arc<watch::Sender<Runs>>);

#[derive(Debug, Clone, Copy, Default)]
struct Runs {
    shared: usize,
    /// A suspect waits to be alone, or is.
    suspect: bool,
}

/// A job that runs beside others, as long as this lives.
pub(super) struct Shared(Occupancy);

/// The one suspect. No other job starts as long as this lives.
pub(super) struct Alone(Occupancy);

impl Occupancy {
    /// The one of this namespace.
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

    /// Lets a job run beside others. `None` means that a suspect is here.
    pub(super) fn share(&self) -> Option<Shared> {
        let starts = self.0.send_if_modified(|runs| {
            runs.shared += usize::from(!runs.suspect);
            !runs.suspect
        });
        starts.then(|| Shared(self.clone()))
    }

    /// Lets no other job start. `None` means that another suspect is here.
    pub(super) fn isolate(&self) -> Option<Alone> {
        let starts = self.0.send_if_modified(|runs| !std::mem::replace(&mut runs.suspect, true));
        starts.then(|| Alone(self.clone()))
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

impl Alone {
    /// Waits until nothing runs beside it. Returns false when that takes longer than `limit`.
    pub(super) async fn wait(&self, limit: Duration) -> bool {
        let mut runs = self.0.0.subscribe();
        tokio::time::timeout(limit, runs.wait_for(|runs| runs.shared == 0)).await.is_ok()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.0.send_modify(|runs| runs.shared -= 1);
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.0.send_modify(|runs| runs.suspect = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_suspect_waits_for_those_that_run_and_lets_none_begin() {
        let (occupancy, same) = (Occupancy::of("one"), Occupancy::of("one"));
        let (first, second) = (occupancy.share().unwrap(), same.share().unwrap());
        let suspect = occupancy.isolate().unwrap();
        assert!(same.isolate().is_none() && same.share().is_none() && same.has_suspect());
        assert!(Occupancy::of("another").share().is_some());
        drop(first);
        assert!(!suspect.wait(Duration::from_millis(1)).await);
        drop(second);
        assert!(suspect.wait(Duration::from_secs(60)).await);
        drop(suspect);
        same.open().await;
        assert!(occupancy.share().is_some());
    }
}
