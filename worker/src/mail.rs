//! Mails: one, or those of a slice of bills. What was sent is in the table `mails`, so a job that runs again sends the rest.

mod bills;
mod dunning;
mod run;
mod uploads;
mod webhooks;

use std::time::Duration;

use gristmill::{App, Data};
use gristmill_core::ClientId;
use gristmill_mail::{
    Email, Kind, Report, SendContext,
    jobs::{EnterUnsent, MailJob, SendBills, SendMail},
};
use gristmill_queue::{Completion, Context, Fence, JobError, Options};

use crate::Env;

pub(crate) use run::of_run;

/// When a mail that was put off by the server is tried again: greylisting wants some minutes, most else less.
const PUT_OFF: Duration = Duration::from_secs(60);
/// When a mail that another run has is looked at again.
const HELD: Duration = Duration::from_secs(5);

pub(crate) fn register(app: App) -> App {
    app.job(send).job(send_bills).job(enter_unsent).job(dunning::tick)
}

async fn send(job: SendMail, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let Some(letter) = letter(&env, &job).await? else {
        // An earlier attempt may have entered it.
        return Ok(env.mailer.drop_unwanted(job.client_id, job.kind, &[job.reference]).await?);
    };
    let report = env.mailer.deliver(&turn(&context, job.client_id), vec![letter]).await?;
    match report.deferred.is_empty() {
        true => rest(&report),
        false => Err(JobError::retry(report.error.unwrap_or_default())),
    }
}

/// What the mail says; `None` when there is nothing to say any more.
async fn letter(env: &Env, job: &SendMail) -> Result<Option<Email>, JobError> {
    match job.kind {
        Kind::UploadCompleted | Kind::UploadFailed => uploads::letter(env, job).await,
        Kind::WebhookDisabled => webhooks::letter(env, job).await,
        Kind::BillNew | Kind::BillReminder | Kind::BillOverdue | Kind::PaymentReceipt => bills::letter(env, job).await,
    }
}

async fn send_bills(job: SendBills, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let (letters, unwanted) = bills::letters(&env, &job).await?;
    env.mailer.drop_unwanted(job.client_id, job.kind, &unwanted).await?;
    let report = env.mailer.deliver(&turn(&context, job.client_id), letters).await?;
    rest(&report)?;
    // A few that were put off do not hold up the others: they become jobs of their own.
    let singles: Vec<SendMail> = report
        .deferred
        .into_iter()
        .map(|(kind, reference)| SendMail { client_id: job.client_id, kind, reference })
        .collect();
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let options = Options {
        run_at: Some(jiff::Timestamp::now() + PUT_OFF),
        client_id: Some(job.client_id),
        ..Options::default()
    };
    let mut jobs = env.queue.enqueue_all(&mut tx, &singles, &options).await?;
    if let Completion::Done(more) = env.queue.complete(&mut tx, &context.claim).await? {
        tx.commit().await?;
        jobs.merge(more);
        env.queue.push(jobs).await;
    }
    Ok(())
}

/// Enters what was never begun of a job that is no more. Which bills have a mail at all, the same functions say that send.
async fn enter_unsent(job: EnterUnsent, Data(env): Data<Env>) -> Result<(), JobError> {
    let (client_id, letters) = match &job.of {
        MailJob::Mail(of) => (of.client_id, Vec::from_iter(letter(&env, of).await?)),
        MailJob::Bills(of) => (of.client_id, bills::letters(&env, of).await?.0),
    };
    let entered = env.mailer.enter_unsent(client_id, letters, &job.reason).await?;
    tracing::info!(client_id = client_id.get(), entered, "mails that nobody will send are entered as failed");
    Ok(())
}

fn turn(context: &Context, client_id: ClientId) -> SendContext {
    SendContext { client_id, last: context.attempt >= context.max_attempts, cancel: context.cancel.clone() }
}

/// Whether the job must come again for what it could not begin.
fn rest(report: &Report) -> Result<(), JobError> {
    if report.unreachable {
        return Err(JobError::retry(report.error.clone().unwrap_or_default()));
    }
    if let Some(wait) = report.later {
        return Err(JobError::Snooze(wait.max(Duration::from_secs(1))));
    }
    if report.held + report.left > 0 {
        return Err(JobError::Snooze(HELD));
    }
    Ok(())
}
