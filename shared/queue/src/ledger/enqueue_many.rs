//! Writing jobs of any kinds into the ledger, by one statement.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use jiff::Timestamp;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    EnqueueManyError, Enqueued, GroupId, JobId, ManyJobs, NewJob, Queue, QueueError, Schema, UniqueMode,
    codec::Intake,
    envelope::{Envelope, Message, now_millis},
    ledger::{
        enqueue, millis, timeout_millis,
        unique::{self, Replacement},
    },
};

/// A key may become free between two statements: then its job is entered after all.
const MAX_ROUNDS: usize = 5;

const INSERT: &str = "select * from gristmill.insert_many_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                                                         $18, $19, $20)";

/// Writes jobs into the ledger, with the caller's commit. Nothing is asked of the ledger when one of them cannot be stored.
pub(crate) async fn insert(
    queue: &Queue,
    conn: &mut PgConnection,
    jobs: &[NewJob],
) -> Result<ManyJobs, EnqueueManyError> {
    let (schema, intake) = (queue.schema(), queue.config().intake());
    for (n, job) in jobs.iter().enumerate() {
        check(job, intake).map_err(|error| EnqueueManyError { job: Some(n), error })?;
    }
    let jobs: &[NewJob] = &kept(jobs, intake)?;
    open_groups(schema, conn, jobs).await?;
    let mut ids: Vec<Option<JobId>> = vec![None; jobs.len()];
    let (mut existing, mut replaced, mut enqueued) = (Vec::new(), Vec::new(), Enqueued::default());
    let mut missing: Vec<usize> = (0..jobs.len()).collect();
    for _ in 0..MAX_ROUNDS {
        missing = insert_once(schema, conn, jobs, &missing, &mut ids, &mut enqueued).await?;
        let keys: HashSet<&str> = missing.iter().filter_map(|n| jobs[*n].unique_key.as_deref()).collect();
        let holders = holders(schema, conn, keys).await?;
        // In their order: the last one of a key counts.
        for n in missing.iter().copied().filter(|n| jobs[*n].unique_mode != UniqueMode::Keep) {
            let Some(&holder) = jobs[n].unique_key.as_ref().and_then(|key| holders.get(key)) else { continue };
            let new = Replacement::of_new(&jobs[n])?;
            if let Some(now) = unique::replace(queue, conn, holder, &new, jobs[n].unique_mode).await? {
                // It may be one of these.
                enqueued.messages.retain(|message| message.id != holder);
                enqueued.messages.extend(now.messages);
                replaced.push(n);
            }
        }
        missing.retain(|n| {
            let holder = jobs[*n].unique_key.as_ref().and_then(|key| holders.get(key)).copied();
            existing.extend(holder.is_some().then_some(*n));
            ids[*n] = holder;
            holder.is_none()
        });
        if missing.is_empty() {
            existing.sort_unstable();
            replaced.sort_unstable();
            let ids = ids.into_iter().flatten().collect();
            return Ok(ManyJobs { ids, existing, replaced, enqueued });
        }
    }
    // Each time somebody else's job had the key and then not any more.
    Err(QueueError::Ledger(sqlx::Error::RowNotFound).into())
}

/// The ledger can hold it.
fn check(job: &NewJob, intake: Intake<'_>) -> Result<(), QueueError> {
    let texts = [
        ("the job's name", Some(&job.name)),
        ("the job's queue", Some(&job.queue)),
        ("the unique key", job.unique_key.as_ref()),
        ("the fair key", job.fair_key.as_ref()),
        ("the order key", job.order_key.as_ref()),
        ("the trace parent", job.trace_parent.as_ref()),
    ];
    let tags = job.tags.iter().map(|tag| ("a tag", Some(tag)));
    if let Some((what, _)) =
        texts.into_iter().chain(tags).find(|(_, text)| text.is_some_and(|text| text.contains('\0')))
    {
        return Err(QueueError::Nul(what));
    }
    intake.check(&job.name, job.payload.get())
}

/// These jobs with their payloads as they are kept.
fn kept<'a>(jobs: &'a [NewJob], intake: Intake<'_>) -> Result<Cow<'a, [NewJob]>, EnqueueManyError> {
    if intake.codec.is_none() {
        return Ok(Cow::Borrowed(jobs));
    }
    let kept = |job: &NewJob| {
        let json = intake.encode(&job.name, job.payload.get().to_owned())?;
        Ok(NewJob { payload: RawValue::from_string(json).map_err(QueueError::Encode)?, ..job.clone() })
    };
    let numbered = jobs.iter().enumerate();
    let kept = numbered.map(|(n, job)| kept(job).map_err(|error| EnqueueManyError { job: Some(n), error }));
    kept.collect::<Result<Vec<_>, _>>().map(Cow::Owned)
}

