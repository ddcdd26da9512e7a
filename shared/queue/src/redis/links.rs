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
    link::{self, Link},
    wakes::{Waker, Wakes},
};

/// Everything that goes to one Redis from one process, whichever workers and queues it is for: a connection each for
/// pushes, claims, answers, leases and wake-ups, and one thread that keeps the leases. Each is made when it is first
/// needed. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    client: Client,
    wanted: Arc<AtomicU64>,
    pushes: Link,
    claims: Link,
    answers: Link,
    thread: Mutex<Weak<LeaseThread>>,
}

/// A thread with a runtime of its own, so that work that hogs the other threads cannot cost a worker its jobs. It lasts
/// as long as somebody has this.
pub(super) struct LeaseThread {
    pub(super) handle: Handle,
    /// Made on the thread's runtime.
    pub(super) link: Link,
    pub(super) wakes: Arc<Wakes>,
    _end: DropGuard,
}

impl Links {
    /// To this Redis, which need not be there yet.
    ///
    /// # Errors
    /// When the client's settings are not usable.
    pub fn new(client: Client) -> RedisResult<Self> {
        let wanted: Arc<AtomicU64> = Arc::default();
        let link = |what| Link::new(&client, what, Arc::clone(&wanted));
        let (pushes, claims, answers) = (link("pushes")?, link("claims")?, link("answers")?);
        Ok(Self(Arc::new(Inner { pushes, claims, answers, thread: Mutex::default(), client, wanted })))
    }

    /// Counts the wishes for new connections: whoever adds one gets them.
    pub(super) fn wanted(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.wanted)
    }

    /// A push may be large: it stands in nobody's way here.
    pub(crate) fn pushes(&self) -> &Link {
        &self.0.pushes
    }

    pub(super) fn claims(&self) -> &Link {
        &self.0.claims
    }

    pub(super) fn answers(&self) -> &Link {
        &self.0.answers
    }

    /// The one that is there, or a new one.
    pub(super) fn thread(&self, namespace: &str) -> io::Result<Arc<LeaseThread>> {
        let mut known = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = known.upgrade() {
            return Ok(thread);
        }
        let link = |what| Link::new(&self.0.client, what, self.wanted()).map_err(io::Error::other);
        let end = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Arc::new(LeaseThread {
            handle: runtime.handle().clone(),
            link: link("leases")?,
            wakes: Arc::default(),
            _end: end.clone().drop_guard(),
        });
        let waker = Waker {
            client: link::named(&self.0.client, "wake-ups").map_err(io::Error::other)?,
            wanted: self.wanted(),
            wakes: Arc::clone(&thread.wakes),
            link: thread.link.clone(),
            nudge: format!("{{{namespace}}}:nudge:{}", Uuid::new_v4().simple()),
        };
        runtime.spawn(waker.run());
        std::thread::Builder::new().name("lease-keeper".into()).spawn(move || runtime.block_on(end.cancelled()))?;
        *known = Arc::downgrade(&thread);
        Ok(thread)
    }
}
