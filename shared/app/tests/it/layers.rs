//! Layers of tower, and of apalis, around attempts.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use apalis::layers::{catch_panic::CatchPanicLayer, retry::RetryPolicy, tracing::TraceLayer};
use gristmill::{
    Apalis, Attempt,
    apalis_core::{
        error::AbortError,
        task::{attempt::Attempt as Number, data::Data as ApalisData},
    },
    prelude::*,
};
use tower::{
    Layer, Service, ServiceBuilder,
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, RateLimitLayer},
    retry::RetryLayer,
    timeout::TimeoutLayer,
};

use crate::support::{Add, End, add, app};

const MINUTE: Duration = Duration::from_secs(60);

type Log = Arc<Mutex<Vec<String>>>;

/// A layer as users write it: what it sees, and that it sees the end.
#[derive(Clone)]
struct Noting {
    name: &'static str,
    log: Log,
}

impl<S> Layer<S> for Noting {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted { inner, note: self.clone() }
    }
}

#[derive(Clone)]
struct Noted<S> {
    inner: S,
    note: Noting,
}

impl<S> Service<Attempt> for Noted<S>
where
    S: Service<Attempt, Response = ()>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        let job = attempt.data().get::<Context>().unwrap().name.clone();
        let Noting { name, log } = self.note.clone();
        log.lock().unwrap().push(format!("{name} before {job}"));
        let run = self.inner.call(attempt);
        Box::pin(async move {
            let ended = run.await;
            log.lock().unwrap().push(format!("{name} after {}", ended.is_ok()));
            ended
        })
    }
}

#[tokio::test]
async fn the_first_is_the_outermost_and_those_of_a_job_are_inside() {
    let log = Log::default();
    let noting = |name| Noting { name, log: Arc::clone(&log) };
    let app = app()
        .layer(noting("outer"))
        .layer(noting("inner"))
        .job_with(add, |job| job.layer(noting("own")))
        .inline()
        .unwrap();
    app.enqueue(Add { a: 1, b: 1 }).await.unwrap();
    let expected = [
        "outer before add",
        "inner before add",
        "own before add",
        "own after true",
        "inner after true",
        "outer after true",
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

/// Counts how many of them run at the same time.
#[derive(Clone, Default)]
struct Crowd(Arc<(AtomicUsize, AtomicUsize)>);

impl Crowd {
    async fn join(&self) {
        let (now, most) = &*self.0;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(30)).await;
        now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrency_limit_of_tower_counts_for_all_jobs_of_the_process() {
    async fn one(_: Add, Data(crowd): Data<Crowd>) {
        crowd.join().await;
    }
    async fn other(_: End, Data(crowd): Data<Crowd>) {
        crowd.join().await;
    }
    let crowd = Crowd::default();
    let limited = app().data(crowd.clone()).layer(ConcurrencyLimitLayer::new(2)).job(one).job(other);
    let app = limited.test().await.unwrap();
    app.enqueue_all((0..6).map(|n| Add { a: n, b: n })).await.unwrap();
    app.enqueue_all((0..6).map(|_| End::by("well"))).await.unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 12);
    assert_eq!(crowd.most(), 2);
}

#[tokio::test]
async fn a_timeout_of_tower_is_a_failed_attempt() {
    async fn slow(_: End) {
        std::future::pending().await
    }
    let app = app().layer(TimeoutLayer::new(Duration::from_millis(100))).job(slow).test().await.unwrap();
    let job = app.enqueue(End::by("slow")).max_attempts(1).await.unwrap();
    app.drain().await.unwrap();
    let error = job.wait::<()>(MINUTE).await.unwrap_err().to_string();
    assert!(error.ends_with("is dead: request timed out"), "{error}");
}

#[tokio::test]
async fn a_service_that_cannot_be_cloned_goes_into_a_buffer() {
    let stack =
        ServiceBuilder::new().layer(BufferLayer::new(64)).layer(RateLimitLayer::new(100, Duration::from_secs(1)));
    let app = app().layer(stack).job(add).inline().unwrap();
    let job = app.enqueue(Add { a: 2, b: 2 }).await.unwrap();
    assert_eq!(job.wait::<i64>(MINUTE).await.unwrap(), 4);
}

#[tokio::test]
async fn what_a_job_says_of_its_failure_passes_through_layers() {
    async fn end(_: End) -> Result<(), JobError> {
        Err(JobError::Snooze(Duration::from_secs(60)))
    }
    let stack = ServiceBuilder::new().layer(BufferLayer::new(8)).layer(TimeoutLayer::new(MINUTE));
    let app = app().layer(stack).layer(TraceLayer::new()).job(end).inline().unwrap();
    app.enqueue(End::by("snooze")).await.unwrap();
    let record = &app.jobs()[0];
    assert_eq!((record.attempt, record.error.as_deref()), (0, None), "a snooze is no attempt: {record:?}");
}

#[tokio::test]
async fn layers_of_apalis() {
    /// Fails twice.
    async fn third(
        _: End,
        Data(tries): Data<Arc<AtomicUsize>>,
        number: Number,
        given: Apalis<ApalisData<&'static str>>,
    ) -> Result<u32, JobError> {
        assert_eq!((number.current(), *given.0), (1, "by a layer"));
        match tries.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(JobError::retry("not yet")),
            _ => Ok(3),
        }
    }
    let tries = Arc::new(AtomicUsize::new(0));
    let retries = app()
        .data(Arc::clone(&tries))
        .layer(TraceLayer::new())
        .layer(RetryLayer::new(RetryPolicy::retries(5)))
        .layer(ApalisData::new("by a layer"))
        .job(third);
    let app = retries.test().await.unwrap();
    let job = app.enqueue(End::by("third")).await.unwrap();
    app.drain().await.unwrap();
    assert_eq!(job.wait::<u32>(MINUTE).await.unwrap(), 3);
    let attempts = app.queue().unwrap().jobs().get(job.id().unwrap()).await.unwrap().unwrap().attempts;
    assert!(attempts.is_empty(), "tries of a layer are one attempt: {attempts:?}");
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn errors_of_apalis_mean_what_they_mean_there() {
    async fn abort(_: Add) -> Result<(), AbortError> {
        Err(AbortError::new("never"))
    }
    async fn panics(_: End) {
        panic!("oh dear");
    }
    let app = app().layer(CatchPanicLayer::new()).job(abort).job(panics).inline().unwrap();
    app.enqueue(Add { a: 1, b: 1 }).await.unwrap();
    // CatchPanic makes an abort of a panic.
    app.enqueue(End::by("panic")).await.unwrap();
    for record in app.jobs() {
        assert_eq!(record.state, gristmill::JobState::Dead, "{record:?}");
    }
}
