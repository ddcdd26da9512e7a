//! Reminders before bills are due, and after: the schedule's tick cuts those of the day into slices of mails.

use gristmill::Data;
use gristmill_billing::{
    dunning::{self, Day, Step},
    issue,
    jobs::DunningTick,
};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_mail::{Kind, jobs::SendBills};
use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError, Options};
use jiff_sqlx::Timestamp;
use sqlx::PgConnection;

use super::run::{BATCH_SIZE, KEPT};
use crate::Env;

/// Has the mails sent whose day has come. That they are enqueued and that their day is done is one commit; two ticks at
/// once take different days; and the mail itself is one of its bill, kind and step, whoever wants it.
pub(super) async fn tick(_: DunningTick, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let now: Timestamp = sqlx::query_scalar("select now()").fetch_one(&mut *tx).await?;
    let mut jobs = Enqueued::default();
    for client_id in dunning::clients(&mut tx).await? {
        jobs.merge(of_client(&env, &mut tx, client_id, now.to_jiff()).await?);
    }
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::Done(more) => jobs.merge(more),
        Completion::AlreadyDone => return Ok(()),
    }
    tx.commit().await?;
    env.queue.push(jobs).await;
    Ok(())
}

async fn of_client(
    env: &Env,
    conn: &mut PgConnection,
    client_id: ClientId,
    now: jiff::Timestamp,
) -> Result<Enqueued, JobError> {
    let settings = settings::find(&mut *conn, client_id).await?;
    let today = dunning::today(&settings, now)?;
    // Without a mail server some are enough to look at; and with one, nobody is dunned for a sample.
    let mut left = match (env.mailer.sends(), issue::is_sample(&settings)) {
        (false, _) => KEPT,
        (true, false) => i64::MAX,
        (true, true) => 0,
    };
    let options = Options { client_id: Some(client_id), ..Options::default() };
    let mut jobs = Enqueued::default();
    loop {
        let days = dunning::take(conn, client_id, today).await?;
        if days.is_empty() {
            return Ok(jobs);
        }
        let mut slices = Vec::new();
        for day in &days {
            if let Some(step) = day.step(&settings, today) {
                slices.extend(cut(client_id, day, step, &mut left));
            }
        }
        if !slices.is_empty() {
            tracing::info!(client_id = client_id.get(), %today, slices = slices.len(), "payers are reminded");
        }
        jobs.merge(env.queue.enqueue_all(conn, &slices, &options).await?);
        dunning::looked(conn, client_id, &settings, &days, today).await?;
    }
}

/// A day's numbers in pieces of equal length, as many as its bills ask for: bills of one day lie scattered over them.
fn cut(client_id: ClientId, day: &Day, step: Step, left: &mut i64) -> Vec<SendBills> {
    let (kind, step) = match step {
        Step::Reminder(days) => (Kind::BillReminder, days),
        Step::Overdue(days) => (Kind::BillOverdue, days),
    };
    let numbers = day.to_number - day.from_number + 1;
    let length = (numbers * BATCH_SIZE / day.bills.max(1)).clamp(1, numbers);
    let mut pieces = Vec::new();
    let mut from_number = day.from_number;
    while from_number <= day.to_number && *left > 0 {
        let to_number = (from_number + length - 1).min(day.to_number);
        pieces.push(SendBills {
            client_id,
            kind,
            from_number,
            to_number,
            step: Some(step),
            payable_on: Some(day.payable_on()),
        });
        *left -= BATCH_SIZE.min(day.bills);
        from_number = to_number + 1;
    }
    pieces
}
