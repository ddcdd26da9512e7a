//! The connections and the thread that all queues of a process share.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicU64},
};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Broker;
use crate::{delivery::Wakes, postgres::PostgresLinks, redis::RedisLinks};

/// The connections of one process to its broker, for all its workers and queues: one each for pushes, claims, answers, leases
/// and wake-ups. Each is made when it is first used. Cheap to clone; clones share them.
#[derive(Clone)]
pub(crate) enum Links {
    Redis(RedisLinks),
    Postgres(PostgresLinks),
}

/// A thread with a runtime of its own, so that work that hogs the other threads cannot cost a worker its jobs. It ends
/// with the last reference to this.
pub(crate) struct LeaseThread {
    pub(crate) handle: Handle,
    /// Over the connection of the leases, which is made on this thread.
    pub(crate) broker: Broker,
    /// The queues that sleep until they have jobs.
    pub(crate) wakes: Arc<Wakes>,
    _end: DropGuard,
}

/// The thread of a process, if it has one.
#[derive(Default)]
pub(crate) struct OneThread(Mutex<Weak<LeaseThread>>);

impl Links {
    /// Raise it to have all connections replaced.
    pub(crate) fn generation(&self) -> Arc<AtomicU64> {
        match self {
            Self::Redis(links) => links.generation(),
            Self::Postgres(links) => links.generation(),
        }
    }

    /// Pushes have a connection of their own: a large one delays nothing else.
    pub(crate) fn pushes(&self) -> Broker {
        match self {
            Self::Redis(links) => Broker::Redis(links.pushes()),
            Self::Postgres(links) => Broker::Postgres(links.pushes()),
        }
    }

    pub(crate) fn claims(&self) -> Broker {
        match self {
            Self::Redis(links) => Broker::Redis(links.claims()),
            Self::Postgres(links) => Broker::Postgres(links.claims()),
        }
    }

    pub(crate) fn answers(&self) -> Broker {
        match self {
            Self::Redis(links) => Broker::Redis(links.answers()),
            Self::Postgres(links) => Broker::Postgres(links.answers()),
        }
    }

    /// The thread of this process, which is started if there is none.
    pub(crate) fn thread(&self) -> io::Result<Arc<LeaseThread>> {
        match self {
            Self::Redis(links) => links.thread(),
            Self::Postgres(links) => links.thread(),
        }
    }
}

impl OneThread {
    /// The thread, which is started if there is none: `links` makes its connection, and what waits on it for wake-ups.
    pub(crate) fn get<W>(
        &self,
        links: impl FnOnce(&Arc<Wakes>) -> io::Result<(Broker, W)>,
    ) -> io::Result<Arc<LeaseThread>>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = known.upgrade() {
            return Ok(thread);
        }
        let end = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wakes: Arc<Wakes> = Arc::default();
        let (broker, waker) = links(&wakes)?;
        let thread =
            Arc::new(LeaseThread { handle: runtime.handle().clone(), broker, wakes, _end: end.clone().drop_guard() });
        runtime.spawn(waker);
        std::thread::Builder::new().name("lease-keeper".into()).spawn(move || runtime.block_on(end.cancelled()))?;
        *known = Arc::downgrade(&thread);
        Ok(thread)
    }
}
