//! Steps, cursors, sleeps and waits of jobs that remote workers run.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde_json::value::RawValue;

use super::{Inner, RemoteOrders, RemoteReport, Ticket, lookup::Known, report::Ours};
use crate::{
    Codec, CodecError, Content, ContentKind, JobId, QueueError,
    broker::Lease,
    claim::encode_result,
    codec,
    envelope::Envelope,
    ledger::{
        fail::Verdict,
        fence::Runnable,
        steps::{self, Recorded, Run, Wait},
    },
    steps::{received, wait_name},
};

/// What runs before this one have recorded.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Resume {
    /// Where the last one has come to.
    pub cursor: Option<Box<RawValue>>,
    /// Steps that are done, with what they came to.
    pub steps: BTreeMap<String, Box<RawValue>>,
    /// Sleeps that are over, by their number in the job from 1.
    pub slept: Vec<u32>,
    /// Waits that are over.
    pub received: Vec<Received>,
}

/// A wait for a signal that is over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// The signal.
    pub signal: String,
    /// Which wait for this signal it was, from 1.
    pub n: u32,
    /// What was sent. None: nothing in the time.
    pub payload: Option<Box<RawValue>>,
}

/// A step that is done.
#[derive(Debug, Clone)]
pub struct RemoteStep {
    /// Of which delivery.
    pub ticket: Ticket,
    /// Its name, which a job has once.
    pub name: String,
    /// What it came to, as JSON.
    pub result: String,
}

/// A job that sleeps.
#[derive(Debug, Clone)]
pub struct RemoteSleep {
    /// Which delivery.
    pub ticket: Ticket,
    /// Which sleep of the job, from 1.
    pub n: u32,
    /// How long it is. One that was begun before goes on.
    pub time: Duration,
}

/// A job that waits for a signal.
#[derive(Debug, Clone)]
pub struct RemoteWait {
    /// Which delivery.
    pub ticket: Ticket,
    /// The signal.
    pub signal: String,
    /// Which wait of the job for this signal, from 1.
    pub n: u32,
    /// How long it waits at most. A wait that was begun before goes on.
    pub timeout: Duration,
}

impl Resume {
    /// Of a job of this name.
    fn add(&mut self, codec: Option<&dyn Codec>, job: &str, row: Recorded) -> Result<(), CodecError> {
        let raw = |kind: ContentKind, json: Option<String>| {
            let json = json.unwrap_or_else(|| "null".to_owned());
            let json = codec::decode(codec, Content::new(job, kind), &json)?.into_owned();
            Ok::<_, CodecError>(RawValue::from_string(json).ok())
        };
        match row.kind.as_str() {
            "step" => self.steps.extend(raw(ContentKind::Step, row.result)?.map(|result| (row.name, result))),
            "cursor" => self.cursor = raw(ContentKind::Cursor, row.result)?,
            "sleep" if row.done => self.slept.extend(row.name.parse::<u32>().ok()),
            "wait" if row.done => {
                let Some((signal, n)) = split_wait(&row.name) else { return Ok(()) };
                let payload = received(row.result.as_deref());
                let payload = payload.map(|payload| raw(ContentKind::Signal, Some(payload))).transpose()?.flatten();
                self.received.push(Received { signal, n, payload });
            }
            _ => {}
        }
        Ok(())
    }
}

fn split_wait(name: &str) -> Option<(String, u32)> {
    let (signal, n) = name.rsplit_once(':')?;
    Some((signal.to_owned(), n.parse().ok()?))
}

fn run_of(ticket: Ticket, job: &Known) -> Run {
    Run { id: ticket.id, attempt: job.attempt }
}

