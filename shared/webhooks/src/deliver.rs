//! One delivery: read, called, written down. What is read and written is gathered: one statement for all that wait for it.

mod rows;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gristmill_core::Batcher;
use gristmill_platform::config::OutboundConfig;
use gristmill_queue::{Claim, Queue, QueueError};
use jiff::Timestamp;
use rand::RngExt as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::{
    breaker::{Breakers, Health},
    jobs::Deliver,
    outbound::{Answer, CallError, Outbound},
};
use rows::{Attempt, DueDelivery};

/// Delivers. Clones share their connections and what they know of endpoints.
#[derive(Clone)]
pub struct Deliverer {
    outbound: Outbound,
    breakers: Arc<Breakers>,
    due: Batcher<Uuid, Option<DueDelivery>>,
    attempts: Batcher<Attempt, ()>,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum DeliveryOutcome {
    /// It has ended, one way or the other, and what became of it is written down, with the end of its job.
    Ended,
    /// It was not tried: its endpoint is left alone for about so long.
    Later(Duration),
    /// It was tried, and is to be tried again after this.
    Failed(Duration, String),
}

const BATCH: usize = 256;

impl Deliverer {
    /// Needs a runtime.
    ///
    /// # Errors
    /// When TLS cannot be initialised.
    pub fn new(config: &OutboundConfig, queue: Queue) -> Result<Self, reqwest::Error> {
        let reading = queue.pool().clone();
        let due = Batcher::new("webhooks.due", BATCH, move |ids: Vec<Uuid>| {
            let pool = reading.clone();
            async move { Ok::<_, QueueError>(rows::due(&pool, &ids).await?) }
        });
        let attempts = Batcher::new("webhooks.attempts", BATCH, move |attempts: Vec<Attempt>| {
            let queue = queue.clone();
            async move {
                rows::record(&queue, &attempts).await?;
                Ok::<_, QueueError>(vec![(); attempts.len()])
            }
        });
        Ok(Self { outbound: Outbound::new(config)?, breakers: Arc::default(), due, attempts })
    }

    /// Calls addresses, as deliveries do.
    #[must_use]
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Tries a delivery, for the `attempt`th time, from 1. Where it ends, its job is completed in the transaction that
    /// writes down what became of it.
    pub async fn deliver(&self, claim: &Claim, delivery_id: Uuid, attempt: u32) -> DeliveryOutcome {
        // Another run has ended it, or it is so old that it is gone.
        let Some(due) = self.due.submit(delivery_id).await else { return DeliveryOutcome::Ended };
        let Some(endpoint) = &due.endpoint else {
            let cancelled = Attempt::cancelled(&due, claim, "the endpoint is disabled or deleted");
            self.attempts.submit(cancelled).await;
            return DeliveryOutcome::Ended;
        };
        let call = match self.breakers.call(due.endpoint_id) {
            Ok(call) => call,
            Err(wait) => return DeliveryOutcome::Later(wait),
        };
        let id = message_id(due.event_id);
        let now = Timestamp::now().as_second();
        let keys = std::iter::once(endpoint.secret.as_slice()).chain(endpoint.old_secret.as_deref());
        let signature = endpoint.scheme.header(keys, &id, now, &due.payload);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", now.to_string()), ("webhook-signature", signature)]
        {
            // Digits and letters of Base64: always a header's value.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        let started = Instant::now();
        let result = self.outbound.post(&endpoint.url, headers, due.payload.clone()).await;
        let latency = started.elapsed();
        call.told(health(&result));
        let error = fault(&result);
        metrics::counter!("gristmill_webhooks_total", "outcome" => if error.is_none() { "delivered" } else { "failed" })
            .increment(1);
        metrics::histogram!("gristmill_webhook_seconds").record(latency);
        let wait = match (&error, Deliver::wait(attempt)) {
            (Some(error), Some(wait)) if !is_gone(&result) => Some((wait_for(wait, &result), error.clone())),
            _ => None,
        };
        let ends = wait.is_none().then_some(claim);
        self.attempts.submit(Attempt::of(&due, &result, error, ends, latency)).await;
        wait.map_or(DeliveryOutcome::Ended, |(wait, error)| DeliveryOutcome::Failed(wait, error))
    }
}

/// What receivers know an event by.
pub(crate) fn message_id(event_id: Uuid) -> String {
    format!("msg_{}", event_id.simple())
}

type CallResult = Result<Answer, CallError>;

fn is_gone(called: &CallResult) -> bool {
    matches!(called, Ok(answer) if answer.status.as_u16() == 410)
}

/// Why it is not delivered.
fn fault(called: &CallResult) -> Option<String> {
    match called {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(format!("answered {}", answer.status)),
        Err(error) => Some(chain(error)),
    }
}

fn health(called: &CallResult) -> Health {
    let Ok(answer) = called else { return Health::Unwell };
    let patience = matches!(answer.status.as_u16(), 429 | 503).then(|| answer.retry_after()).flatten();
    match (patience, answer.status.is_server_error() || answer.status.as_u16() == 429) {
        (Some(patience), _) => Health::Asks(patience),
        (None, true) => Health::Unwell,
        (None, false) => Health::Well,
    }
}

/// With jitter, and not before the endpoint wants to hear of it again.
fn wait_for(wait: Duration, called: &CallResult) -> Duration {
    let asked = called.as_ref().ok().and_then(Answer::retry_after).unwrap_or_default();
    wait.mul_f64(rand::rng().random_range(0.9..1.2)).max(asked)
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
