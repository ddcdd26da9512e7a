//! The outermost layer of an apalis worker on this backend: it turns the result of the service and its layers into the end
//! of the lease.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    error::{AbortError, BoxDynError, RetryAfterError},
    task::Task,
};
use futures::future::BoxFuture;
use tower::{Layer, Service};

use super::{
    LeaseLost,
    acks::{AckOutcome, AckReply},
    held_leases::HeldLeases,
    isolation::{Isolation, RetryLater},
};
use crate::broker::FailedDeliveries;

/// A service returns this error to release the job to another worker. That does not count as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Release {
    /// Released at once, to the front of its line: the next worker with room gets it.
    #[error("released to another worker")]
    Now,
    /// Released to a worker that can read it, after this delay, to the end of its line: the jobs that this worker can read go
    /// before it.
    #[error("released to a worker that can read it")]
    Unreadable(Duration),
}

/// Makes a [`LeaseService`] of a service.
#[derive(Clone)]
pub struct LeaseLayer {
    pub(super) held: Arc<HeldLeases>,
    /// First and longest delay before a failed task is delivered again.
    pub(super) backoff: (Duration, Duration),
    pub(super) isolation: Isolation,
}

impl<S> Layer<S> for LeaseLayer {
    type Service = LeaseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LeaseService { inner, layer: self.clone() }
    }
}

/// A service whose result ends the lease of its task.
#[derive(Clone)]
pub struct LeaseService<S> {
    inner: S,
    layer: LeaseLayer,
}

impl<S, Args> Service<Task<Args>> for LeaseService<S>
where
    S: Service<Task<Args>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = S::Response;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<S::Response, BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Args>) -> Self::Future {
        let id = task.task_id().map(ToString::to_string).unwrap_or_default();
        let number = task.attempt() as u64 + 1;
        let lease = TaskLease { held: Arc::clone(&self.layer.held), id: Some(id.clone()), number };
        let failed_deliveries = task.data().get::<FailedDeliveries>().cloned().unwrap_or_default();
        let lost = task.data().get::<LeaseLost>().map(|lost| lost.0.clone()).unwrap_or_default();
        let (backoff, isolation) = (self.layer.backoff, self.layer.isolation.clone());
        let answer = self.inner.call(task);
        Box::pin(async move {
            let _place = match isolation.place(&id, number, &failed_deliveries, &lost).await {
                Ok(place) => place,
                Err(RetryLater(delay)) => {
                    lease.end(AckOutcome::Requeue(delay));
                    return Err(Release::Now.into());
                }
            };
            let result = answer.await.map_err(Into::into);
            lease.end(match &result {
                Ok(_) => AckOutcome::Done,
                Err(error) => outcome(error, number, backoff),
            });
            result
        })
    }
}

/// A lease that is released when the task's future is dropped.
struct TaskLease {
    held: Arc<HeldLeases>,
    id: Option<String>,
    number: u64,
}

impl TaskLease {
    fn end(mut self, outcome: AckOutcome) {
        if let Some(id) = self.id.take() {
            self.held.finish(AckReply { id, number: self.number, outcome });
        }
    }
}

impl Drop for TaskLease {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.held.finish(AckReply { id, number: self.number, outcome: AckOutcome::Requeue(Duration::ZERO) });
        }
    }
}

fn outcome(error: &BoxDynError, number: u64, (first, longest): (Duration, Duration)) -> AckOutcome {
    if let Some(back) = error.downcast_ref::<Release>() {
        match back {
            Release::Now => AckOutcome::Requeue(Duration::ZERO),
            Release::Unreadable(delay) => AckOutcome::Unreadable(*delay),
        }
    } else if error.is::<AbortError>() {
        AckOutcome::DeadLetter(error.to_string())
    } else if let Some(retry) = error.downcast_ref::<RetryAfterError>() {
        AckOutcome::Failed(retry.get_duration().max(Duration::from_millis(1)))
    } else {
        let exponent = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        AckOutcome::Failed((first * 2_u32.pow(exponent)).min(longest).max(Duration::from_millis(1)))
    }
}
