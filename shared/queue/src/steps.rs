//! A body that goes on where a run before it has stopped: steps that are done, a cursor, sleeps, waits for signals.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use tokio::sync::OnceCell;
use tracing::warn;

use crate::{
    CodecError, Content, ContentKind, Context, JobError, JobId, PayloadError, Queue, QueueError, ResultError, Source,
    claim::{RESULT_LIMIT, encode_result},
    codec,
    ledger::steps::{self, Recorded, Run, Wait},
    payload,
};

/// Steps, sleeps and waits that a job may have: more is a loop, and for that there is the cursor.
const MAX_RECORDED: usize = 1_000;
/// The longest name, in characters.
const MAX_NAME: usize = 200;
/// The row of the job is looked for so often, each time after a pause, when somebody has locked it.
const LOCK_TRIES: u32 = 40;
/// Until a job comes again that has something of a key that is not here.
const KEY_PAUSE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What a run knows of the steps of its job. It is read when the body first asks.
#[derive(Debug, Default)]
pub(crate) struct Steps(OnceCell<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By kind and name.
    recorded: HashMap<(String, String), Recorded>,
    /// Names of steps that this run has come to.
    met: HashSet<String>,
    sleeps: u32,
    /// How many waits for which signal.
    waits: HashMap<String, u32>,
}

impl Known {
    fn find(&self, kind: &str, name: &str) -> Option<Recorded> {
        self.recorded.get(&(kind.to_owned(), name.to_owned())).cloned()
    }

    fn keep(&mut self, recorded: Recorded) {
        self.recorded.insert((recorded.kind.clone(), recorded.name.clone()), recorded);
    }
}

impl Context {
    /// Does something once, however often the job runs: its result is recorded in the ledger at once, and a retry gets that in
    /// place of running it again. It is an attempt's work like any other until then: who is killed in the middle of it does it
    /// again, and where another run of the job was faster, its result counts, and is what this returns.
    ///
    /// A name is used once in a body; in a loop, put the item's id into it, or keep a cursor ([`Context::save_cursor`]).
    ///
    /// ```
    /// # use gristmill_queue::{Context, JobError};
    /// # async fn charge(order: i64) -> Result<String, std::io::Error> { Ok(format!("charge {order}")) }
    /// # async fn ship(order: i64, charge: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// async fn fulfil(ctx: Context, order: i64) -> Result<(), JobError> {
    ///     let charge = ctx.step("charge", || charge(order)).await?;
    ///     ctx.step("ship", async || ship(order, &charge).await).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns the step's own error, nothing being recorded; [`JobError::Discard`] for a name that is used twice and for a result
    /// that cannot be kept (16 KiB of JSON at most); [`JobError::Cancelled`] if the job is not this run's to go on with; or an error
    /// if Postgres fails.
    pub async fn step<T, E, Fut>(&self, name: &str, run: impl FnOnce() -> Fut) -> Result<T, JobError>
    where
        T: Serialize + DeserializeOwned,
        E: Into<Source>,
        Fut: Future<Output = Result<T, E>>,
    {
        check_name("step", name)?;
        let known = self.known().await?;
        let found = {
            let mut known = lock(known);
            if !known.met.insert(name.to_owned()) {
                return Err(JobError::discard(format!(
                    "two steps of a job are called `{name}`: a step is done once, so give each a name of its own"
                )));
            }
            known.find("step", name)
        };
        if let Some(found) = found {
            return self.decode(ContentKind::Step, name, found.result.as_deref());
        }
        let value = run().await.map_err(|error| JobError::from_boxed(error.into()))?;
        let json = serde_json::to_string(&value)?;
        let json = self.encode(ContentKind::Step, json);
        let json = json.map_err(|error| JobError::discard(format!("the step `{name}`: {error}")))?;
        let kept = self.keep("step", name, &json).await?;
        // Another run was faster.
        if same(&kept, &json) { Ok(value) } else { self.decode(ContentKind::Step, name, Some(&kept)) }
    }

    /// Where a run before this one has come to by [`Context::save_cursor`].
    ///
    /// # Errors
    /// Returns [`JobError::Discard`] for a cursor of another type, or an error if Postgres fails.
    pub async fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, JobError> {
        let known = self.known().await?;
        let found = lock(known).find("cursor", "");
        found.map(|found| self.decode(ContentKind::Cursor, "", found.result.as_deref())).transpose()
    }

    /// Records how far this job is: the next run goes on there. The last call counts. Each call is a statement; in a tight loop,
    /// call it now and then.
    ///
    /// # Errors
    /// Returns [`JobError::Discard`] if it cannot be kept (16 KiB of JSON at most), [`JobError::Cancelled`] if the job is not this
    /// run's to go on with, or an error if Postgres fails.
    pub async fn save_cursor(&self, cursor: &impl Serialize) -> Result<(), JobError> {
        let json = serde_json::to_string(cursor)?;
        let json = self.encode(ContentKind::Cursor, json);
        let json = json.map_err(|error| JobError::discard(format!("the cursor: {error}")))?;
        self.keep("cursor", "", &json).await?;
        Ok(())
    }

