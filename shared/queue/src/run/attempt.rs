//! One call of a body, with everything that may befall it.

use std::{any::Any, time::Duration, time::Instant};

use gristmill_core::ClientId;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Span, info_span, warn};

use super::Runner;
use crate::{
    Backoff, Content, ContentKind, Context, JobError, QueueConfig, codec,
    envelope::{Envelope, now_millis},
    ledger::{
        fail::{Outcome, Verdict},
        fence::Runnable,
        logs::NewLogs,
    },
    logs, trace,
    worker::RegisteredJob,
};

/// How a body ended.
pub(super) enum End {
    Done,
    Failed(Verdict),
    /// Why.
    Undecodable(String),
    OutOfGrace,
}

/// A body that does not heed its cancellation is dropped after this.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// What an attempt has said holds up nobody for longer than this.
const LOGS_DEADLINE: Duration = Duration::from_secs(10);

impl Runner {
    /// Runs the body, and keeps what it has said before anybody hears of its end.
    pub(super) async fn attempt(
        &self,
        body: &RegisteredJob,
        context: Context,
        queue: &str,
        envelope: &Envelope<'_>,
        runnable: Runnable,
    ) -> End {
        let (id, attempt) = (context.claim.id, context.attempt);
        let (span, logs) = logs::capture(|| {
            info_span!("job", job = %id, name = &*body.name, queue, attempt, delivery = context.claim.delivery,
                client_id = context.client_id.map(ClientId::get), otel.kind = "consumer", messaging.system = "gristmill",
                messaging.destination.name = queue, messaging.operation.name = "process", messaging.operation.type = "process",
                messaging.message.id = %id, trace_id = tracing::field::Empty)
        });
        let end = self.call(body, context, queue, envelope, runnable, span).await;
        let lines = logs.map(|logs| logs.take()).filter(|lines| !lines.is_empty());
        if let Some(lines) = lines {
            let kept = tokio::time::timeout(LOGS_DEADLINE, self.logs.submit(NewLogs { id, attempt, lines }));
            // At the end of the grace period they are lost, as with a worker that dies.
            if let Ok(Err(_)) = self.within_grace(kept).await {
                warn!(job = %id, attempt, "what an attempt has said is not written yet: its end does not wait for it");
            }
        }
        end
    }

    async fn call(
        &self,
        body: &RegisteredJob,
        context: Context,
        queue: &str,
        envelope: &Envelope<'_>,
        runnable: Runnable,
        span: Span,
    ) -> End {
        let timeout = runnable.timeout.unwrap_or(body.timeout);
        let (attempt, max_attempts) = (context.attempt, context.max_attempts);
        let cancel = context.cancel.clone();
        let _watched = self.watch.over(&context.claim, &cancel);
        let trace_parent = context.trace_parent.clone();
        let content = Content::new(&envelope.name, ContentKind::Payload);
        let payload = match codec::decode(self.queue.config().codec(), content, envelope.payload.get()) {
            Ok(payload) => payload,
            Err(error) => return End::Undecodable(error.to_string()),
        };
        let run = match (body.call)(context, &payload, envelope.version) {
            Ok(run) => run,
            Err(error) => return End::Undecodable(format!("the payload does not decode: {error}")),
        };
        let failed = |outcome, error: String, delay: Option<Duration>| {
            let delay = delay
                .or_else(|| runnable.backoff.map(|backoff| backoff.after(attempt)))
                .or_else(|| (body.backoff)(attempt));
            let delay = delay.unwrap_or_else(|| backoff(self.queue.config(), attempt));
            span.in_scope(|| warn!(error, max_attempts, ?delay, "failed"));
            trace::failed(&span, &error);
            End::Failed(Outcome::after(outcome, delay, error))
        };
        let started = Instant::now();
        let record_run = || {
            let labels = [("queue", queue.to_owned()), ("name", body.name.to_string())];
            metrics::histogram!("gristmill_job_run_seconds", &labels).record(started.elapsed());
        };
        // A task of its own: bodies run in parallel, and a panic stays in it.
        let task = AbortOnDropHandle::new(tokio::spawn(trace::follow(trace_parent, span.clone(), run)));
        let result = tokio::select! {
            result = task => result,
            () = tokio::time::sleep(timeout) => {
                record_run();
                let error = format!("timed out after {timeout:?}");
                return failed(Outcome::TimedOut, error, None);
            }
            () = async { cancel.cancelled().await; tokio::time::sleep(CANCEL_GRACE).await } => {
                record_run();
                let error = format!("did not heed its cancellation for {CANCEL_GRACE:?}: abandoned");
                span.in_scope(|| warn!(error));
                trace::failed(&span, &error);
                return End::Failed(Outcome::Cancelled.because(error));
            }
            () = self.give_up.cancelled() => return End::OutOfGrace,
        };
        record_run();
        match result {
            Ok(Ok(())) => End::Done,
            Ok(Err(JobError::Cancelled)) => End::Failed(Verdict::CANCELLED),
            Ok(Err(error)) if cancel.is_cancelled() => End::Failed(Outcome::Cancelled.because(error.to_string())),
            Ok(Err(JobError::Snooze(delay))) => End::Failed(Verdict::snooze(delay)),
            Ok(Err(JobError::Sleeping { left, signal })) => End::Failed(Verdict::asleep(left, signal)),
            Ok(Err(error @ JobError::Discard(_))) => {
                let error = error.to_string();
                span.in_scope(|| warn!(error, "discarded"));
                trace::failed(&span, &error);
                End::Failed(Outcome::Discarded.because(error))
            }
            Ok(Err(JobError::RetryAfter(delay, source))) => {
                failed(Outcome::Retried, gristmill_core::chain(&*source), Some(delay))
            }
            Ok(Err(error @ JobError::Retry(_))) => failed(Outcome::Retried, error.to_string(), None),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => failed(Outcome::Panicked, format!("panicked: {}", panic_text(&*panic)), None),
                Err(error) => failed(Outcome::Retried, error.to_string(), None),
            },
        }
    }
}

pub(crate) fn backoff(config: &QueueConfig, attempt: u32) -> Duration {
    Backoff::Exponential { delay: config.backoff, limit: config.backoff_limit }.after(attempt)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("something that is not a text")
}

/// Records how long a job waited since it was due.
pub(crate) fn record_wait(queue: &str, name: &str, due: i64) {
    let seconds = (now_millis() - due).max(0) as f64 / 1_000.0;
    metrics::histogram!("gristmill_job_wait_seconds", "queue" => queue.to_owned(), "name" => name.to_owned())
        .record(seconds);
}

/// Counts how a run ended.
pub(crate) fn count(queue: &str, name: &str, outcome: &'static str) {
    metrics::counter!("gristmill_jobs_total", "queue" => queue.to_owned(), "name" => name.to_owned(), "outcome" => outcome)
        .increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let config = QueueConfig::new("redis://");
        for (attempt, seconds) in [(1, 1.0), (2, 2.0), (5, 16.0), (11, 600.0), (4_000_000_000, 600.0)] {
            let waited = backoff(&config, attempt).as_secs_f64();
            assert!((seconds * 0.75..seconds * 1.25).contains(&waited), "attempt {attempt}: {waited} s");
        }
    }
}
