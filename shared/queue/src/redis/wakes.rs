//! Queues that sleep until they have jobs, all on one connection: it blocks on the wake lists of those that sleep, and of
//! no others, so that no wake-up comes to a queue that has no room.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{AsyncConnectionConfig, Client, RedisResult, Script, aio::MultiplexedConnection};
use tokio::sync::{Notify, oneshot};
use tracing::debug;

use super::connection::ReconnectingConnection;

static WAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/wake.lua")));

/// Longer than any wake-up should take: a lost one costs no more than this.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(1);
/// After a fault of the connection.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Who sleeps.
#[derive(Default)]
pub(super) struct Wakes {
    table: Mutex<Table>,
    /// The waker has to look at the table.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    tickets: u64,
    /// By wake list, those that sleep longest first.
    asleep: BTreeMap<String, VecDeque<(u64, oneshot::Sender<()>)>>,
    /// The lists that the connection blocks on.
    watched: Vec<String>,
    /// Wake-ups whose sleeper went away at that moment.
    unheard: Vec<String>,
}

impl Wakes {
    /// Until a wake-up comes for this list, or a wait is over.
    pub(super) async fn sleep(&self, list: &str) {
        let mut sleeper = self.lie_down(list);
        // Whatever it was, it is answered by a look at the queue.
        let _ = tokio::time::timeout(MAX_WAIT, &mut sleeper.woken).await;
        sleeper.looks = true;
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
    fn watch(&self, last: &str) -> Vec<String> {
        let mut table = self.table();
        let behind = table.asleep.range::<str, _>((Excluded(last), Unbounded));
        let before = table.asleep.range::<str, _>((Unbounded, Included(last)));
        table.watched = behind.chain(before).map(|(list, _)| list.clone()).collect();
        table.watched.clone()
    }

    /// Whether somebody sleeps who is not watched.
    fn is_unwatched(&self) -> bool {
        let table = self.table();
        table.asleep.keys().any(|list| !table.watched.contains(list))
    }

    /// A wake-up has come for this list.
    fn wake(&self, list: &str) {
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

    fn wake_all(&self) {
        for (_, sender) in std::mem::take(&mut self.table().asleep).into_values().flatten() {
            // Gone already: it has no need of this.
            let _ = sender.send(());
        }
    }

    fn unheard(&self) -> Vec<String> {
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

/// Blocks on the lists, as long as its runtime lasts.
pub(super) struct Waker {
    pub(super) client: Client,
    pub(super) generation: Arc<AtomicU64>,
    pub(super) wakes: Arc<Wakes>,
    /// For what cannot be said on a connection that blocks.
    pub(super) connection: ReconnectingConnection,
    /// A list of its own, blocked on beside the others: by it the waker ends its own wait.
    pub(super) nudge: String,
}

impl Waker {
    pub(super) async fn run(self) {
        let mut conn: Option<(u64, MultiplexedConnection)> = None;
        let mut last = String::new();
        loop {
            for list in self.wakes.unheard() {
                self.push(list);
            }
            let lists = self.wakes.watch(&last);
            if lists.is_empty() {
                self.wakes.changed.notified().await;
                continue;
            }
            match self.wait(&mut conn, &lists).await {
                Ok(Some(list)) if list == self.nudge => {}
                Ok(Some(list)) => {
                    self.wakes.wake(&list);
                    last = list;
                }
                Ok(None) => {}
                Err(error) => {
                    debug!(%error, "no wake-ups come; queues are looked at instead");
                    conn = None;
                    tokio::time::sleep(RETRY_DELAY).await;
                    self.wakes.wake_all();
                }
            }
        }
    }

    /// The list that a wake-up was taken from. A queue that goes to sleep meanwhile ends the wait.
    async fn wait(
        &self,
        conn: &mut Option<(u64, MultiplexedConnection)>,
        lists: &[String],
    ) -> RedisResult<Option<String>> {
        let generation = self.generation.load(Ordering::Acquire);
        let conn = match conn {
            Some((made, conn)) if *made == generation => conn,
            _ => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(Duration::from_secs(2)))
                    .set_response_timeout(Some(MAX_WAIT * 5));
                let new = self.client.get_multiplexed_async_connection_with_config(&config).await?;
                &mut conn.insert((generation, new)).1
            }
        };
        let mut call = ::redis::cmd("BLPOP");
        call.arg(&self.nudge).arg(lists).arg(MAX_WAIT.as_secs_f64());
        let answer = call.query_async::<Option<(String, String)>>(conn);
        tokio::pin!(answer);
        let mut nudged = false;
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer?.map(|(list, _)| list)),
                () = self.wakes.changed.notified() => {}
            }
            if !nudged && self.wakes.is_unwatched() {
                nudged = true;
                self.push(self.nudge.clone());
            }
        }
    }

    /// Puts a wake-up into this list. Where that fails, somebody sleeps until the end of a wait.
    fn push(&self, list: String) {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            if let Err(error) = WAKE.key(list).invoke_async::<u64>(&mut connection.conn()).await {
                debug!(%error, "the broker takes no wake-up");
            }
        });
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
