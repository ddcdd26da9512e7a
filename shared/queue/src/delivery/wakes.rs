//! Queues that sleep until they have jobs, and the wake-ups that come for them by name.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

/// Longer than any wake-up should take: a lost one costs no more than this.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(1);

/// Who sleeps.
#[derive(Default)]
pub(crate) struct Wakes {
    table: Mutex<Table>,
    /// The waker has to look at the table.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    tickets: u64,
    /// By name, those that sleep longest first.
    asleep: BTreeMap<String, VecDeque<(u64, oneshot::Sender<()>)>>,
    /// Those that the waker waits for.
    watched: Vec<String>,
    /// Wake-ups whose sleeper went away at that moment.
    unheard: Vec<String>,
}

impl Wakes {
    /// Until a wake-up comes for this list, or a wait is over. Returns whether it was a wake-up; either is answered by a look at
    /// the queue.
    pub(crate) async fn sleep(&self, list: &str) -> bool {
        let mut sleeper = self.lie_down(list);
        let woken = tokio::time::timeout(MAX_WAIT, &mut sleeper.woken).await.is_ok();
        sleeper.looks = true;
        woken
    }

    fn lie_down<'a>(&'a self, list: &'a str) -> WakeListener<'a> {
        let (sender, woken) = oneshot::channel();
        let mut table = self.table();
        table.tickets += 1;
        let ticket = table.tickets;
        table.asleep.entry(list.to_owned()).or_default().push_back((ticket, sender));
        if !table.watched.iter().any(|watched| watched == list) {
            self.changed.notify_one();
        }
        WakeListener { wakes: self, list, ticket, woken, looks: false }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lists to block on from now on, those behind `last` first: each has its turn, however busy another is.
    pub(crate) fn watch(&self, last: &str) -> Vec<String> {
        let mut table = self.table();
        let behind = table.asleep.range::<str, _>((Excluded(last), Unbounded));
        let before = table.asleep.range::<str, _>((Unbounded, Included(last)));
        table.watched = behind.chain(before).map(|(list, _)| list.clone()).collect();
        table.watched.clone()
    }

    /// Whether somebody sleeps who is not watched.
    pub(crate) fn is_unwatched(&self) -> bool {
        let table = self.table();
        table.asleep.keys().any(|list| !table.watched.contains(list))
    }

    /// A wake-up has come for this list.
    pub(crate) fn wake(&self, list: &str) {
        let mut table = self.table();
        while let Some(sleeper) = table.asleep.get_mut(list).and_then(VecDeque::pop_front) {
            if sleeper.1.send(()).is_ok() {
                table.tidy(list);
                return;
            }
        }
        table.tidy(list);
        table.unheard.push(list.to_owned());
    }

    /// Everybody who sleeps by this name is to look.
    pub(crate) fn wake_everybody(&self, list: &str) {
        for (_, sender) in self.table().asleep.remove(list).into_iter().flatten() {
            // Gone already: it has no need of this.
            let _ = sender.send(());
        }
    }

    pub(crate) fn wake_all(&self) {
        for (_, sender) in std::mem::take(&mut self.table().asleep).into_values().flatten() {
            // Gone already: it has no need of this.
            let _ = sender.send(());
        }
    }

    /// Until somebody sleeps who is not watched, or a wake-up was not heard.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wake-ups whose sleeper went away at that moment: they are for somebody else.
    pub(crate) fn unheard(&self) -> Vec<String> {
        std::mem::take(&mut self.table().unheard)
    }
}

impl Table {
    fn tidy(&mut self, list: &str) {
        if self.asleep.get(list).is_some_and(VecDeque::is_empty) {
            self.asleep.remove(list);
        }
    }
}

struct WakeListener<'a> {
    wakes: &'a Wakes,
    list: &'a str,
    ticket: u64,
    woken: oneshot::Receiver<()>,
    /// It looks at its queue now.
    looks: bool,
}

impl Drop for WakeListener<'_> {
    fn drop(&mut self) {
        let mut table = self.wakes.table();
        if let Some(sleepers) = table.asleep.get_mut(self.list) {
            sleepers.retain(|(ticket, _)| *ticket != self.ticket);
        }
        table.tidy(self.list);
        // Another worker may have room.
        if !self.looks && self.woken.try_recv().is_ok() {
            table.unheard.push(self.list.to_owned());
            self.wakes.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_up_goes_to_who_sleeps_longest_and_none_is_lost() {
        let wakes = Wakes::default();
        let (mut first, mut second) = (wakes.lie_down("b"), wakes.lie_down("b"));
        wakes.wake("b");
        assert!(first.woken.try_recv().is_ok() && second.woken.try_recv().is_err());
        wakes.wake("b");
        // It was woken and goes away without a look at its queue; there is nobody left.
        drop(second);
        wakes.wake("b");
        assert_eq!(wakes.unheard(), ["b", "b"]);
        assert!(wakes.watch("").is_empty());
    }

    #[tokio::test]
    async fn each_list_has_its_turn() {
        let wakes = Wakes::default();
        let _sleepers = ["a", "b", "c"].map(|list| wakes.lie_down(list));
        assert_eq!(wakes.watch(""), ["a", "b", "c"]);
        assert_eq!(wakes.watch("a"), ["b", "c", "a"]);
        assert_eq!(wakes.watch("bb"), ["c", "a", "b"]);
        assert!(!wakes.is_unwatched());
        let _late = wakes.lie_down("d");
        assert!(wakes.is_unwatched());
    }
}
