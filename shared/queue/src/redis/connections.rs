//! The connections to Redis that all queues of a process share.

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

use ::redis::{Client, RedisResult};
use uuid::Uuid;

use super::{
    connection::{self, ReconnectingConnection},
    keys,
    namespace::RedisNamespace,
    waker::Waker,
};
use crate::broker::{Broker, LeaseThread, OneThread};

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
    thread: OneThread,
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
        Ok(Self(Arc::new(Inner { pushes, claims, answers, thread: OneThread::default(), client, generation })))
    }

    /// Raise it to have all connections replaced.
    fn generation(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.generation)
    }

    pub(super) fn answers(&self) -> &ReconnectingConnection {
        &self.0.answers
    }

    /// The thread of this process, which is started if there is none.
    fn thread(&self, namespace: &Arc<str>) -> io::Result<Arc<LeaseThread>> {
        self.0.thread.get(|wakes| {
            let leases = ReconnectingConnection::new(&self.0.client, "leases", self.generation());
            let connection = leases.map_err(io::Error::other)?;
            let waker = Waker {
                client: connection::named(&self.0.client, "wake-ups").map_err(io::Error::other)?,
                generation: self.generation(),
                wakes: Arc::clone(wakes),
                connection: connection.clone(),
                nudge: format!("{{{}}}:nudge:{}", keys::versioned(namespace), Uuid::new_v4().simple()),
            };
            Ok((Broker::Redis(RedisNamespace::new(namespace, connection)), waker.run()))
        })
    }
}

/// The connections as a namespace uses them: see [`crate::broker::Links`].
#[derive(Clone)]
pub(crate) struct RedisLinks {
    connections: Connections,
    namespace: Arc<str>,
}

impl RedisLinks {
    pub(crate) fn new(connections: &Connections, namespace: &str) -> Self {
        Self { connections: connections.clone(), namespace: namespace.into() }
    }

    pub(crate) fn generation(&self) -> Arc<AtomicU64> {
        self.connections.generation()
    }

    pub(crate) fn pushes(&self) -> RedisNamespace {
        RedisNamespace::new(&self.namespace, self.connections.0.pushes.clone())
    }

    pub(crate) fn claims(&self) -> RedisNamespace {
        RedisNamespace::new(&self.namespace, self.connections.0.claims.clone())
    }

    pub(crate) fn answers(&self) -> RedisNamespace {
        RedisNamespace::new(&self.namespace, self.connections.0.answers.clone())
    }

    pub(crate) fn thread(&self) -> io::Result<Arc<LeaseThread>> {
        self.connections.thread(&self.namespace)
    }
}
