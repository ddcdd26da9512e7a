//! An application without engines: handlers run at once, in memory.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use gristmill_queue::{
    Backoff, Cause, Claim, Context, Job, JobError, JobEvent, JobEventKind, JobId, JobState, Options, Queue,
    QueueConfig, UniqueMode,
};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    App, Client, Error,
    client::{Ended, Mode},
    enqueue::Taken,
    extract::Tick,
    hook::Hooks,
    job::Runner,
};

impl App {
    /// An application without Postgres and without a broker, for tests that are to take no time: a job that is enqueued runs
    /// at once, to the end of its attempt, before `.enqueue(…).await` returns. What fails, and what has a delay, waits for
    /// [`InlineApp::advance`].
    ///
    /// Layers, data, extractors, hooks, results and the consts of [`Job`] (timeout, attempts, backoff) count as ever. There is no
    /// [`Tx`](crate::Tx), no `PgPool`, no `.in_(…)`, no group and no [`Unique`](gristmill_queue::Unique): these say so by an error. Priorities, fair
    /// keys, limits and leases mean nothing here: nothing runs at the same time. [`App::test`](crate::App::test) has all of it.
    ///
    /// # Errors
    /// Returns an error if a handler lacks what it needs, or a schedule has no job.
    pub fn inline(mut self) -> Result<InlineApp, Error> {
        self.check()?;
        let schedules = std::mem::take(&mut self.schedules);
        let schedules = schedules.into_iter().map(|new| new.map(|schedule| (schedule.name.clone(), schedule)));
        let schedules: BTreeMap<_, _> = schedules.collect::<Result<_, Error>>()?;
        let (hooks, _) = Hooks::start(std::mem::take(&mut self.hooks));
        let inline = Inline(Arc::new(Inner {
            jobs: self.jobs.iter().flat_map(|job| job.names().map(|name| (name, job.inline.clone()))).collect(),
            nowhere: nowhere()?,
            runner: OnceLock::new(),
            store: Mutex::new(Store { now: Timestamp::now(), rows: BTreeMap::new() }),
        }));
        let client = Client::new(Mode::Inline(inline.clone()), hooks);
        let runner = Runner::new(&self.jobs, &self.layers, self.data.clone(), client.clone());
        // It has just been made.
        let _ = inline.0.runner.set(runner);
        Ok(InlineApp { client, inline, schedules })
    }
}

/// A queue whose engines are not there: what a handler asks of it is an error.
fn nowhere() -> Result<Queue, Error> {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(100));
    let pool = pool.connect_lazy("postgres://nobody@app-inline-has-no-postgres.invalid/none")?;
    let config = QueueConfig::new("redis://app-inline-has-no-redis.invalid/");
    Queue::connect(pool, config)
        .now_or_never()
        .ok_or(Error::Nothing("a queue without engines could not be made"))?
        .map_err(Into::into)
}

/// An application without engines: see [`App::inline`]. Enqueue by it.
pub struct InlineApp {
    client: Client,
    inline: Inline,
    schedules: BTreeMap<String, gristmill_queue::NewSchedule>,
}

impl InlineApp {
    /// Moves the time forward, and runs what becomes due until then, in its order. Schedules do not fire by themselves: see
    /// [`InlineApp::fire`].
    ///
    /// # Errors
    /// Returns an error if a job has no handler.
    pub async fn advance(&self, by: Duration) -> Result<(), Error> {
        let until = self.inline.now().checked_add(by).unwrap_or(Timestamp::MAX);
        while let Some(id) = self.inline.next_due(until) {
            self.inline.run(&self.client, id).await?;
        }
        self.inline.store().now = until;
        Ok(())
    }

