//! Writing jobs into the ledger, in the caller's transaction.

use std::{borrow::Cow, collections::HashMap};

use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Enqueued, Job, JobId, Options, QueueError, Schema,
    codec::Intake,
    envelope::{Envelope, Message, now_millis},
    ledger::{millis, timeout_millis, unique},
};

const INSERT: &str = "select * from gristmill.insert_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                                                    $19, $20, $21)";

/// Writes jobs into the ledger, with the caller's commit; returns what to push after it.
///
/// # Errors
/// When a payload or a key cannot be stored, the group takes no more members, or Postgres does not do it.
pub(crate) async fn insert<J: Job>(
    schema: Schema,
    conn: &mut PgConnection,
    jobs: &[J],
    options: &Options,
    intake: Intake<'_>,
) -> Result<Enqueued, QueueError> {
    insert_members(schema, conn, NewJobs::of(jobs, intake)?, options, false).await
}

/// The same, and a sealed group takes them too. The caller holds a member of it that is still to be done.
pub(crate) async fn insert_into_sealed<J: Job>(
    schema: Schema,
    conn: &mut PgConnection,
    jobs: &[J],
    options: &Options,
    intake: Intake<'_>,
) -> Result<Enqueued, QueueError> {
    insert_members(schema, conn, NewJobs::of(jobs, intake)?, options, true).await
}

/// Jobs of one type, without the type: what follows is compiled once, not for each type of job and crate that enqueues one.
struct NewJobs {
    name: &'static str,
    queue: Cow<'static, str>,
    priority: u8,
    max_attempts: u16,
    version: u16,
    retain_seconds: Option<i32>,
    payloads: Vec<String>,
}

impl NewJobs {
    fn of<J: Job>(jobs: &[J], intake: Intake<'_>) -> Result<Self, QueueError> {
        let payloads =
            jobs.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>().map_err(QueueError::Encode)?;
        let payloads = kept(J::NAME, payloads, intake)?;
        Ok(Self {
            name: J::NAME,
            queue: J::QUEUE.into(),
            priority: J::PRIORITY,
            max_attempts: J::MAX_ATTEMPTS,
            version: J::VERSION,
            retain_seconds: crate::job::retain_seconds::<J>(),
            payloads,
        })
    }
}

/// All of them, or none.
fn kept(name: &str, payloads: Vec<String>, intake: Intake<'_>) -> Result<Vec<String>, QueueError> {
    payloads.iter().try_for_each(|json| intake.check(name, json))?;
    if intake.codec.is_none() {
        return Ok(payloads);
    }
    payloads.into_iter().map(|json| intake.encode(name, json)).collect()
}

/// Boxed, as the body of an `async fn` is compiled in each crate that awaits it, but a boxed one in this crate only.
fn insert_members<'a>(
    schema: Schema,
    conn: &'a mut PgConnection,
    mut jobs: NewJobs,
    options: &'a Options,
    sealed_too: bool,
) -> BoxFuture<'a, Result<Enqueued, QueueError>> {
    Box::pin(async move {
        if jobs.payloads.is_empty() {
            return Ok(Enqueued::default());
        }
        let keys = [
            ("the unique key", &options.unique_key),
            ("the fair key", &options.fair_key),
            ("the order key", &options.order_key),
        ];
        for (what, key) in keys {
            if key.as_ref().is_some_and(|key| key.contains('\0')) {
                return Err(QueueError::Nul(what));
            }
        }
        if let Some(queue) = &options.queue {
            jobs.queue = queue.clone().into();
        }
        if jobs.queue.contains('\0') {
            return Err(QueueError::Nul("the queue's name"));
        }
        if options.tags.iter().any(|tag| tag.contains('\0')) {
            return Err(QueueError::Nul("a tag"));
        }
        if options.unique.as_ref().is_some_and(|unique| unique.key.contains('\0')) {
            return Err(QueueError::Nul("the unique key"));
        }
        let Some(unique) = &options.unique else { return insert_all(schema, conn, jobs, options, sealed_too).await };
        if let Some(existing) = unique::holder(schema, conn, unique).await? {
            return Ok(Enqueued { existing: Some(existing), ..Enqueued::default() });
        }
        jobs.payloads.truncate(1);
        let enqueued = insert_all(schema, conn, jobs, options, sealed_too).await?;
        if let Some(&job) = enqueued.ids.first() {
            unique::take(schema, conn, unique, job).await?;
        }
        Ok(enqueued)
    })
}

