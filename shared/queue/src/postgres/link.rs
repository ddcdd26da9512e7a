//! Connections for one kind of call. They are the broker's own: whatever the application does with its pool, leases are renewed.

use std::{
    future::Future,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A connection that does not answer for so long is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The statements are made for their indexes, and their tables grow and shrink faster than statistics follow. A process that
/// stands still in the middle of a claim must not hold the others up.
const SETTINGS: &str =
    "set enable_seqscan = off; set enable_bitmapscan = off; set plan_cache_mode = force_generic_plan;
                        set jit = off; set idle_in_transaction_session_timeout = '5s'";

/// Up to some connections to Postgres, each made when it is needed. All links of a process share a generation: whoever raises it
/// makes each connection be replaced at its next use. Cheap to clone; clones share them.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    generation: Arc<AtomicU64>,
    idle: Mutex<Vec<(u64, PgConnection)>>,
    places: Semaphore,
}

/// A connection at work. It goes back with [`Lent::keep`]; dropped without that, in the middle of an answer perhaps, it is closed.
pub(super) struct Lent<'a> {
    conn: Option<PgConnection>,
    generation: u64,
    /// It was made for an earlier call, and may have been cut off since.
    pub(super) is_used: bool,
    link: &'a Inner,
    _place: SemaphorePermit<'a>,
}

impl Link {
    /// `what` names the connections in `pg_stat_activity`.
    pub(super) fn new(options: &PgConnectOptions, what: &str, connections: usize, generation: Arc<AtomicU64>) -> Self {
        let options = options.clone().application_name(&format!("gristmill-{what}"));
        Self(Arc::new(Inner { options, generation, idle: Mutex::default(), places: Semaphore::new(connections) }))
    }

    /// A connection, as soon as one is free.
    pub(super) async fn conn(&self) -> Result<Lent<'_>, sqlx::Error> {
        self.lend(true).await
    }

    /// A new connection: those that were idle have turned out to be cut off.
    pub(super) async fn fresh(&self) -> Result<Lent<'_>, sqlx::Error> {
        self.idle().clear();
        self.lend(false).await
    }

    async fn lend(&self, used: bool) -> Result<Lent<'_>, sqlx::Error> {
        let place = self.0.places.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let generation = self.0.generation.load(Ordering::Acquire);
        let idle = {
            let mut idle = self.idle();
            idle.retain(|(made, _)| *made == generation);
            idle.pop().filter(|_| used)
        };
        let is_used = idle.is_some();
        let conn = match idle {
            Some((_, conn)) => conn,
            None => {
                within(CONNECT_TIMEOUT, async {
                    let mut conn = self.0.options.connect().await?;
                    conn.execute(SETTINGS).await?;
                    Ok(conn)
                })
                .await?
            }
        };
        Ok(Lent { conn: Some(conn), generation, is_used, link: &self.0, _place: place })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(u64, PgConnection)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// The answer is there: the connection is free for the next call.
    pub(super) fn keep(mut self) {
        if let Some(conn) = self.conn.take() {
            self.link.idle.lock().unwrap_or_else(PoisonError::into_inner).push((self.generation, conn));
        }
    }
}

impl Deref for Lent<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.conn.as_ref().expect("only `keep` takes it, and the guard with it")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("only `keep` takes it, and the guard with it")
    }
}

/// The answer to a statement, unless the connection hangs.
pub(super) async fn answer<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    within(ANSWER_TIMEOUT, call).await
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let silence =
        || sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer in {limit:?}")));
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(silence()))
}

/// Whether the connection was cut off, rather than the statement refused.
pub(super) fn is_cut_off(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != std::io::ErrorKind::TimedOut,
        // ended by an operator, or by a shutdown
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

/// Runs a statement on a connection of this link; once more on a new one, if an old one turns out to be cut off.
macro_rules! ask {
    ($link:expr, $conn:ident => $call:expr) => {{
        let mut $conn = $link.conn().await?;
        match $crate::postgres::link::answer($call).await {
            Ok(answer) => {
                $conn.keep();
                Ok(answer)
            }
            Err(error) if $conn.is_used && $crate::postgres::link::is_cut_off(&error) => {
                drop($conn);
                let mut $conn = $link.fresh().await?;
                let answer = $crate::postgres::link::answer($call).await?;
                $conn.keep();
                Ok(answer)
            }
            Err(error) => Err(error),
        }
    }};
}
pub(super) use ask;