/// Locks the groups that get members, in the order of their ids. All must take them.
async fn open_groups(schema: Schema, conn: &mut PgConnection, jobs: &[NewJob]) -> Result<(), EnqueueManyError> {
    let groups: Vec<GroupId> = jobs.iter().filter_map(|job| job.group).collect::<HashSet<_>>().into_iter().collect();
    if groups.is_empty() {
        return Ok(());
    }
    let open: Vec<GroupId> = sqlx::query_scalar(schema.sql(
        "select id from gristmill.groups where id = any($1) and state = 'open' and not sealed order by id for no key update",
    ))
    .bind(&groups)
    .fetch_all(conn)
    .await
    .map_err(QueueError::from)?;
    let closed = |job: &NewJob| job.group.filter(|group| !open.contains(group));
    match jobs.iter().enumerate().find_map(|(n, job)| Some((n, closed(job)?))) {
        Some((n, group)) => Err(EnqueueManyError { job: Some(n), error: QueueError::GroupClosed(group) }),
        None => Ok(()),
    }
}

/// Returns those whose key is taken.
async fn insert_once(
    schema: Schema,
    conn: &mut PgConnection,
    jobs: &[NewJob],
    wanted: &[usize],
    ids: &mut [Option<JobId>],
    enqueued: &mut Enqueued,
) -> Result<Vec<usize>, QueueError> {
    fn column<'a, T>(jobs: &[&'a NewJob], value: impl Fn(&'a NewJob) -> T) -> Vec<T> {
        jobs.iter().map(|job| value(job)).collect()
    }
    let rows: Vec<&NewJob> = wanted.iter().map(|n| &jobs[*n]).collect();
    let new: Vec<JobId> = rows.iter().map(|_| JobId::from(Uuid::now_v7())).collect();
    let here = crate::trace::current();
    let trace_parents = column(&rows, |job| job.trace_parent.clone().or_else(|| here.clone()));
    let fair_keys = column(&rows, NewJob::turn);
    let tags = rows.iter().map(|job| (!job.tags.is_empty()).then(|| serde_json::to_string(&job.tags)).transpose());
    let backoffs = rows.iter().map(|job| job.backoff.map(|backoff| serde_json::to_string(&backoff)).transpose());
    let (due, later): (Vec<JobId>, Vec<JobId>) = sqlx::query_as(schema.sql(INSERT))
        .bind(&new)
        .bind(column(&rows, |job| job.name.as_str()))
        .bind(column(&rows, |job| job.queue.as_str()))
        .bind(column(&rows, |job| i16::from(job.priority.min(9))))
        .bind(column(&rows, |job| job.payload.get()))
        .bind(column(&rows, |job| i32::from(job.max_attempts.max(1))))
        .bind(column(&rows, |job| job.run_at.map(|at| at.max(Timestamp::UNIX_EPOCH).as_microsecond())))
        .bind(column(&rows, |job| job.delay.map_or(0, millis)))
        .bind(column(&rows, |job| job.group))
        .bind(column(&rows, |job| job.unique_key.as_deref()))
        .bind(column(&rows, |job| job.client_id))
        .bind(&trace_parents)
        .bind(&fair_keys)
        .bind(column(&rows, |job| i16::try_from(job.version).unwrap_or(i16::MAX)))
        .bind(column(&rows, |job| job.retain.map(crate::job::seconds)))
        .bind(column(&rows, |job| job.timeout.map(timeout_millis)))
        .bind(column(&rows, |job| job.expires_in.map(millis)))
        .bind(tags.collect::<Result<Vec<_>, _>>().map_err(QueueError::Encode)?)
        .bind(backoffs.collect::<Result<Vec<_>, _>>().map_err(QueueError::Encode)?)
        .bind(column(&rows, |job| job.order_key.as_deref()))
        .fetch_one(conn)
        .await?;
    let found = enqueue::ready_by_id(due, later);
    let mut taken = Vec::new();
    for (at, (n, id)) in wanted.iter().zip(new).enumerate() {
        let Some(ready) = found.get(&id) else {
            taken.push(*n);
            continue;
        };
        ids[*n] = Some(id);
        enqueued.ids.push(id);
        if *ready {
            let (trace_parent, fair_key) = (trace_parents[at].clone(), fair_keys[at].clone());
            enqueued.messages.push(message(id, rows[at], trace_parent, fair_key.unwrap_or_default()));
        }
    }
    Ok(taken)
}

fn message(id: JobId, job: &NewJob, trace_parent: Option<String>, fair_key: String) -> Message {
    let envelope = Envelope {
        name: job.name.as_str().into(),
        due: now_millis(),
        trace_parent,
        client_id: job.client_id,
        version: job.version,
        payload: &job.payload,
    };
    let (queue, priority) = (job.queue.clone(), job.priority.min(9));
    Message { id, queue, priority, fair_key, called: false, body: envelope.to_body() }
}

/// Who has these keys.
async fn holders(
    schema: Schema,
    conn: &mut PgConnection,
    keys: HashSet<&str>,
) -> Result<HashMap<String, JobId>, QueueError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, JobId)> = sqlx::query_as(schema.sql(
        "select unique_key, id from gristmill.jobs where unique_key = any($1) and state in ('available', 'scheduled')",
    ))
    .bind(keys.into_iter().collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}
