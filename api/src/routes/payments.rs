//! `POST /v1/payments`: somebody has paid.

use axum::{Json, extract::State};
use gristmill_billing::{
    BillId,
    payments::{self, Balance, CreditedBill, Notice, PaymentError},
};
use gristmill_clients::{Settings, settings};
use gristmill_core::ClientId;
use gristmill_mail::{Kind, jobs::SendMail};
use gristmill_queue::{Enqueued, Options, Queue};
use http::{StatusCode, Uri};
use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    json::Body,
    money::{Money, parse_minor},
    openapi::{Absent, BadPayment},
    params::Params,
    problem::{Code, FieldError, Problem, Result},
};

/// A notice of payment.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPayment {
    /// What was paid.
    #[schema(format = Uuid)]
    debt_id: String,
    /// Which payment of it. Without one, two notices with the same content are the same payment.
    payment_id: Option<String>,
    /// When: RFC 3339, or a date and time of the client's time zone.
    #[schema(example = "2022-06-09 10:00:00")]
    paid_at: String,
    /// In the currency's major unit, as a number or as a string; at most two decimals.
    #[schema(value_type = f64, example = 100000.00)]
    paid_amount: serde_json::Value,
    /// By whom.
    #[schema(example = "John Doe")]
    paid_by: String,
}

/// A recorded payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Payment {
    debt_id: Uuid,
    payment_id: String,
    /// What the debt is.
    amount: Money,
    /// What has been paid of it, in all.
    paid: Money,
    balance: Balance,
    /// The bill that this payment settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_bill_id: Option<Uuid>,
}

impl NewPayment {
    /// The notice, or every field at fault. `zone` is the client's.
    fn check(self, zone: &str) -> Result<Notice, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut fail = |field: &str, detail: String| errors.push(FieldError { field: field.to_owned(), detail });
        let debt_id = self.debt_id.trim().parse::<Uuid>().map_err(|_| format!("'{}' is not a UUID", self.debt_id));
        let amount = match &self.paid_amount {
            serde_json::Value::Number(number) => parse_minor(&number.to_string()),
            serde_json::Value::String(text) => parse_minor(text.trim()),
            other => Err(format!("{other} is neither a number nor a string")),
        };
        let paid_at = moment(self.paid_at.trim(), zone);
        let text = |text: &str| (1..=200).contains(&text.chars().count()) && !text.contains('\0');
        if !text(self.paid_by.trim()) {
            fail("paidBy", "is empty, or longer than 200 characters".to_owned());
        }
        if self.payment_id.as_deref().is_some_and(|id| !text(id)) {
            fail("paymentId", "is empty, or longer than 200 characters".to_owned());
        }
        let mut take = |field: &str, detail: Option<&String>| detail.map(|detail| fail(field, detail.clone()));
        take("debtId", debt_id.as_ref().err());
        take("paidAmount", amount.as_ref().err());
        take("paidAt", paid_at.as_ref().err());
        match (debt_id, amount, paid_at) {
            (Ok(debt_id), Ok(amount_minor), Ok(paid_at)) if errors.is_empty() => Ok(Notice {
                debt_id,
                payment_id: self.payment_id,
                amount_minor,
                paid_at,
                paid_by: self.paid_by.trim().to_owned(),
            }),
            _ => Err(errors),
        }
    }
}

/// Of the year 1, from 1970.
const FIRST_SECOND: i64 = -62_135_596_800;

fn moment(text: &str, zone: &str) -> Result<Timestamp, String> {
    let none = || format!("'{text}' is no time such as 2022-06-09T10:00:00Z or 2022-06-09 10:00:00");
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let civil: DateTime = text.parse().map_err(|_| none())?;
            civil.in_tz(zone).map_err(|error| error.to_string())?.timestamp()
        }
    };
    // What is before is a time for us, and none for the database.
    if moment < Timestamp::constant(FIRST_SECOND, 0) { Err(none()) } else { Ok(moment) }
}

/// What is said of a bill that a payment went to: a receipt, and of one that it settled an event too.
async fn told(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    credited: &CreditedBill,
    settings: &Settings,
) -> Result<Enqueued> {
    if credited.settled {
        let today = settings.date_of(Timestamp::now()).map_err(Problem::internal)?;
        return Ok(gristmill_webhooks::bills_paid(conn, queue, client_id, &[credited.bill], today).await?);
    }
    let bill = BillId { client_id, number: credited.bill };
    // Before it is settled each payment of it has a receipt.
    let reference = format!("{bill}/{}", credited.payment_id);
    let job = SendMail { client_id, kind: Kind::PaymentReceipt, reference };
    let options = Options { client_id: Some(client_id), ..Options::default() };
    Ok(queue.enqueue(conn, &job, &options).await?)
}

/// Report a payment
///
/// Telling it again changes nothing: a payment is known by its debt and its id.
#[utoipa::path(post, path = "/v1/payments", operation_id = "createPayment", tag = "bills", request_body = NewPayment,
    responses((status = 201, description = "Recorded", body = Payment), (status = 200, description = "Recorded before", body = Payment), BadPayment, Absent))]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<NewPayment>,
) -> Result<(StatusCode, Json<Payment>)> {
    Params::of(&uri).finish()?;
    let settings = settings::find(&app.pool, caller.id()).await?;
    let notice = new.check(&settings.time_zone).map_err(|errors| {
        let detail = errors.first().map_or_else(String::new, |first| format!("{}: {}.", first.field, first.detail));
        Problem::new(Code::InvalidPayment, detail).errors(errors)
    })?;
    let queue = &app.queue;
    let mut tx = app.pool.begin().await?;
    let (recorded, credited) = match payments::record(&mut tx, caller.id(), &notice).await {
        Ok(recorded) => recorded,
        Err(error @ PaymentError::NoDebt(_)) => {
            return Err(Problem::new(Code::NotFound, format!("{error}. GET /v1/debts lists yours.")));
        }
        Err(error @ PaymentError::Other { .. }) => return Err(Problem::new(Code::PaymentReused, format!("{error}."))),
        Err(error @ PaymentError::TooMuch(_)) => {
            let fault = FieldError { field: "paidAmount".to_owned(), detail: error.to_string() };
            return Err(Problem::new(Code::InvalidPayment, format!("{error}.")).errors(vec![fault]));
        }
        Err(PaymentError::Database(error)) => return Err(error.into()),
    };
    let jobs = match &credited {
        Some(credited) => told(&mut tx, queue, caller.id(), credited, &settings).await?,
        None => Enqueued::default(),
    };
    let currency = settings.currency.as_str();
    let status = if recorded.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let payment = Payment {
        debt_id: notice.debt_id,
        balance: recorded.balance(),
        amount: Money::of(recorded.debt_minor, currency),
        paid: Money::of(recorded.paid_minor, currency),
        settled_bill_id: recorded.settled_bill.map(|number| BillId { client_id: caller.id(), number }.uuid()),
        payment_id: recorded.payment_id,
    };
    once.keep(&mut tx, status, None, &payment).await?;
    tx.commit().await?;
    queue.push(jobs).await;
    Ok((status, Json(payment)))
}
