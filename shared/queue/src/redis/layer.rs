//! The outermost layer of an apalis worker on this backend: whatever the service and its layers answer
//! becomes the end of the lease.

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
    LeaseLost, Strikes,
    acks::{Answer, Verdict},
    company::{Company, Later},
    fetch::Claims,
};

/// A service answers with this error to give the job back to another worker, and not as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandBack {
    /// To whoever comes first, at once, to the front of its line.
    #[error("handed back")]
    Now,
    /// To those who can read it, after so long, to the end of its line: what this worker can read goes before.
    #[error("left to a worker that can read it")]
    Unreadable(Duration),
}

/// See the module.
#[derive(Clone)]
pub struct LeaseLayer {
    pub(super) claims: Arc<Claims>,
    /// First and longest wait of a failed task.
    pub(super) backoff: (Duration, Duration),
    pub(super) company: Company,
}

impl<S> Layer<S> for LeaseLayer {
    type Service = LeaseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LeaseService { inner, layer: self.clone() }
    }
}

/// See [`LeaseLayer`].
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
        let held = Held { claims: Arc::clone(&self.layer.claims), id: Some(id.clone()), number };
        let strikes = task.data().get::<Strikes>().cloned().unwrap_or_default();
        let lost = task.data().get::<LeaseLost>().map(|lost| lost.0.clone()).unwrap_or_default();
        let (backoff, company) = (self.layer.backoff, self.layer.company.clone());
        let answer = self.inner.call(task);
        Box::pin(async move {
            let _place = match company.place(&id, number, &strikes, &lost).await {
                Ok(place) => place,
                Err(Later(delay)) => {
                    held.end(Verdict::Back(delay));
                    return Err(HandBack::Now.into());
                }
            };
            let result = answer.await.map_err(Into::into);
            held.end(match &result {
                Ok(_) => Verdict::Done,
                Err(error) => verdict(error, number, backoff),
            });
            result
        })
    }
}

/// A claim that gives itself back when its future is dropped.
struct Held {
    claims: Arc<Claims>,
    id: Option<String>,
    number: u64,
}

impl Held {
    fn end(mut self, verdict: Verdict) {
        if let Some(id) = self.id.take() {
            self.claims.answer(Answer { id, number: self.number, verdict });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.claims.answer(Answer { id, number: self.number, verdict: Verdict::Back(Duration::ZERO) });
        }
    }
}

fn verdict(error: &BoxDynError, number: u64, (first, longest): (Duration, Duration)) -> Verdict {
    if let Some(back) = error.downcast_ref::<HandBack>() {
        match back {
            HandBack::Now => Verdict::Back(Duration::ZERO),
            HandBack::Unreadable(delay) => Verdict::Leave(*delay),
        }
    } else if error.is::<AbortError>() {
        Verdict::DeadLetter(error.to_string())
    } else if let Some(retry) = error.downcast_ref::<RetryAfterError>() {
        Verdict::Failed(retry.get_duration().max(Duration::from_millis(1)))
    } else {
        let exponent = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        Verdict::Failed((first * 2_u32.pow(exponent)).min(longest).max(Duration::from_millis(1)))
    }
}