    /// Sleeps without a worker: the body ends by the error, which `?` hands on, and the job comes again after the time; no attempt
    /// is counted. Steps that are done are not done again then, and this returns at once. Sleeps are known by their order in the
    /// body, so a body comes to the same ones each time.
    ///
    /// # Errors
    /// Returns [`JobError::Sleeping`] as long as the time is not over, [`JobError::Cancelled`] if the job is not this run's to go on
    /// with, or an error if Postgres fails.
    pub async fn sleep(&self, time: Duration) -> Result<(), JobError> {
        let known = self.known().await?;
        let (name, found) = {
            let mut known = lock(known);
            known.sleeps += 1;
            let name = known.sleeps.to_string();
            let found = known.find("sleep", &name);
            (name, found)
        };
        let left = match found {
            Some(found) if found.done => Duration::ZERO,
            Some(found) => Duration::from_millis(found.left_ms.unsigned_abs()),
            None => {
                self.has_room(known)?;
                let (queue, run) = (&self.queue, self.run());
                self.held(|| steps::sleep(queue.schema(), queue.pool(), run, &name, time)).await?
            }
        };
        if left.is_zero() { Ok(()) } else { Err(JobError::Sleeping { left, signal: None }) }
    }

    /// Waits, without a worker, for what [`Queue::signal`] sends the job, as [`Context::sleep`] does: until it is there, `timeout` after
    /// the first call at the latest. Each signal is received once, by one wait, in the order in which they were sent; one that
    /// was sent before is received at once. None: none came in the time.
    ///
    /// # Errors
    /// Returns [`JobError::Sleeping`] as long as there is none, [`JobError::Discard`] for a payload of another type,
    /// [`JobError::Cancelled`] if the job is not this run's to go on with, or an error if Postgres fails.
    pub async fn wait_for<T: DeserializeOwned>(&self, signal: &str, timeout: Duration) -> Result<Option<T>, JobError> {
        check_name("signal", signal)?;
        let known = self.known().await?;
        let (name, found) = {
            let mut known = lock(known);
            let waits = known.waits.entry(signal.to_owned()).or_default();
            *waits += 1;
            let name = wait_name(signal, *waits);
            let found = known.find("wait", &name);
            (name, found)
        };
        let payload = match found {
            Some(found) if found.done => received(found.result.as_deref()),
            _ => {
                self.has_room(known)?;
                let (queue, run) = (&self.queue, self.run());
                let look = || steps::wait(queue.schema(), queue.pool(), run, &name, signal, timeout);
                match self.held(look).await? {
                    Wait::Over(payload) => payload,
                    Wait::Left(left) => return Err(JobError::Sleeping { left, signal: Some(signal.to_owned()) }),
                }
            }
        };
        payload.map(|json| self.decode(ContentKind::Signal, signal, Some(&json))).transpose()
    }

    /// As it is kept.
    fn encode(&self, kind: ContentKind, json: String) -> Result<String, ResultError> {
        encode_result(self.queue.config().codec(), self.content(kind), json)
    }

    /// What was kept.
    fn decode<T: DeserializeOwned>(&self, kind: ContentKind, name: &str, json: Option<&str>) -> Result<T, JobError> {
        let json = json.unwrap_or("null");
        let json = codec::decode(self.queue.config().codec(), self.content(kind), json).map_err(unreadable)?;
        serde_json::from_str(&json).map_err(|error| {
            let name = if name.is_empty() { String::new() } else { format!(" `{name}`") };
            JobError::discard(format!(
                "what is recorded of the {kind}{name} is not of the type that is asked for: {error}; give what changes its type a name of its own"
            ))
        })
    }

    async fn known(&self) -> Result<&Mutex<Known>, JobError> {
        if self.claim.is_in_memory() {
            return Err(JobError::discard(
                "steps, cursors, sleeps and waits need Postgres, and this is an App without engines: use `App::test` in place of \
                 `App::inline`",
            ));
        }
        let load = || async {
            let mut known = Known::default();
            if self.claim.may_resume() {
                let rows = steps::of_jobs(self.queue.schema(), self.queue.pool(), &[self.claim.id]).await?;
                rows.into_iter().for_each(|row| known.keep(row));
            }
            Ok::<_, QueueError>(Mutex::new(known))
        };
        Ok(self.claim.steps().0.get_or_try_init(load).await?)
    }

    fn run(&self) -> Run {
        Run { id: self.claim.id, attempt: i32::try_from(self.attempt).unwrap_or(i32::MAX) - 1 }
    }

    async fn keep(&self, kind: &str, name: &str, json: &str) -> Result<String, JobError> {
        let known = self.known().await?;
        if kind != "cursor" {
            self.has_room(known)?;
        }
        let (queue, run) = (&self.queue, self.run());
        let kept = self.held(|| steps::keep(queue.schema(), queue.pool(), run, kind, name, json)).await?;
        let result = Some(kept.clone());
        let recorded =
            Recorded { job_id: run.id, kind: kind.to_owned(), name: name.to_owned(), result, done: true, left_ms: 0 };
        lock(known).keep(recorded);
        Ok(kept)
    }