async fn insert_all(
    schema: Schema,
    conn: &mut PgConnection,
    jobs: NewJobs,
    options: &Options,
    sealed_too: bool,
) -> Result<Enqueued, QueueError> {
    let ids: Vec<JobId> = jobs.payloads.iter().map(|_| JobId::from(Uuid::now_v7())).collect();
    let fair_key = options.fair_key.clone().or_else(|| options.client_id.map(|client| client.to_string()));
    let here = crate::trace::current();
    let given = options.trace_parents.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let trace_parents: Vec<Option<&String>> = given.take(ids.len()).map(|given| given.or(here.as_ref())).collect();
    let priority = options.priority.unwrap_or(jobs.priority).min(9);
    let (due, later, open): (Vec<JobId>, Vec<JobId>, bool) = sqlx::query_as(schema.sql(INSERT))
        .bind(&ids)
        .bind(&jobs.payloads)
        .bind(jobs.name)
        .bind(&*jobs.queue)
        .bind(i16::from(priority))
        .bind(i32::from(options.max_attempts.unwrap_or(jobs.max_attempts).max(1)))
        .bind(options.group)
        .bind(options.run_at.map(Timestamp::to_sqlx))
        .bind(&options.unique_key)
        .bind(options.client_id)
        .bind(&trace_parents)
        .bind(&fair_key)
        .bind(i16::try_from(jobs.version).unwrap_or(i16::MAX))
        .bind(options.retain.map(crate::job::seconds).or(jobs.retain_seconds))
        .bind(options.delay.map_or(0, millis))
        .bind(sealed_too)
        .bind(options.timeout.map(timeout_millis))
        .bind(options.expires_in.map(millis))
        .bind((!options.tags.is_empty()).then_some(&options.tags))
        .bind(options.backoff.map(|backoff| serde_json::to_string(&backoff)).transpose().map_err(QueueError::Encode)?)
        .bind(&options.order_key)
        .fetch_one(&mut *conn)
        .await?;

    if let Some(group) = options.group
        && !open
    {
        return Err(QueueError::GroupClosed(group));
    }
    let mut enqueued = Enqueued::default();
    if let (Some(key), true) = (&options.unique_key, due.is_empty() && later.is_empty()) {
        enqueued.existing = unique::waiting(schema, conn, key).await?;
    }
    let ready = ready_by_id(due, later);
    for ((id, payload), trace_parent) in ids.into_iter().zip(jobs.payloads).zip(trace_parents) {
        let Some(&ready) = ready.get(&id) else { continue };
        enqueued.ids.push(id);
        if ready {
            let payload = RawValue::from_string(payload).map_err(QueueError::Encode)?;
            let envelope = Envelope {
                name: jobs.name.into(),
                due: now_millis(),
                trace_parent: trace_parent.cloned(),
                client_id: options.client_id,
                version: jobs.version,
                payload: &payload,
            };
            let fair_key = fair_key.clone().unwrap_or_default();
            enqueued.messages.push(Message {
                id,
                queue: jobs.queue.to_string(),
                priority,
                fair_key,
                called: false,
                body: envelope.to_body(),
            });
        }
    }
    Ok(enqueued)
}

/// Of inserted jobs, whether each is ready: those that are due, and those for later.
pub(super) fn ready_by_id(due: Vec<JobId>, later: Vec<JobId>) -> HashMap<JobId, bool> {
    due.into_iter().map(|id| (id, true)).chain(later.into_iter().map(|id| (id, false))).collect()
}