    /// Its time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inline.now()
    }

    /// Fires a schedule: its job runs at once, with a [`Tick`] of now.
    ///
    /// # Errors
    /// Returns an error if there is no such schedule, or its job has no handler.
    pub async fn fire(&self, name: &str) -> Result<JobId, Error> {
        let Some(schedule) = self.schedules.get(name) else {
            let source = gristmill_queue::ScheduleError::NotFound(name.into());
            return Err(Error::Schedule { name: name.into(), source });
        };
        let tick = Tick { schedule: name.to_owned(), at: self.inline.now(), cause: Cause::RunNow };
        let payload = serde_json::to_string(schedule.job.payload()).map_err(gristmill_queue::QueueError::Encode)?;
        let id = self.inline.insert(schedule.job.name(), payload, &Options::default(), Some(tick))?;
        self.inline.run(&self.client, id).await?;
        Ok(id)
    }

    /// Every job that was enqueued, in its order, as it stands.
    #[must_use]
    pub fn jobs(&self) -> Vec<InlineRecord> {
        self.inline.store().rows.iter().map(|(id, row)| row.record(*id)).collect()
    }

    /// Every job of this kind that was enqueued, whatever has become of it.
    ///
    /// # Errors
    /// Returns an error if a payload is not one of `J`.
    pub fn enqueued<J: Job>(&self) -> Result<Vec<J>, serde_json::Error> {
        let store = self.inline.store();
        let of_kind = store.rows.values().filter(|row| row.name == J::NAME || J::ALIASES.contains(&&*row.name));
        of_kind.map(|row| serde_json::from_str(&row.payload)).collect()
    }
}

impl Deref for InlineApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for InlineApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineApp").field("jobs", &self.jobs()).finish_non_exhaustive()
    }
}

/// A job of an [`InlineApp`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InlineRecord {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// Attempts that failed.
    pub attempt: u32,
    /// Not before this time.
    pub run_at: Timestamp,
    /// What it came to.
    pub result: Option<Value>,
    /// Its last error.
    pub error: Option<String>,
}

/// What the client needs of it.
#[derive(Clone)]
pub(crate) struct Inline(Arc<Inner>);

struct Inner {
    jobs: HashMap<&'static str, InlineJob>,
    nowhere: Queue,
    runner: OnceLock<Runner>,
    store: Mutex<Store>,
}

struct Store {
    now: Timestamp,
    rows: BTreeMap<JobId, Row>,
}

struct Row {
    name: String,
    payload: String,
    state: JobState,
    attempt: u32,
    max_attempts: u32,
    deliveries: u64,
    run_at: Timestamp,
    unique_key: Option<String>,
    timeout: Option<Duration>,
    backoff: Option<Backoff>,
    result: Option<Value>,
    error: Option<String>,
    tick: Option<Tick>,
}

impl Row {
    fn record(&self, id: JobId) -> InlineRecord {
        InlineRecord {
            id,
            name: self.name.clone(),
            state: self.state,
            attempt: self.attempt,
            run_at: self.run_at,
            result: self.result.clone(),
            error: self.error.clone(),
        }
    }

    fn waits(&self) -> bool {
        matches!(self.state, JobState::Available | JobState::Scheduled)
    }
}

/// One run of a handler.
type Run = BoxFuture<'static, Result<(), JobError>>;

/// A kind of job, without its type.
#[derive(Clone)]
pub(crate) struct InlineJob {
    name: &'static str,
    queue: &'static str,
    max_attempts: u16,
    timeout: Duration,
    backoff: fn(u32) -> Option<Duration>,
    run: fn(Runner, Context, &str) -> Result<Run, serde_json::Error>,
}

impl InlineJob {
    pub(crate) fn of<J: Job>(timeout: Option<Duration>) -> Self {
        Self {
            name: J::NAME,
            queue: J::QUEUE,
            max_attempts: J::MAX_ATTEMPTS,
            timeout: timeout.unwrap_or(J::TIMEOUT),
            backoff: J::backoff,
            run: |runner, context, payload| {
                let job: J = serde_json::from_str(payload)?;
                Ok(Box::pin(runner.run(context, job, false)))
            },
        }
    }
}

/// Doubles with every attempt from a second on, up to ten minutes, as in the queue; without jitter.
fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt.saturating_sub(1)).min(600))
}