impl Inner {
    /// What the jobs that are to be given have recorded, where they have, and for which of them that cannot be read, and why. A signal
    /// that came meanwhile is received here.
    pub(super) async fn resumes(
        &self,
        jobs: &[(JobId, Runnable, Lease)],
    ) -> Result<(HashMap<JobId, Resume>, HashMap<JobId, String>), QueueError> {
        let resuming: HashMap<JobId, i32> =
            jobs.iter().filter(|(_, found, _)| found.resumes).map(|(id, found, _)| (*id, found.attempt)).collect();
        let (mut resumes, mut unreadable): (HashMap<JobId, Resume>, HashMap<JobId, String>) = Default::default();
        if resuming.is_empty() {
            return Ok((resumes, unreadable));
        }
        let names = jobs.iter().filter_map(|(id, _, lease)| {
            let message: Envelope<'_> = serde_json::from_slice(&lease.payload).ok()?;
            Some((*id, message.name))
        });
        let names: HashMap<JobId, Cow<'_, str>> = names.collect();
        let (schema, pool) = (self.queue.schema(), self.queue.pool());
        let ids: Vec<JobId> = resuming.keys().copied().collect();
        for mut row in steps::of_jobs(schema, pool, &ids).await? {
            let (id, attempt) = (row.job_id, resuming.get(&row.job_id).copied().unwrap_or_default());
            if row.kind == "wait"
                && !row.done
                && let Some((signal, _)) = split_wait(&row.name)
            {
                // (It began before, with a time of its own.)
                let run = Run { id, attempt };
                match steps::wait(schema, pool, run, &row.name, &signal, Duration::ZERO).await {
                    Ok(Some(Wait::Over(payload))) => {
                        row.done = true;
                        row.result = payload.map(|payload| format!(r#"{{"payload":{payload}}}"#));
                    }
                    // Its worker waits again, and then it is looked for again.
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, job = %id, "a signal is received by the next look"),
                }
            }
            let name = names.get(&id).map(|name| &**name).unwrap_or_default();
            if let Err(error) = resumes.entry(id).or_default().add(self.queue.config().codec(), name, row) {
                unreadable.insert(id, error.to_string());
            }
        }
        Ok((resumes, unreadable))
    }

    /// Records steps and cursors, before their jobs may end. What is recorded already stays.
    pub(super) async fn keep_steps(
        &self,
        report: &RemoteReport,
        ours: &Ours<'_>,
        orders: &mut RemoteOrders,
    ) -> Result<(), QueueError> {
        let steps =
            report.steps.iter().map(|step| (step.ticket, ContentKind::Step, step.name.as_str(), step.result.as_str()));
        let cursors = report.cursors.iter().map(|(ticket, cursor)| (*ticket, ContentKind::Cursor, "", cursor.as_str()));
        for (ticket, kind, name, json) in steps.chain(cursors) {
            let Some(job) = ours.open(ticket) else { continue };
            let content = Content::new(&job.name, kind);
            let json = match encode_result(self.queue.config().codec(), content, json.to_owned()) {
                Ok(json) => json,
                Err(error) => {
                    let what = if name.is_empty() { "the cursor".to_owned() } else { format!("the step `{name}`") };
                    orders.refused.push((ticket.id, format!("{what}: {error}")));
                    continue;
                }
            };
            let kind = <&str>::from(kind);
            let kept =
                steps::keep(self.queue.schema(), self.queue.pool(), run_of(ticket, job), kind, name, &json).await?;
            if kept.is_none() {
                orders.lost.push(ticket.id);
            }
        }
        Ok(())
    }

    /// What sleeps and waits, each with how long; none: it has ended meanwhile.
    pub(super) async fn fall_asleep(
        &self,
        report: &RemoteReport,
        ours: &Ours<'_>,
    ) -> Result<Vec<(Ticket, Option<Verdict>)>, QueueError> {
        let (schema, pool) = (self.queue.schema(), self.queue.pool());
        let mut asleep = Vec::new();
        for sleep in report.sleeping.iter().filter(|sleep| ours.get(sleep.ticket).is_some()) {
            let mut verdict = None;
            if let Some(job) = ours.open(sleep.ticket) {
                let name = sleep.n.to_string();
                let left = steps::sleep(schema, pool, run_of(sleep.ticket, job), &name, sleep.time).await?;
                verdict = left.map(|left| Verdict::asleep(left, None));
            }
            asleep.push((sleep.ticket, verdict));
        }
        for wait in report.waiting.iter().filter(|wait| ours.get(wait.ticket).is_some()) {
            let mut verdict = None;
            if let Some(job) = ours.open(wait.ticket) {
                let name = wait_name(&wait.signal, wait.n);
                let found =
                    steps::wait(schema, pool, run_of(wait.ticket, job), &name, &wait.signal, wait.timeout).await?;
                verdict = found.map(|found| match found {
                    // It comes again, with what it has waited for.
                    Wait::Over(_) => Verdict::asleep(Duration::ZERO, None),
                    Wait::Left(left) => Verdict::asleep(left, Some(wait.signal.clone())),
                });
            }
            asleep.push((wait.ticket, verdict));
        }
        Ok(asleep)
    }
}
