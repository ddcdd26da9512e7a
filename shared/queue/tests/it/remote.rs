//! Workers that are elsewhere: claims, reports, and what becomes of a silent one.

mod claims;
mod lost;
mod reports;
mod resume;
mod tickets;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use gristmill_queue::{
    GroupPolicy, Job, JobId, JobSpec, Limits, LogLevel, LogLine, NewGroup, Options, Progress, Queue, QueueConfig,
    remote::{
        Remote, RemoteClaim, RemoteDelivery, RemoteFailure, RemoteOrders, RemoteReport, RemoteSleep, RemoteStep,
        RemoteWait, RemoteWorker, Ticket,
    },
};
use serde::{Deserialize, Serialize};

use crate::support::{Effect, Join, LONG, TestQueue, config, on, sweep, test_queue, until, work};

/// A job that only remote workers know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Thumb {
    n: i64,
}

impl Job for Thumb {
    const NAME: &'static str = "thumb";
}

fn thumbs(n: i64) -> Vec<Thumb> {
    (0..n).map(|n| Thumb { n }).collect()
}

/// A worker elsewhere.
pub(crate) struct Elsewhere {
    remote: Remote,
    worker: RemoteWorker,
}

impl Elsewhere {
    pub(crate) fn new(queue: &Queue, name: &str) -> Self {
        let worker = RemoteWorker { name: name.into(), language: Some("python".into()), ..RemoteWorker::default() };
        Self { remote: Remote::new(queue), worker }
    }

    async fn claim(&self, room: usize, wait: Duration) -> Vec<RemoteDelivery> {
        self.claim_from("default", &["thumb"], room, wait).await
    }

    pub(crate) async fn claim_from(
        &self,
        queue: &str,
        names: &[&str],
        room: usize,
        wait: Duration,
    ) -> Vec<RemoteDelivery> {
        let queues = BTreeMap::from([(queue.to_owned(), room)]);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.remote.claim(RemoteClaim { worker: self.worker.clone(), queues, names, wait }).await.unwrap().deliveries
    }

    pub(crate) async fn report(&self, report: RemoteReport) -> RemoteOrders {
        self.remote.report(RemoteReport { worker: self.worker.clone(), ..report }).await.unwrap()
    }

    pub(crate) async fn done(&self, tickets: &[Ticket]) -> RemoteOrders {
        let done = tickets.iter().map(|ticket| (*ticket, None)).collect();
        self.report(RemoteReport { done, ..RemoteReport::default() }).await
    }

    async fn held(&self, tickets: &[Ticket]) -> RemoteOrders {
        self.report(RemoteReport { held: tickets.to_vec(), ..RemoteReport::default() }).await
    }
}

pub(crate) fn tickets(jobs: &[RemoteDelivery]) -> Vec<Ticket> {
    jobs.iter().map(|job| job.ticket).collect()
}

async fn result(test: &TestQueue, id: JobId) -> Option<String> {
    sqlx::query_scalar("select result::text from gristmill.jobs where id = $1")
        .bind(id)
        .fetch_one(&test.pool)
        .await
        .unwrap()
}

const SOON: Duration = Duration::from_secs(10);
