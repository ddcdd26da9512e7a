//! A report of a remote worker: heartbeat, renewal, completions and failures at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, info, warn};

use super::{
    Inner, RemoteFailure, RemoteOrders, RemoteReport, Ticket,
    keeper::Line,
    lookup::{Known, lookup},
    sessions::Held,
};
use crate::{
    Content, ContentKind, JobId, QueueError,
    broker::{LeaseRelease, ReleaseReason},
    claim::encode_result,
    ledger::{
        complete::{self, FinishedJob},
        fail::{Outcome, Run, Settle, Verdict},
        logs::{self, NewLogs},
    },
    logs::Lines,
    run::attempt::{CANCEL_GRACE, backoff, count},
};

/// What a report is about, once it is known which of it is this worker's to say.
pub(super) struct Ours<'a> {
    known: &'a HashMap<JobId, Known>,
    lost: HashSet<Ticket>,
}

impl Ours<'_> {
    /// The job, if this delivery of it is the worker's.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&Known> {
        self.known.get(&ticket.id).filter(|_| !self.lost.contains(&ticket))
    }

    /// The job, if it is also still to be done.
    pub(super) fn open(&self, ticket: Ticket) -> Option<&Known> {
        self.get(ticket).filter(|known| known.open)
    }
}

impl Inner {
    pub(super) async fn report(self: &Arc<Self>, mut report: RemoteReport) -> Result<RemoteOrders, QueueError> {
        self.sessions.with(&report.worker, |session| session.describe(&report.worker));
        let ended = ended(&report);
        report.held.retain(|ticket| !ended.contains(ticket));
        let tickets: Vec<Ticket> = report.held.iter().chain(&ended).copied().collect();
        let mut ids: Vec<JobId> = tickets.iter().map(|ticket| ticket.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let known = lookup(&self.queue, &ids).await?;
        let lines = self.lines_of(&known);
        let ours = Ours { lost: self.renew(&known, &lines, &tickets).await?, known: &known };

        self.keep_logs(&report, &ours).await?;
        let mut orders = RemoteOrders::default();
        let mut acks: Vec<Ticket> = Vec::new();
        self.keep_steps(&report, &ours, &mut orders).await?;
        let failures = self.complete(&report, &ours, &mut orders, &mut acks).await?;
        self.fail(&report, failures, &ours, &mut acks).await?;
        let released = report.released.iter().filter(|ticket| ours.open(**ticket).is_some());
        self.put_back(released, &known, &lines).await?;
        self.note_held(&report, &ended, &ours, &mut orders, &mut acks).await?;
        for (queue, acks) in by_queue(&known, acks.iter()) {
            let acks: Vec<_> = acks.iter().map(|ticket| (ticket.id.to_string(), ticket.number())).collect();
            lines[queue].answers.ack(&acks).await?;
        }
        let progress: Vec<_> = report.progress.iter().filter(|(ticket, _)| ours.get(*ticket).is_some()).collect();
        if !progress.is_empty() {
            let said: Vec<_> = progress.iter().map(|(ticket, progress)| (ticket.id, *progress)).collect();
            self.queue.tell_progress(&said).await?;
        }

        orders.lost.extend(ours.lost.iter().map(|ticket| ticket.id));
        orders.lost.sort_unstable();
        orders.lost.dedup();
        if !ours.lost.is_empty() {
            info!(jobs = ours.lost.len(), worker = report.worker.name, "a remote worker reports what it does not hold");
            metrics::counter!("gristmill_leases_lost_total").increment(ours.lost.len() as u64);
        }
        if report.leaving {
            self.leave(&report.worker).await;
        } else {
            self.beat(&report.worker, false).await;
            orders.drain = self.sessions.with(&report.worker, |session| session.draining);
        }
        Ok(orders)
    }

    fn lines_of<'a>(self: &Arc<Self>, known: &'a HashMap<JobId, Known>) -> BTreeMap<&'a str, Arc<Line>> {
        let queues: HashSet<&str> = known.values().map(|job| job.queue.as_str()).collect();
        queues.into_iter().map(|queue| (queue, self.line(queue))).collect()
    }

    /// Renews all leases that are spoken of, and says which the worker does not have any more.
    async fn renew(
        &self,
        known: &HashMap<JobId, Known>,
        lines: &BTreeMap<&str, Arc<Line>>,
        tickets: &[Ticket],
    ) -> Result<HashSet<Ticket>, QueueError> {
        // Of a round that has ended the number may be another delivery's by now.
        let of_now = |ticket: &&Ticket| known.get(&ticket.id).is_some_and(|job| ticket.is_of(job.round) || !job.open);
        let (current, earlier): (Vec<&Ticket>, Vec<&Ticket>) = tickets.iter().partition(of_now);
        let mut lost: HashSet<Ticket> = earlier.into_iter().copied().collect();
        for (queue, tickets) in by_queue(known, current.into_iter()) {
            let held: Vec<_> = tickets.iter().map(|ticket| (ticket.id.to_string(), ticket.number())).collect();
            let gone: HashSet<String> = lines[queue].answers.renew(self.lease, &held).await?.into_iter().collect();
            metrics::counter!("gristmill_lease_renewals_total").increment((held.len() - gone.len()) as u64);
            lost.extend(tickets.iter().zip(&held).filter(|(_, (id, _))| gone.contains(id)).map(|(ticket, _)| **ticket));
        }
        Ok(lost)
    }

    /// Before anybody hears of an end. A report that is sent again finds ended jobs closed, and the lines of others there.
    async fn keep_logs(&self, report: &RemoteReport, ours: &Ours<'_>) -> Result<(), QueueError> {
        let mut said: BTreeMap<(JobId, u32), Lines> = BTreeMap::new();
        for (ticket, line) in &report.logs {
            if let Some(job) = ours.open(*ticket) {
                let attempt = job.attempt.unsigned_abs() + 1;
                said.entry((ticket.id, attempt)).or_default().push(line.clone());
            }
        }
        let said = said.into_iter().map(|((id, attempt), lines)| NewLogs { id, attempt, lines });
        let said: Vec<NewLogs> = said.collect();
        logs::append(self.queue.schema(), self.queue.pool(), &said).await
    }

    /// By one statement. Returns those whose result cannot be kept: they have failed.
    async fn complete(
        &self,
        report: &RemoteReport,
        ours: &Ours<'_>,
        orders: &mut RemoteOrders,
        acks: &mut Vec<Ticket>,
    ) -> Result<Vec<RemoteFailure>, QueueError> {
        let (mut jobs, mut failures) = (Vec::new(), Vec::new());
        for (ticket, result) in &report.done {
            let Some(job) = ours.get(*ticket) else { continue };
            let content = Content::new(&job.name, ContentKind::Result);
            let kept = |json: String| encode_result(self.queue.config().codec(), content, json);
            let result = match result.clone().map(kept).transpose() {
                Ok(result) => result,
                Err(error) => {
                    if job.open {
                        orders.refused.push((ticket.id, error.to_string()));
                        failures.push(RemoteFailure::new(*ticket, error.to_string()));
                    }
                    continue;
                }
            };
            acks.push(*ticket);
            let started = self.started(report, *ticket);
            jobs.push(FinishedJob { id: ticket.id, started, result, grouped: job.grouped, nested: job.nested });
        }
        jobs.sort_unstable_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        if jobs.is_empty() {
            return Ok(failures);
        }
        let done = complete::complete_alone(&self.queue, Some(&report.worker.name), &mut jobs).await?;
        for job in &jobs {
            let outcome = if done.contains(&job.id) { "completed" } else { "already_done" };
            let known = &ours.known[&job.id];
            count(&known.queue, &known.name, outcome);
            if let Some(started) = job.started {
                let labels = [("queue", known.queue.clone()), ("name", known.name.clone())];
                metrics::histogram!("gristmill_job_run_seconds", &labels).record(started.elapsed());
            }
        }
        Ok(failures)
    }

    async fn fail(
        &self,
        report: &RemoteReport,
        more: Vec<RemoteFailure>,
        ours: &Ours<'_>,
        acks: &mut Vec<Ticket>,
    ) -> Result<(), QueueError> {
        let mut verdicts = Vec::new();
        for failure in report.failed.iter().chain(&more) {
            if ours.get(failure.ticket).is_some() {
                acks.push(failure.ticket);
            }
            if let Some(job) = ours.open(failure.ticket) {
                verdicts.push((failure.ticket, self.verdict(failure, job)));
            }
        }
        for (ticket, pause) in &report.snoozed {
            if ours.get(*ticket).is_some() {
                acks.push(*ticket);
            }
            if ours.open(*ticket).is_some() {
                verdicts.push((*ticket, Verdict::snooze(*pause)));
            }
        }
        for (ticket, verdict) in self.fall_asleep(report, ours).await? {
            acks.push(ticket);
            verdicts.extend(verdict.map(|verdict| (ticket, verdict)));
        }
        self.end(report, verdicts, ours.known).await
    }

    fn verdict(&self, failure: &RemoteFailure, job: &Known) -> Verdict {
        let error = failure.error.clone();
        if failure.cancelled || job.stopped {
            return Outcome::Cancelled.because(error);
        }
        warn!(job = %failure.ticket.id, name = job.name, queue = job.queue, error, "failed");
        if failure.discard {
            return Outcome::Discarded.because(error);
        }
        let attempt = job.attempt.unsigned_abs() + 1;
        let delay = failure.retry_in.or_else(|| job.backoff().map(|backoff| backoff.after(attempt)));
        let delay = delay.unwrap_or_else(|| backoff(self.queue.config(), attempt));
        Outcome::Retried.after(delay, error)
    }

    /// Writes verdicts down, the first for each job.
    async fn end(
        &self,
        report: &RemoteReport,
        verdicts: Vec<(Ticket, Verdict)>,
        known: &HashMap<JobId, Known>,
    ) -> Result<(), QueueError> {
        let mut outcomes: HashMap<JobId, Outcome> = HashMap::new();
        let mut settles = Vec::new();
        for (ticket, verdict) in verdicts {
            if outcomes.contains_key(&ticket.id) {
                continue;
            }
            outcomes.insert(ticket.id, verdict.outcome);
            let run = Run {
                delivery: ticket.number(),
                worker: Some(report.worker.name.as_str().into()),
                started: self.started(report, ticket),
                round: Some(ticket.round()),
            };
            settles.push(Settle { id: ticket.id, verdict, run: Some(run) });
        }
        for (id, state) in self.settle(settles).await? {
            let Some(job) = known.get(&id) else { continue };
            let outcome = outcomes.get(&id).copied().unwrap_or(Outcome::Retried);
            count(&job.queue, &job.name, state.counted_as(outcome));
        }
        Ok(())
    }

    async fn put_back<'a>(
        &self,
        released: impl Iterator<Item = &'a Ticket>,
        known: &'a HashMap<JobId, Known>,
        lines: &BTreeMap<&str, Arc<Line>>,
    ) -> Result<(), QueueError> {
        for (queue, tickets) in by_queue(known, released) {
            let releases: Vec<_> = tickets
                .iter()
                .map(|ticket| LeaseRelease {
                    id: ticket.id.to_string(),
                    number: ticket.number(),
                    delay: Duration::ZERO,
                    reason: ReleaseReason::Wait,
                })
                .collect();
            lines[queue].answers.release(self.lease, self.queue.config().max_deliveries, &releases).await?;
        }
        Ok(())
    }

    /// What the worker goes on with, and what it is to stop.
    async fn note_held(
        &self,
        report: &RemoteReport,
        ended: &HashSet<Ticket>,
        ours: &Ours<'_>,
        orders: &mut RemoteOrders,
        acks: &mut Vec<Ticket>,
    ) -> Result<(), QueueError> {
        let (mut overdue, mut late) = (Vec::new(), Vec::new());
        self.sessions.with(&report.worker, |session| {
            for ticket in ended.iter().chain(&ours.lost) {
                if session.held.get(&ticket.id).is_some_and(|held| held.ticket == *ticket) {
                    session.held.remove(&ticket.id);
                }
            }
            for ticket in &report.held {
                let Some(job) = ours.get(*ticket) else { continue };
                if !job.open {
                    // It was completed in a transaction of its own, or another run was first: nothing is left to be done.
                    session.held.remove(&ticket.id);
                    acks.push(*ticket);
                    orders.lost.push(ticket.id);
                    continue;
                }
                let held = session.held.entry(ticket.id);
                let held = held.or_insert_with(|| Held::new(*ticket, &job.queue, &job.name, false, false));
                held.set_renewed();
                if !job.stopped {
                    // Its worker ends it by itself; of one that does not, this does.
                    if let Some(timeout) = job.timeout()
                        && held.since.elapsed() >= timeout + CANCEL_GRACE
                    {
                        session.held.remove(&ticket.id);
                        orders.lost.push(ticket.id);
                        late.push(RemoteFailure::new(
                            *ticket,
                            format!("timed out after {timeout:?}: its worker did not stop it"),
                        ));
                    }
                    continue;
                }
                if held.cancel_told.get_or_insert_with(Instant::now).elapsed() < CANCEL_GRACE {
                    orders.cancel.push(ticket.id);
                } else {
                    session.held.remove(&ticket.id);
                    orders.lost.push(ticket.id);
                    overdue.push(*ticket);
                }
            }
        });
        if overdue.is_empty() && late.is_empty() {
            return Ok(());
        }
        debug!(
            cancelled = overdue.len(),
            timed_out = late.len(),
            worker = report.worker.name,
            "a remote worker does not stop what it is to stop"
        );
        let verdict =
            || Outcome::Cancelled.because(format!("did not heed its cancellation for {CANCEL_GRACE:?}: abandoned"));
        let timed_out = late.iter().filter_map(|failure| {
            let job = ours.open(failure.ticket)?;
            Some((failure.ticket, self.verdict(failure, job)))
        });
        let verdicts = overdue.iter().map(|ticket| (*ticket, verdict())).chain(timed_out).collect();
        acks.extend(overdue);
        acks.extend(late.iter().map(|failure| failure.ticket));
        self.end(report, verdicts, ours.known).await
    }

    /// When the run began, if it was this process that gave it.
    fn started(&self, report: &RemoteReport, ticket: Ticket) -> Option<Instant> {
        self.sessions.with(&report.worker, |session| {
            session.held.get(&ticket.id).filter(|held| held.ticket == ticket).and_then(|held| held.started)
        })
    }
}

