//! What mails say of bills.

use std::sync::Arc;

use gristmill_billing::{
    BillId,
    bills::{self, Bill, Status},
    issue::{self, IssueError, Ways},
};
use gristmill_bills::{Currency, Language, Money, Settings as Issuer, pdf};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_mail::{
    Attachment, BillFacts, Content, Dun, Email, Kind, Payment,
    jobs::{SendBills, SendMail},
};
use gristmill_queue::JobError;
use jiff::{civil::Date, tz::TimeZone};
use jiff_sqlx::Timestamp as SqlTimestamp;

use crate::Env;

/// What all bills of a client share.
struct Sender {
    issuer: Issuer,
    ways: Ways,
    branding: Arc<pdf::Branding>,
    language: Language,
    zone: TimeZone,
    today: Date,
}

/// The mail about one bill; `None` when it has nothing to say any more.
pub(super) async fn letter(env: &Env, job: &SendMail) -> Result<Option<Email>, JobError> {
    let (id, step) = job.reference.split_once('/').map_or((&*job.reference, None), |(id, step)| (id, Some(step)));
    let id: BillId = id.parse().map_err(|error| JobError::Discard(Box::new(error)))?;
    if id.client_id != job.client_id {
        return Err(JobError::discard("the bill is another client's"));
    }
    let Some(sender) = sender(env, job.client_id).await? else { return Ok(None) };
    let Some(bill) = bills::find(&env.pool, id, sender.today).await? else { return Ok(None) };
    let payment = match job.kind {
        // It is settled by now: the mail about that says it.
        Kind::PaymentReceipt if step.is_some() && bill.status == Status::Paid => return Ok(None),
        Kind::PaymentReceipt => payment(env, &bill, step, &sender.zone).await?,
        _ => None,
    };
    sender.letter(bill, job.kind, step, payment)
}

/// The mails about a slice of a client's bills, and the references of those that have nothing to say any more.
pub(super) async fn letters(env: &Env, job: &SendBills) -> Result<(Vec<Email>, Vec<String>), JobError> {
    let sender = sender(env, job.client_id).await?;
    // Without a sender nothing is said, whatever day it is.
    let today = sender.as_ref().map_or(Date::constant(2000, 1, 1), |sender| sender.today);
    let found =
        bills::numbered(&env.pool, job.client_id, job.from_number, job.to_number, job.payable_on, today).await?;
    let step = job.step.map(|step| step.to_string());
    let (mut letters, mut unwanted) = (Vec::with_capacity(found.len()), Vec::new());
    for bill in found {
        let id = bill.id();
        let letter = match &sender {
            Some(sender) => sender.letter(bill, job.kind, step.as_deref(), None)?,
            None => None,
        };
        match letter {
            Some(letter) => letters.push(letter),
            None => unwanted.push(reference(id, step.as_deref())),
        }
    }
    Ok((letters, unwanted))
}

/// What a mail about a bill is about.
fn reference(id: BillId, step: Option<&str>) -> String {
    step.map_or_else(|| id.to_string(), |step| format!("{id}/{step}"))
}

/// `None`: nobody could pay what this client's bills say, so they must not reach anybody.
async fn sender(env: &Env, client_id: ClientId) -> Result<Option<Sender>, JobError> {
    let settings = settings::find(&env.pool, client_id).await?;
    if issue::is_sample(&settings) && env.mailer.sends() {
        tracing::warn!(
            client_id = client_id.get(),
            "bills are not mailed: the client has not said how it is paid (PUT /v1/settings)"
        );
        return Ok(None);
    }
    let Ok(issuer) = issue::issuer(&settings) else {
        tracing::warn!(
            client_id = client_id.get(),
            "bills are not mailed: how the client is paid cannot be read (PUT /v1/settings)"
        );
        return Ok(None);
    };
    let zone = TimeZone::get(&settings.time_zone)?;
    let now: SqlTimestamp = sqlx::query_scalar("select now()").fetch_one(&env.pool).await?;
    let (settings, branding) = tokio::task::spawn_blocking(move || {
        let branding = issue::branding(&settings);
        (settings, branding)
    })
    .await?;
    Ok(Some(Sender {
        issuer,
        ways: Ways::of(&settings),
        branding: Arc::new(branding?),
        language: settings.language.parse()?,
        today: now.to_jiff().to_zoned(zone.clone()).date(),
        zone,
    }))
}

