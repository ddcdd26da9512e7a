//! Where apalis calls the runner.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{backend::codec::Codec, error::BoxDynError, task::Task};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{
    Delivery, Runner,
    lost::{Lost, remember_lost},
};
use crate::{
    JobId,
    broker::LostDelivery,
    delivery::{DeadLetter, DeadLetterReason, DeadLetterSink, LeaseCheck, LeaseLost, RunningName},
    ledger::fail::{Outcome, Run},
};

/// Payloads go through the broker as they are: the runner decodes, because the ledger must know when that fails.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawCodec;

impl Codec<Vec<u8>> for RawCodec {
    type Error = Infallible;
    type Compact = Vec<u8>;

    fn encode(&self, bytes: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(bytes.clone())
    }

    fn decode(&self, bytes: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(bytes.clone())
    }
}

/// The tower service of one queue.
#[derive(Clone)]
pub(crate) struct Service {
    runner: Arc<Runner>,
    queue: Arc<str>,
}

impl Service {
    pub(crate) fn new(runner: Arc<Runner>, queue: Arc<str>) -> Self {
        Self { runner, queue }
    }
}

impl tower::Service<Task<Vec<u8>>> for Service {
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Vec<u8>>) -> Self::Future {
        let (runner, queue) = (Arc::clone(&self.runner), Arc::clone(&self.queue));
        // Read before the first poll, at which apalis counts this attempt.
        let number = task.attempt() as u64 + 1;
        Box::pin(async move {
            let Some(id) = task.task_id().and_then(|id| id.to_string().parse::<JobId>().ok()) else {
                tracing::error!(queue = &*queue, "a job without one of our ids is dropped");
                return Ok(());
            };
            let lost = task.data().get::<LeaseLost>().map_or_else(CancellationToken::new, |lost| lost.0.clone());
            let name = task.data().get::<RunningName>().cloned().unwrap_or_default();
            let lease_check = task.data().get::<Option<Arc<LeaseCheck>>>().cloned().flatten();
            let delivery = Delivery { queue, id, number, lost, name, lease_check, body: task.args };
            runner.run(delivery).await.map_err(Into::into)
        })
    }
}

/// Jobs of one queue that the broker gives up are dead in the ledger, unless their own handler knows better.
pub(crate) struct LedgerDeadLetters {
    runner: Arc<Runner>,
    queue: Arc<str>,
}

impl LedgerDeadLetters {
    pub(crate) fn new(runner: Arc<Runner>, queue: Arc<str>) -> Self {
        Self { runner, queue }
    }
}

impl DeadLetterSink for LedgerDeadLetters {
    fn store(&self, job: DeadLetter) -> BoxFuture<'_, Result<(), BoxDynError>> {
        Box::pin(async move {
            let id: JobId = job.id.parse()?;
            let verdict = match job.reason {
                DeadLetterReason::LostWorker { deliveries } => {
                    let lost = Lost { queue: &self.queue, id, deliveries, message: &job.payload };
                    return self.runner.lost(lost).await;
                }
                DeadLetterReason::Undecodable(error) => {
                    Outcome::Parked.because(format!("the message does not decode: {error}"))
                }
                DeadLetterReason::Aborted(error) => Outcome::Discarded.because(error),
            };
            self.runner.settle(id, Some(Run::default()), &self.queue, "", verdict).await.map(drop).map_err(Into::into)
        })
    }

    fn record_lost(&self, deliveries: Vec<LostDelivery>) -> BoxFuture<'_, Result<(), BoxDynError>> {
        Box::pin(async move { Ok(remember_lost(&self.runner.queue, &deliveries).await?) })
    }
}
