//! The last hour, as this process has seen it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use crate::{
    Error,
    board::{App, State},
    chart::Samples,
    engines::Engine,
};

/// Between two looks at the engines: with the patience of a look, an engine that is back is seen to be within 5 s.
const ENGINES_EVERY: Duration = Duration::from_secs(2);

/// What was seen. Lost with the process: Prometheus remembers longer.
#[derive(Default)]
pub(crate) struct History {
    /// Jobs done a second.
    pub(crate) jobs: Samples,
    /// Jobs that wait.
    pub(crate) backlog: Samples,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    queues: Vec<String>,
    engines: Option<Arc<[Engine]>>,
}

impl History {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the queues, as of the last look: to choose from, they need no look of their own.
    pub(crate) fn queues(&self) -> Vec<String> {
        self.seen().queues.clone()
    }

    /// How the engines were at the last look; none: there was none yet.
    pub(crate) fn engines(&self) -> Option<Arc<[Engine]>> {
        self.seen().engines.clone()
    }

    /// The broker did not answer at the last look: what only it knows is not known.
    pub(crate) fn broker_is_silent(&self) -> bool {
        let engines = self.engines();
        engines.iter().flat_map(|engines| engines.iter()).any(|engine| engine.name == "redis" && !engine.is_ok())
    }

    /// Which engine it is that keeps a page from being shown, as far as the last look knows.
    pub(crate) fn unreachable(&self) -> &'static str {
        let engines = self.engines();
        let mut wrong = engines.iter().flat_map(|engines| engines.iter()).filter(|engine| !engine.is_ok());
        match wrong.next().map(|engine| engine.name) {
            Some("postgres") => "Postgres is unreachable",
            Some("redis") => "Redis is unreachable",
            _ => "The database does not answer in time",
        }
    }
}

/// Looks at the engines, also while a look at the queues waits for one of them; until nobody has the board any more.
pub(crate) async fn examine(board: Weak<State>) {
    let mut clock = tokio::time::interval(ENGINES_EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let Some(app) = board.upgrade() else { return };
        let engines = (app.examine)().await.into();
        app.history.seen().engines = Some(engines);
    }
}

pub(crate) async fn sample(board: Weak<State>) {
    let mut clock = tokio::time::interval(Samples::EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        let Some(app) = board.upgrade() else { return };
        if let Err(error) = look(&app).await {
            tracing::warn!(%error, "the dashboard cannot look at the queues");
        }
    }
}

async fn look(app: &App) -> Result<(), Error> {
    let queues = app.queue.queues().list().await?;
    app.history.jobs.push(queues.iter().filter_map(|queue| queue.acked_per_second).sum());
    app.history.backlog.push(queues.iter().map(|queue| queue.available).sum::<u64>() as f64);
    app.history.seen().queues = queues.into_iter().map(|queue| queue.name).collect();
    Ok(())
}
