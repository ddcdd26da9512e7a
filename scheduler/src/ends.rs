//! Jobs that died, or were cancelled or given up by hand, and what they leave behind: deliveries, requests of merchants, mails,
//! what a billing run has to tell, and runs. Nothing of it waits for ever: it ends with a reason that its client sees.

mod mails;
mod unannounced;

use std::collections::BTreeMap;

use anyhow::Context as _;
use gristmill_billing::{
    jobs::{CloseRun, FailRun, PlanRun},
    runs,
};
use gristmill_mail::jobs::{SendBills, SendMail};
use gristmill_normalization::{jobs::Normalize, requests};
use gristmill_queue::{Enqueued, Job, JobId, Options};
use gristmill_webhooks::{
    Event, Merchant, NormalizationCompleted,
    deliveries::{self, State},
    jobs::{AnnounceBills, Deliver},
};
use serde::de::DeserializeOwned;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use self::unannounced::Unannounced;
use crate::Env;

/// Jobs of one transaction.
const BATCH_SIZE: i64 = 500;

#[derive(FromRow)]
struct EndedJob {
    id: JobId,
    name: String,
    payload: serde_json::Value,
    state: String,
    last_error: Option<String>,
}

impl EndedJob {
    fn died(&self) -> bool {
        self.state == "dead"
    }

    /// What its client is told. Who gives a job up leaves its error, with these words before it.
    fn reason(&self) -> String {
        match &self.last_error {
            Some(error) if self.died() => format!("its job died: {error}"),
            None if self.died() => "its job died".to_owned(),
            Some(error) if error.starts_with("given up") => format!("its job was {error}"),
            _ => "its job was cancelled".to_owned(),
        }
    }

    fn job<J: DeserializeOwned>(&self) -> serde_json::Result<J> {
        serde_json::from_value(self.payload.clone())
    }
}

pub(crate) fn describe() {
    metrics::describe_counter!(
        "gristmill_ended_jobs_total",
        "Dead or cancelled jobs whose deliveries, requests, mails or runs the scheduler ended, by job name"
    );
}

/// Ends what belongs to such jobs.
pub(crate) async fn end(env: &Env) -> anyhow::Result<()> {
    let mut after = JobId::from(Uuid::nil());
    while let Some(last) = slice(env, after).await? {
        after = last;
    }
    Ok(())
}

/// Those behind `after`; returns the last one, when there may be more.
async fn slice(env: &Env, after: JobId) -> anyhow::Result<Option<JobId>> {
    let mut tx = env.pool.begin().await?;
    // A job that is run again at this moment is its operator's; the conditions are the index's.
    let ended: Vec<EndedJob> = sqlx::query_as(
        "select id, name, payload, state, last_error from gristmill.jobs
         where state in ('dead', 'cancelled') and end_seen_at is distinct from finished_at
           and name in ('webhooks.deliver', 'webhooks.announce_bills', 'normalizations.normalize', 'mail.send', 'mail.bills',
                        'billing.plan', 'billing.close', 'billing.fail')
           and id > $1
         order by id limit $2 for update skip locked",
    )
    .bind(after)
    .bind(BATCH_SIZE)
    .fetch_all(&mut *tx)
    .await?;
    let Some(last) = ended.last().map(|job| job.id) else { return Ok(None) };
    let (jobs, seen) = end_all(env, &mut tx, &ended).await?;
    sqlx::query("update gristmill.jobs set end_seen_at = finished_at where id = any($1)")
        .bind(&seen)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    env.queue.push(jobs).await;
    Ok((ended.len() as i64 == BATCH_SIZE).then_some(last))
}

/// Also returns the jobs of which nothing is left to be ended.
async fn end_all(env: &Env, conn: &mut PgConnection, ended: &[EndedJob]) -> anyhow::Result<(Enqueued, Vec<JobId>)> {
    let (mut jobs, mut seen) = (Enqueued::default(), Vec::with_capacity(ended.len()));
    let (mut deliveries, mut requests, mut unannounced) = (Vec::new(), Vec::new(), Unannounced::default());
    let mut unsent = BTreeMap::new();
    for job in ended {
        let over = match job.name.as_str() {
            Deliver::NAME => job.job::<Deliver>().map(|of| {
                let state = if job.died() { State::Failed } else { State::Cancelled };
                deliveries.push((of.delivery_id, state, job.reason()));
            }),
            Normalize::NAME => job.job::<Normalize>().map(|of| requests.push((of.request_id, job.reason()))),
            AnnounceBills::NAME => {
                job.job::<AnnounceBills>().map(|of| unannounced.announcement(job.id, &of, job.reason()))
            }
            SendMail::NAME | SendBills::NAME => {
                if !mails::end(env, conn, job, &mut unannounced, &mut unsent).await? {
                    // Some are being sent at this moment: what becomes of them is seen next time.
                    continue;
                }
                Ok(())
            }
            _ => run_of(job).map(|_| ()),
        };
        match over {
            Ok(()) if [PlanRun::NAME, CloseRun::NAME, FailRun::NAME].contains(&job.name.as_str()) => {
                let detail = format!("{} ({}): {}", job.name, job.id, job.reason());
                jobs.merge(runs::give_up(conn, &env.queue, run_of(job)?, &detail).await?);
            }
            Ok(()) => {}
            Err(error) => {
                tracing::error!(job_id = %job.id, name = job.name, %error, "nobody knows what this job was for")
            }
        }
        metrics::counter!("gristmill_ended_jobs_total", "job" => job.name.clone()).increment(1);
        seen.push(job.id);
    }
    unannounced.note(conn).await?;
    deliveries::end(conn, &deliveries).await?;
    for (client_id, unsent) in unsent {
        let options = Options { client_id: Some(client_id), ..Options::default() };
        jobs.merge(env.queue.enqueue_all(conn, &unsent, &options).await?);
    }
    jobs.merge(fail_requests(env, conn, &requests).await?);
    tracing::warn!(jobs = seen.len(), "ended what belongs to jobs that died or were cancelled");
    Ok((jobs, seen))
}

fn run_of(job: &EndedJob) -> serde_json::Result<Uuid> {
    match job.name.as_str() {
        PlanRun::NAME => job.job::<PlanRun>().map(|of| of.run_id),
        CloseRun::NAME => job.job::<CloseRun>().map(|of| of.run_id),
        _ => job.job::<FailRun>().map(|of| of.run_id),
    }
}

/// Requests of merchants fail, and their clients are told as of any other that does.
async fn fail_requests(env: &Env, conn: &mut PgConnection, requests: &[(Uuid, String)]) -> anyhow::Result<Enqueued> {
    let mut jobs = Enqueued::default();
    for (request_id, client_id) in requests::end(conn, requests).await? {
        let merchant = Merchant { name: "n/a".to_owned(), rule: None, score: None, category: None, wikidata_id: None };
        let event = Event::NormalizationCompleted(NormalizationCompleted { request_id, merchant });
        let told = gristmill_webhooks::publish(conn, &env.queue, client_id, &event).await;
        jobs.merge(told.context("publishing the end of a request")?);
    }
    Ok(jobs)
}