impl Sender {
    fn letter(
        &self,
        bill: Bill,
        kind: Kind,
        step: Option<&str>,
        payment: Option<(i64, Date)>,
    ) -> Result<Option<Email>, JobError> {
        let due = match kind {
            Kind::BillNew => matches!(bill.status, Status::Open | Status::Overdue),
            Kind::BillReminder => bill.status == Status::Open,
            Kind::BillOverdue => bill.status == Status::Overdue,
            Kind::PaymentReceipt => bill.paid_minor > 0,
            Kind::UploadCompleted | Kind::UploadFailed | Kind::WebhookDisabled => false,
        };
        if !due {
            return Ok(None);
        }
        let currency: Currency = bill.currency.parse()?;
        let money = |minor| Money { minor, currency };
        let issued = issue::issue(&bill, &self.issuer);
        // The run has told its client how many there are of them, and the bill says why.
        let payable = issued.as_ref().is_ok_and(|issued| self.ways.carry(&issued.facts));
        if kind != Kind::PaymentReceipt && !payable {
            return Ok(None);
        }
        let facts = BillFacts {
            number: bill.number.to_string(),
            issuer: self.issuer.beneficiary.name.clone(),
            payer: bill.name.clone(),
            amount: money(bill.amount_minor),
            paid: (bill.paid_minor > 0).then(|| money(bill.paid_minor)),
            due: bill.due_on.to_jiff(),
            ways: issued.as_ref().map(|issued| issued.payments.clone()).unwrap_or_default(),
        };
        let open = bill.amount_minor - bill.paid_minor;
        let content = match kind {
            Kind::BillReminder => Content::Dun(Dun::Reminder, facts),
            Kind::BillOverdue => Content::Dun(Dun::Overdue, facts),
            Kind::PaymentReceipt => {
                let rest = (open > 0).then(|| money(open));
                let (amount, on) = payment.unwrap_or((bill.paid_minor, self.today));
                Content::Receipt(Payment { amount: money(amount), on, rest }, facts)
            }
            _ => Content::Bill(facts),
        };
        Ok(Some(Email {
            reference: reference(bill.id(), step),
            address: bill.email,
            name: Some(bill.name),
            language: self.language,
            reply_to: self.issuer.beneficiary.email.clone(),
            attachment: (kind != Kind::PaymentReceipt).then(|| self.page(bill.number, issued)),
            content,
        }))
    }

    /// Draws the bill, when its mail is written.
    fn page(
        &self,
        number: i64,
        issued: Result<gristmill_bills::Bill, IssueError>,
    ) -> Box<dyn FnOnce() -> Result<Attachment, gristmill_core::Source> + Send> {
        let (branding, language) = (Arc::clone(&self.branding), self.language);
        Box::new(move || {
            let bytes = pdf::render(&issued?, &branding, language)?;
            Ok(Attachment { filename: format!("bill-{number}.pdf"), media_type: "application/pdf", bytes })
        })
    }
}

/// What was paid and when, by the client's calendar: this payment, or all of them and the day of the last one.
async fn payment(
    env: &Env,
    bill: &Bill,
    payment_id: Option<&str>,
    zone: &TimeZone,
) -> Result<Option<(i64, Date)>, JobError> {
    // Of one debt they come to 64 bits at most: a notice that makes it more is not taken.
    let (amount, last): (Option<i64>, Option<SqlTimestamp>) = sqlx::query_as(
        "select sum(amount_minor)::bigint, max(paid_at) from payments
         where client_id = $1 and debt_id = $2 and ($3::text is null or payment_id = $3)",
    )
    .bind(bill.client_id)
    .bind(bill.debt_id)
    .bind(payment_id)
    .fetch_one(&env.pool)
    .await?;
    Ok(amount.zip(last).map(|(amount, last)| (amount, last.to_jiff().to_zoned(zone.clone()).date())))
}
