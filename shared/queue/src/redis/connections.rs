//! The connections and the thread that all queues of a process share.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicU64},
};

use ::redis::{Client, RedisResult};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{
    connection::{self, ReconnectingConnection},
    keys,
    wakes::{Waker, Wakes},
};

/// The connections of one process to one Redis, for all its workers and queues: one each for pushes, claims,
/// acknowledgements, leases and wake-ups; and the one thread that renews the leases. Each is made when it is first used.
/// Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    client: Client,
    generation: Arc<AtomicU64>,
    pushes: ReconnectingConnection,
    claims: ReconnectingConnection,
    answers: ReconnectingConnection,
    thread: Mutex<Weak<LeaseThread>>,
}

/// A thread with a runtime of its own, so that work that hogs the other threads cannot cost a worker its jobs. It ends
/// with the last reference to this.
pub(super) struct LeaseThread {
    pub(super) handle: Handle,
    /// Made on the thread's runtime.
    pub(super) connection: ReconnectingConnection,
    pub(super) wakes: Arc<Wakes>,
    _end: DropGuard,
}

impl Connections {
    /// Prepares the connections to this Redis, which need not be up yet.
    ///
    /// # Errors
    /// Returns an error if the client's settings cannot be used.
    pub fn new(client: Client) -> RedisResult<Self> {
        let generation: Arc<AtomicU64> = Arc::default();
        let connection = |what| ReconnectingConnection::new(&client, what, Arc::clone(&generation));
        let (pushes, claims, answers) = (connection("pushes")?, connection("claims")?, connection("answers")?);
        Ok(Self(Arc::new(Inner { pushes, claims, answers, thread: Mutex::default(), client, generation })))
    }

    /// Raise it to have all connections replaced.
    pub(super) fn generation(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.generation)
    }

    /// Pushes have a connection of their own: a large one delays nothing else.
    pub(crate) fn pushes(&self) -> &ReconnectingConnection {
        &self.0.pushes
    }

    pub(super) fn claims(&self) -> &ReconnectingConnection {
        &self.0.claims
    }

    pub(super) fn answers(&self) -> &ReconnectingConnection {
        &self.0.answers
    }

    /// The thread of this process, which is started if there is none.
    pub(super) fn thread(&self, namespace: &str) -> io::Result<Arc<LeaseThread>> {
        let mut known = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = known.upgrade() {
            return Ok(thread);
        }
        let connection =
            |what| ReconnectingConnection::new(&self.0.client, what, self.generation()).map_err(io::Error::other);
        let end = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Arc::new(LeaseThread {
            handle: runtime.handle().clone(),
            connection: connection("leases")?,
            wakes: Arc::default(),
            _end: end.clone().drop_guard(),
        });
        let waker = Waker {
            client: connection::named(&self.0.client, "wake-ups").map_err(io::Error::other)?,
            generation: self.generation(),
            wakes: Arc::clone(&thread.wakes),
            connection: thread.connection.clone(),
            nudge: format!("{{{}}}:nudge:{}", keys::versioned(namespace), Uuid::new_v4().simple()),
        };
        runtime.spawn(waker.run());
        std::thread::Builder::new().name("lease-keeper".into()).spawn(move || runtime.block_on(end.cancelled()))?;
        *known = Arc::downgrade(&thread);
        Ok(thread)
    }
}