impl Inline {
    fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.store().now
    }

    pub(crate) fn tick_of(&self, id: JobId) -> Option<Tick> {
        self.store().rows.get(&id).and_then(|row| row.tick.clone())
    }

    pub(crate) fn outcome(&self, id: JobId) -> Option<Ended> {
        self.store().rows.get(&id).map(|row| (row.state, row.result.clone(), row.error.clone()))
    }

    pub(crate) async fn enqueue<J: Job>(&self, client: &Client, jobs: &[J], options: &Options) -> Result<Taken, Error> {
        if options.group.is_some() {
            return Err(Error::Inline("a group"));
        }
        if options.order_key.is_some() {
            return Err(Error::Inline("`.order_key(…)`"));
        }
        if options.unique_mode != UniqueMode::Keep {
            return Err(Error::Inline("`.unique_mode(…)`"));
        }
        if options.unique.is_some() {
            return Err(Error::Inline("`Unique`"));
        }
        let mut taken = Taken { ids: Vec::new(), existing: None, replaced: false, unpushed: None };
        for job in jobs {
            let payload = serde_json::to_string(job).map_err(gristmill_queue::QueueError::Encode)?;
            if let Some(held) = self.holder(options.unique_key.as_deref()) {
                taken.existing = Some(held);
                continue;
            }
            let id = self.insert(J::NAME, payload, options, None)?;
            taken.ids.push(id);
            if self.store().rows.get(&id).is_some_and(|row| row.state == JobState::Available) {
                // Boxed: a handler enqueues, and so this calls itself.
                let run: BoxFuture<'_, Result<(), Error>> = Box::pin(self.run(client, id));
                run.await?;
            }
        }
        Ok(taken)
    }

    fn holder(&self, key: Option<&str>) -> Option<JobId> {
        let key = key?;
        let store = self.store();
        let mut waiting = store.rows.iter().filter(|(_, row)| row.waits() && row.unique_key.as_deref() == Some(key));
        waiting.next().map(|(id, _)| *id)
    }

    fn insert(&self, name: &str, payload: String, options: &Options, tick: Option<Tick>) -> Result<JobId, Error> {
        let Some(job) = self.0.jobs.get(name) else {
            return Err(Error::Nothing("a job was enqueued that this App has no handler for: write `.job(handler)`"));
        };
        let mut store = self.store();
        let run_at = options.run_at.unwrap_or(store.now);
        let run_at = run_at.checked_add(options.delay.unwrap_or_default()).unwrap_or(Timestamp::MAX);
        let id = JobId::from(Uuid::now_v7());
        let row = Row {
            name: job.name.to_owned(),
            payload,
            state: if run_at > store.now { JobState::Scheduled } else { JobState::Available },
            attempt: 0,
            max_attempts: u32::from(options.max_attempts.unwrap_or(job.max_attempts).max(1)),
            deliveries: 0,
            run_at,
            unique_key: options.unique_key.clone(),
            timeout: options.timeout,
            backoff: options.backoff,
            result: None,
            error: None,
            tick,
        };
        store.rows.insert(id, row);
        Ok(id)
    }

    /// The first job that is due until then. The time becomes its.
    fn next_due(&self, until: Timestamp) -> Option<JobId> {
        let mut store = self.store();
        let due = store.rows.iter().filter(|(_, row)| row.waits() && row.run_at <= until);
        let (id, run_at) = due.min_by_key(|(id, row)| (row.run_at, **id)).map(|(id, row)| (*id, row.run_at))?;
        store.now = store.now.max(run_at);
        Some(id)
    }

    /// One attempt.
    async fn run(&self, client: &Client, id: JobId) -> Result<(), Error> {
        let (job, context, payload, timeout) = {
            let mut store = self.store();
            let Some(row) = store.rows.get_mut(&id) else { return Ok(()) };
            row.deliveries += 1;
            let job = self.0.jobs.get(&*row.name).cloned();
            let job = job.ok_or(Error::Nothing("the App has no handler for a job that was enqueued"))?;
            let context = Context {
                claim: Claim::in_memory(id, row.deliveries),
                name: job.name.into(),
                attempt: row.attempt + 1,
                max_attempts: row.max_attempts,
                cancel: CancellationToken::new(),
                queue: self.0.nowhere.clone(),
                client_id: None,
                trace_parent: None,
            };
            let timeout = row.timeout.unwrap_or(job.timeout);
            (job, context, row.payload.clone(), timeout)
        };
        let runner = self.0.runner.get().cloned().ok_or(Error::Nothing("the App is not there yet"))?;
        let event = |kind| {
            let mut event = JobEvent::enqueued(id, job.name, job.queue, context.max_attempts);
            (event.attempt, event.kind) = (context.attempt, kind);
            event
        };
        client.hooks().tell(|| event(JobEventKind::Started));
        let started = std::time::Instant::now();
        let ended = match (job.run)(runner, context.clone(), &payload) {
            Ok(run) => attempt(run, timeout).await,
            Err(error) => (Err(JobError::Discard(error.into())), "parked"),
        };
        let duration = started.elapsed();
        let failed = self.settle(id, &job, &context, ended);
        client.hooks().tell(|| {
            event(match failed {
                None => JobEventKind::Succeeded { duration },
                Some((outcome, error, last)) => JobEventKind::Failed { outcome, error, duration, last },
            })
        });
        Ok(())
    }

    /// Writes down how an attempt has ended; of one that failed, how, why, and whether it was the last.
    fn settle(
        &self,
        id: JobId,
        job: &InlineJob,
        context: &Context,
        (ended, how): (Result<(), JobError>, &'static str),
    ) -> Option<(&'static str, Option<String>, bool)> {
        let mut store = self.store();
        let now = store.now;
        let row = store.rows.get_mut(&id)?;
        let later = |pause: Duration| now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let error = match ended {
            Ok(()) => {
                row.state = JobState::Completed;
                row.result = context.claim.result().and_then(|json| serde_json::from_str(&json).ok());
                return None;
            }
            Err(error) => error,
        };
        let text = error.to_string();
        let (outcome, pause) = match error {
            JobError::Snooze(pause) => {
                (row.state, row.run_at) = (JobState::Scheduled, later(pause));
                return Some(("snoozed", None, false));
            }
            JobError::Sleeping { left, .. } => {
                (row.state, row.run_at) = (JobState::Scheduled, later(left));
                return Some(("snoozed", None, false));
            }
            JobError::Cancelled => {
                row.state = JobState::Cancelled;
                return Some(("cancelled", None, true));
            }
            JobError::Discard(_) if how == "parked" => {
                (row.state, row.error) = (JobState::Parked, Some(text.clone()));
                return Some((how, Some(text), true));
            }
            JobError::Discard(_) => {
                (row.state, row.error) = (JobState::Dead, Some(text.clone()));
                row.attempt += 1;
                return Some(("discarded", Some(text), true));
            }
            JobError::RetryAfter(pause, _) => (how, pause),
            JobError::Retry(_) => {
                let own = row.backoff.map(|own| own.after(context.attempt)).or_else(|| (job.backoff)(context.attempt));
                (how, own.unwrap_or_else(|| backoff(context.attempt)))
            }
        };
        row.attempt += 1;
        row.error = Some(text.clone());
        let last = row.attempt >= row.max_attempts;
        (row.state, row.run_at) = if last { (JobState::Dead, row.run_at) } else { (JobState::Scheduled, later(pause)) };
        Some((outcome, Some(text), last))
    }
}

/// Runs one attempt with its timeout, on a task of its own: a panic stays in it.
async fn attempt(run: Run, timeout: Duration) -> (Result<(), JobError>, &'static str) {
    let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(run));
    match tokio::time::timeout(timeout, task).await {
        Ok(Ok(ended)) => (ended, "retried"),
        Ok(Err(error)) => match error.try_into_panic() {
            Ok(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                let text = text.unwrap_or_else(|| "something that is not a text".to_owned());
                (Err(JobError::retry(format!("panicked: {text}"))), "panicked")
            }
            Err(error) => (Err(JobError::retry(error.to_string())), "retried"),
        },
        Err(_) => (Err(JobError::retry(format!("timed out after {timeout:?}"))), "timed_out"),
    }
}
