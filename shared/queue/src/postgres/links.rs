//! The connections of a process: see [`crate::broker::Links`].

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

use sqlx::{PgPool, postgres::PgConnectOptions};
use uuid::Uuid;

use super::{PostgresTables, link::Link, waker::Waker};
use crate::{
    Schema,
    broker::{Broker, LeaseThread, OneThread},
};

/// Connections for pushes: as many requests may enqueue at one time.
const PUSHES: usize = 4;

/// Cheap to clone; clones share the connections.
#[derive(Clone)]
pub(crate) struct PostgresLinks(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    schema: Schema,
    process: Uuid,
    generation: Arc<AtomicU64>,
    pushes: Link,
    claims: Link,
    answers: Link,
    thread: OneThread,
}

impl PostgresLinks {
    /// Prepares connections to where this pool connects to.
    pub(crate) fn new(pool: &PgPool, schema: Schema) -> Self {
        let options = (*pool.connect_options()).clone();
        let generation: Arc<AtomicU64> = Arc::default();
        let link = |what, connections| Link::new(&options, what, connections, Arc::clone(&generation));
        let (pushes, claims, answers) = (link("pushes", PUSHES), link("claims", 1), link("answers", 1));
        let (process, thread) = (Uuid::new_v4(), OneThread::default());
        Self(Arc::new(Inner { options, schema, process, generation, pushes, claims, answers, thread }))
    }

    pub(crate) fn generation(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.generation)
    }

    pub(crate) fn pushes(&self) -> PostgresTables {
        self.over(&self.0.pushes)
    }

    pub(crate) fn claims(&self) -> PostgresTables {
        self.over(&self.0.claims)
    }

    pub(crate) fn answers(&self) -> PostgresTables {
        self.over(&self.0.answers)
    }

    fn over(&self, link: &Link) -> PostgresTables {
        PostgresTables::new(self.0.schema, link.clone(), self.0.process)
    }

    /// The thread of this process, which is started if there is none.
    pub(crate) fn thread(&self) -> io::Result<Arc<LeaseThread>> {
        self.0.thread.get(|wakes| {
            let leases = Link::new(&self.0.options, "leases", 1, self.generation());
            let waker =
                Waker { options: self.0.options.clone(), generation: self.generation(), wakes: Arc::clone(wakes) };
            Ok((Broker::Postgres(self.over(&leases)), waker.run()))
        })
    }
}