    fn has_room(&self, known: &Mutex<Known>) -> Result<(), JobError> {
        if lock(known).recorded.len() < MAX_RECORDED {
            return Ok(());
        }
        let error = format!("a job has {MAX_RECORDED} steps, sleeps and waits at most: keep a cursor in place of them");
        Err(JobError::discard(error))
    }

    /// Asks the ledger until the row of the job is free. A job that is not this run's any more ends it.
    async fn held<T, Fut>(&self, ask: impl Fn() -> Fut) -> Result<T, JobError>
    where
        Fut: Future<Output = Result<Option<T>, sqlx::Error>>,
    {
        for _ in 0..LOCK_TRIES {
            match ask().await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {
                    self.claim.set_fenced_off(true);
                    return Err(JobError::Cancelled);
                }
                Err(error) if is_locked(&error) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(error) => return Err(QueueError::from(error).into()),
            }
        }
        Err(JobError::retry(
            "the row of the job is locked, so no step can be recorded: if the body holds it itself (`Tx`, `Queue::lock`), \
             let it take its steps before that, or in a job of their own",
        ))
    }
}

/// Locked by somebody else, or changed since the statement began.
fn is_locked(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if matches!(error.code().as_deref(), Some("55P03" | "40001")))
}

fn lock(known: &Mutex<Known>) -> std::sync::MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The n-th wait for a signal.
pub(crate) fn wait_name(signal: &str, n: u32) -> String {
    format!("{signal}:{n}")
}

/// The payload in what is recorded of a wait.
pub(crate) fn received(result: Option<&str>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Received {
        payload: Box<serde_json::value::RawValue>,
    }
    let received: Received = serde_json::from_str(result?).ok()?;
    Some(Box::<str>::from(received.payload).into_string())
}

/// As `jsonb` has it, which writes it in another way.
fn same(one: &str, other: &str) -> bool {
    let value = |json| serde_json::from_str::<serde_json::Value>(json).ok();
    value(one) == value(other)
}

/// What a body ends with that cannot read what was kept: another worker, which has the key, may.
pub(crate) fn unreadable(error: CodecError) -> JobError {
    if error.is_missing_key() {
        warn!(%error, "the job comes again, for a worker that has the key");
        return JobError::Snooze(KEY_PAUSE);
    }
    JobError::discard(error.to_string())
}

fn check_name(what: &str, name: &str) -> Result<(), JobError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.contains('\0') {
        let error =
            format!("the name of a {what} has 1 to {MAX_NAME} characters, and no NUL among them: {name:?} has not");
        return Err(JobError::discard(error));
    }
    Ok(())
}

impl Queue {
    /// Sends a job a signal: its next [`Context::wait_for`] of this name receives it, once. A job that waits for it comes at once; for
    /// one that does not yet, it is kept. False: the job has ended, or there is none. With 1,000 signals that it has not received, a
    /// job takes no more.
    ///
    /// # Errors
    /// Returns [`QueueError::Payload`] or [`QueueError::Nul`] if it cannot be kept (16 KiB of JSON at most), or an error if Postgres
    /// refuses it or is unreachable.
    pub async fn signal(&self, job: JobId, name: &str, payload: &impl Serialize) -> Result<bool, QueueError> {
        let mut conn = self.pool().acquire().await?;
        self.signal_in(&mut conn, job, name, payload).await
    }

    /// The same in the caller's transaction, with its commit.
    ///
    /// # Errors
    /// Returns the errors of [`Queue::signal`].
    pub async fn signal_in(
        &self,
        conn: &mut PgConnection,
        job: JobId,
        name: &str,
        payload: &impl Serialize,
    ) -> Result<bool, QueueError> {
        let json = serde_json::to_string(payload).map_err(QueueError::Encode)?;
        payload::check(name, &json, RESULT_LIMIT)?;
        if name.contains('\0') {
            return Err(QueueError::Nul("the signal's name"));
        }
        let Some(json) = self.kept_signal(conn, job, name, json).await? else { return Ok(false) };
        Ok(steps::signal(self.schema(), conn, job, name, &json).await?)
    }

    /// As it is kept; none: there is no such job.
    async fn kept_signal(
        &self,
        conn: &mut PgConnection,
        job: JobId,
        name: &str,
        json: String,
    ) -> Result<Option<String>, QueueError> {
        let Some(codec) = self.config().codec() else { return Ok(Some(json)) };
        let of: Option<String> = sqlx::query_scalar(self.schema().sql("select name from gristmill.jobs where id = $1"))
            .bind(job)
            .fetch_optional(conn)
            .await?;
        let Some(of) = of else { return Ok(None) };
        let json = codec::encode(Some(codec), Content::new(&of, ContentKind::Signal), json)?;
        if json.len() > RESULT_LIMIT {
            let problem = PayloadError::TooLargeEncrypted { bytes: json.len(), limit: RESULT_LIMIT };
            return Err(QueueError::Payload { name: name.into(), problem });
        }
        payload::check(name, &json, RESULT_LIMIT)?;
        Ok(Some(json))
    }
}
