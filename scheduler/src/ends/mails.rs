//! Mails whose job is no more.

use gristmill_billing::{bills, settings};
use gristmill_mail::{
    Kind,
    jobs::{SendBills, SendMail},
};
use gristmill_queue::Job;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use super::{Ended, Untold};
use crate::Env;

/// Those of them that were begun fail, with the reason; a run is told of those that were not. `false`: somebody is still
/// sending some.
pub(super) async fn end(env: &Env, conn: &mut PgConnection, job: &Ended, untold: &mut Untold) -> anyhow::Result<bool> {
    let reason = job.reason();
    if job.name == SendMail::NAME {
        let Some(of) = read::<SendMail>(job) else { return Ok(true) };
        return Ok(gristmill_mail::end(conn, of.client_id, of.kind, &[of.reference], &reason).await?);
    }
    let Some(of) = read::<SendBills>(job) else { return Ok(true) };
    let today = settings::find(&mut *conn, of.client_id).await?.date_of(Timestamp::now())?;
    let found = bills::numbered(&env.pool, of.client_id, of.from_number, of.to_number, of.payable_on, today).await?;
    let references: Vec<String> = found
        .iter()
        .map(|bill| of.step.map_or_else(|| bill.id().to_string(), |step| format!("{}/{step}", bill.id())))
        .collect();
    let over = gristmill_mail::end(conn, of.client_id, of.kind, &references, &reason).await?;
    if over && of.kind == Kind::BillNew {
        untold.mails(job.id, &of, reason);
    }
    Ok(over)
}

/// What the job was to send; one that nobody can read must not hold up the others.
fn read<J: DeserializeOwned>(job: &Ended) -> Option<J> {
    job.job()
        .inspect_err(|error| tracing::error!(job_id = %job.id, %error, "nobody knows what this job was to send"))
        .ok()
}
