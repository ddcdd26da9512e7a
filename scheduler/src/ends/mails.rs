//! Mails whose job is no more.

use std::collections::BTreeMap;

use gristmill_billing::bills;
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_mail::{
    Kind, Left,
    jobs::{EnterUnsent, MailJob, SendBills, SendMail},
};
use gristmill_queue::Job;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use super::{EndedJob, Unannounced};
use crate::Env;

/// Those of them that were begun fail, with the reason; the others are entered as failed by a job of this list, as the worker
/// knows which they are; and a run is told of them. `false`: somebody is still sending some.
pub(super) async fn end(
    env: &Env,
    conn: &mut PgConnection,
    job: &EndedJob,
    unannounced: &mut Unannounced,
    unsent: &mut BTreeMap<ClientId, Vec<EnterUnsent>>,
) -> anyhow::Result<bool> {
    let reason = job.reason();
    if job.name == SendMail::NAME {
        let Some(of) = read::<SendMail>(job) else { return Ok(true) };
        let left =
            gristmill_mail::end(conn, of.client_id, of.kind, std::slice::from_ref(&of.reference), &reason).await?;
        if left == Left::NotEntered {
            unsent.entry(of.client_id).or_default().push(EnterUnsent { of: MailJob::Mail(of), reason });
        }
        return Ok(left != Left::Held);
    }
    let Some(of) = read::<SendBills>(job) else { return Ok(true) };
    let today = settings::find(&mut *conn, of.client_id).await?.date_of(Timestamp::now())?;
    let found = bills::numbered(&env.pool, of.client_id, of.from_number, of.to_number, of.payable_on, today).await?;
    let references: Vec<String> = found
        .iter()
        .map(|bill| of.step.map_or_else(|| bill.id().to_string(), |step| format!("{}/{step}", bill.id())))
        .collect();
    let left = gristmill_mail::end(conn, of.client_id, of.kind, &references, &reason).await?;
    if left == Left::Held {
        return Ok(false);
    }
    if of.kind == Kind::BillNew {
        unannounced.mails(job.id, &of, reason.clone());
    }
    if left == Left::NotEntered {
        unsent.entry(of.client_id).or_default().push(EnterUnsent { of: MailJob::Bills(of), reason });
    }
    Ok(true)
}

/// What the job was to send; one that nobody can read must not hold up the others.
fn read<J: DeserializeOwned>(job: &EndedJob) -> Option<J> {
    job.job()
        .inspect_err(|error| tracing::error!(job_id = %job.id, %error, "nobody knows what this job was to send"))
        .ok()
}
