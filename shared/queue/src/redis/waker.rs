//! The one connection that waits for wake-ups: it blocks on the wake lists of the queues that sleep, and of no others, so
//! that no wake-up comes to a queue that has no room.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{AsyncConnectionConfig, Client, RedisResult, Script, aio::MultiplexedConnection};
use tracing::debug;

use super::connection::ReconnectingConnection;
use crate::delivery::{MAX_WAIT, Wakes};

static WAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/wake.lua")));

/// After a fault of the connection.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Blocks on the wake lists of those that sleep, as long as its runtime lasts.
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
                self.wakes.changed().await;
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
                () = self.wakes.changed() => {}
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
