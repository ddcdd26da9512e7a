//! Whether Postgres and the broker answer.

use std::{future::Future, time::Duration};

use gristmill_queue::Queue;

/// How long an engine may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// `postgres` or `redis`; others are shown too.
    pub name: &'static str,
    /// `ok`, or what is wrong. `does not answer` is shown as unreachable.
    pub outcome: String,
}

impl Engine {
    /// It answers.
    #[must_use]
    pub fn ok(name: &'static str) -> Self {
        Self { name, outcome: OK.to_owned() }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.outcome == OK
    }

    /// In a word where there is one.
    pub(crate) fn word(&self) -> &str {
        if self.outcome.starts_with("does not answer") { "unreachable" } else { &self.outcome }
    }
}

const OK: &str = "ok";

/// Asks Postgres, and Redis if that is the broker.
pub(crate) async fn examine(queue: &Queue) -> Vec<Engine> {
    let postgres = asked("postgres", async { sqlx::query("select 1").execute(queue.pool()).await.map(drop) });
    if queue.broker_name() != "redis" {
        return vec![postgres.await];
    }
    let redis = asked("redis", async { queue.broker_memory().await.map(drop) });
    let (postgres, redis) = tokio::join!(postgres, redis);
    vec![postgres, redis]
}

/// The broker's name for people.
pub(crate) fn broker(queue: &Queue) -> &'static str {
    match queue.broker_name() {
        "redis" => "Redis",
        "postgres" => "Postgres",
        _ => "The broker",
    }
}

async fn asked<E: std::error::Error + 'static>(
    name: &'static str,
    answer: impl Future<Output = Result<(), E>>,
) -> Engine {
    let outcome = match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok(())) => return Engine::ok(name),
        Ok(Err(error)) => {
            tracing::warn!(error = gristmill_core::chain(&error), engine = name, "does not answer the board");
            "does not answer"
        }
        Err(_) => "does not answer in time",
    };
    Engine { name, outcome: outcome.to_owned() }
}