impl RemoteFailure {
    /// An attempt that is to be made again after the backoff.
    #[must_use]
    pub fn new(ticket: Ticket, error: impl Into<String>) -> Self {
        Self { ticket, error: error.into(), retry_in: None, discard: false, cancelled: false }
    }
}

/// What the worker does not hold any more, by its own word.
fn ended(report: &RemoteReport) -> HashSet<Ticket> {
    let done = report.done.iter().map(|(ticket, _)| *ticket);
    let failed = report.failed.iter().map(|failure| failure.ticket);
    let snoozed = report.snoozed.iter().map(|(ticket, _)| *ticket);
    let sleeping = report.sleeping.iter().map(|sleep| sleep.ticket);
    let waiting = report.waiting.iter().map(|wait| wait.ticket);
    let ended = done.chain(failed).chain(snoozed).chain(sleeping).chain(waiting);
    ended.chain(report.released.iter().copied()).collect()
}

fn by_queue<'a>(
    known: &'a HashMap<JobId, Known>,
    tickets: impl Iterator<Item = &'a Ticket>,
) -> BTreeMap<&'a str, Vec<&'a Ticket>> {
    let mut queues: BTreeMap<&str, Vec<&Ticket>> = BTreeMap::new();
    for ticket in tickets {
        if let Some(job) = known.get(&ticket.id) {
            queues.entry(&job.queue).or_default().push(ticket);
        }
    }
    queues
}
