//! `/v1/bills`: what debts became.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use gristmill_billing::{
    BillId,
    bills::{self, Bill as Row, Filter, Status},
    issue::{self, PageError, lacks_way},
};
use gristmill_bills::rails::Payment;
use gristmill_clients::{Settings, settings};
use gristmill_core::ClientId;
use http::{HeaderValue, StatusCode, Uri, header};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    idempotency::Once,
    money::Money,
    openapi::{NoPage, Paid},
    params::Params,
    problem::{Code, Problem, Result},
};

/// Bills are counted up to so many: all of a client's may be millions.
const COUNTED: u32 = 10_000;

/// A page of bills, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct BillList {
    items: Vec<Bill>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// All that the filter finds; null where they are more than 10,000.
    total: Option<i64>,
}

/// A bill.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bill {
    id: Uuid,
    /// Counts the client's bills.
    number: i64,
    status: Status,
    debt_id: Uuid,
    upload_id: Uuid,
    /// The billing run that made it.
    run_id: Uuid,
    payer: Payer,
    amount: Money,
    paid: Money,
    /// The first day of the period it is of.
    #[schema(value_type = String, format = Date, example = "2026-01-01")]
    period: Date,
    #[schema(value_type = String, format = Date, example = "2026-01-15")]
    issued_on: Date,
    #[schema(value_type = String, format = Date, example = "2026-01-31")]
    due_date: Date,
    /// 44 digits, to scan; where the client is paid by boleto, and a bank reads the due date. Like all codes of a bill it asks
    /// for what is still to be paid; a bill that is paid or cancelled has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    barcode: Option<String>,
    /// 47 digits, to type.
    #[serde(skip_serializing_if = "Option::is_none")]
    linha_digitavel: Option<String>,
    /// A BR Code: the text of a QR code, which can be pasted too; where the client is paid by PIX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pix: Option<String>,
    /// The text of a QR code for a transfer within SEPA (EPC069-12); where the client has an account there.
    #[serde(skip_serializing_if = "Option::is_none")]
    epc: Option<String>,
    /// What was paid beyond the amount, where that was more.
    #[serde(skip_serializing_if = "Option::is_none")]
    overpaid: Option<Money>,
    /// Why there is no way to pay it.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_payable: Option<String>,
}

/// Who is to pay.
#[derive(Serialize, ToSchema)]
pub(crate) struct Payer {
    name: String,
    government_id: String,
    email: String,
}

impl Bill {
    /// A bill that its client's settings do not fit is shown all the same, and says so.
    fn of(row: Row, issuer: &Result<gristmill_bills::Settings, serde_json::Error>) -> Self {
        let mut bill = Self {
            id: row.id().uuid(),
            number: row.number,
            status: row.status,
            debt_id: row.debt_id,
            upload_id: row.upload_id,
            run_id: row.run_id,
            amount: Money::of(row.amount_minor, &row.currency),
            paid: Money::of(row.paid_minor, &row.currency),
            period: row.period.to_jiff(),
            issued_on: row.issued_on.to_jiff(),
            due_date: row.due_on.to_jiff(),
            payer: Payer { name: row.name.clone(), government_id: row.government_id.clone(), email: row.email.clone() },
            barcode: None,
            linha_digitavel: None,
            pix: None,
            epc: None,
            overpaid: (row.paid_minor > row.amount_minor)
                .then(|| Money::of(row.paid_minor - row.amount_minor, &row.currency)),
            not_payable: None,
        };
        let payments = match issuer {
            Ok(issuer) => issue::issue(&row, issuer).map(|bill| bill.payments).map_err(|error| error.to_string()),
            Err(error) => Err(format!("the client's issuer settings cannot be read: {error}")),
        };
        match payments {
            Ok(payments)
                if payments.is_empty() && issuer.as_ref().is_ok_and(|issuer| lacks_way(issuer, &row.currency)) =>
            {
                bill.not_payable = Some(issue::NO_WAY.to_owned());
            }
            Ok(payments) => payments.into_iter().for_each(|payment| bill.add(payment)),
            Err(error) => bill.not_payable = Some(error),
        }
        let over = match row.status {
            Status::Cancelled => Some("it is cancelled, so nothing is to be paid"),
            Status::Paid => Some("it is paid, so nothing is to be paid any more"),
            Status::Open | Status::Overdue => None,
        };
        bill.not_payable = over.map(str::to_owned).or(bill.not_payable);
        bill
    }

    fn add(&mut self, payment: Payment) {
        match payment {
            Payment::Boleto(slip) => {
                self.barcode = Some(slip.barcode.to_string());
                self.linha_digitavel = Some(slip.linha_digitavel.to_string());
            }
            Payment::Pix { code } => self.pix = Some(code),
            Payment::Epc { code, .. } => self.epc = Some(code),
        }
    }
}

/// Which bills, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct BillsQuery {
    /// Only those that stand like this.
    status: Option<Status>,
    /// Only those of this debt.
    debt_id: Option<Uuid>,
    /// Only those of debts that came with this upload.
    upload_id: Option<Uuid>,
    /// Only those that this billing run made.
    run_id: Option<Uuid>,
    /// Only the one with this number.
    number: Option<i64>,
    /// Only those due on this day or later.
    #[param(value_type = Option<String>, format = Date)]
    due_from: Option<Date>,
    /// Only those due on this day or earlier.
    #[param(value_type = Option<String>, format = Date)]
    due_to: Option<Date>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^b[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Your bills
#[utoipa::path(get, path = "/v1/bills", operation_id = "listBills", tag = "bills", params(BillsQuery),
    responses((status = 200, description = "A page of bills, the newest first", body = BillList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<BillList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let filter = Filter {
        status: query.take("status"),
        debt_id: query.id("debt_id"),
        upload_id: query.id("upload_id"),
        run_id: query.id("run_id"),
        number: query.take("number"),
        due_from: query.day("due_from"),
        due_to: query.day("due_to"),
        payer: None,
    };
    let before = query.take::<cursor::Bills>("cursor").map(cursor::Bills::line);
    query.finish()?;
    let pool = &app.pool;
    let (settings, today) = calendar(&app, caller.id()).await?;
    let found = bills::list(pool, caller.id(), &filter, today, before, limit + 1).await?;
    let total = bills::count(pool, caller.id(), &filter, today, COUNTED).await?;
    let (rows, next_cursor) = cursor::Bills::page(found, limit, |last| cursor::Bills::after_line(last.number));
    let issuer = issue::issuer(&settings);
    Ok(Json(BillList { items: rows.into_iter().map(|row| Bill::of(row, &issuer)).collect(), next_cursor, total }))
}

/// One bill
#[utoipa::path(get, path = "/v1/bills/{id}", operation_id = "getBill", tag = "bills", params(("id" = Uuid, Path, description = "The bill")),
    responses((status = 200, description = "The bill", body = Bill)))]
pub(crate) async fn one(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Bill>> {
    Params::of(&uri).finish()?;
    let (settings, row) = find(&app, &caller, &id).await?;
    Ok(Json(Bill::of(row, &issue::issuer(&settings))))
}

/// One bill as a page to print
#[utoipa::path(get, path = "/v1/bills/{id}/pdf", operation_id = "getBillPdf", tag = "bills", params(("id" = Uuid, Path, description = "The bill")),
    responses((status = 200, description = "An A4 page", content_type = "application/pdf", body = Vec<u8>), NoPage))]
pub(crate) async fn page(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response> {
    Params::of(&uri).finish()?;
    let (settings, row) = find(&app, &caller, &id).await?;
    let name = format!("inline; filename=\"bill-{}.pdf\"", row.number);
    // Off tokio's threads: a page takes some milliseconds of CPU.
    let page = tokio::task::spawn_blocking(move || render(&row, &settings)).await.map_err(Problem::internal)??;
    let disposition = HeaderValue::try_from(name).map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, page).into_response())
}

/// Withdraw a bill
///
/// An open one of which nothing was paid: it loses its codes, its page says that it is cancelled, nobody is reminded of it, and its debt is not
/// billed again. What is paid of the debt later is recorded for the debt and settles no bill. Withdrawing it again changes nothing.
#[utoipa::path(post, path = "/v1/bills/{id}/cancel", operation_id = "cancelBill", tag = "bills",
    params(("id" = Uuid, Path, description = "The bill")), responses((status = 200, description = "It is cancelled", body = Bill), Paid))]
pub(crate) async fn cancel(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    once: Once,
    uri: Uri,
) -> Result<Json<Bill>> {
    Params::of(&uri).finish()?;
    let bill_id = own(&caller, &id)?;
    let (settings, today) = calendar(&app, caller.id()).await?;
    let mut tx = app.pool.begin().await?;
    let done = bills::cancel(&mut *tx, bill_id).await?;
    let row = bills::find(&mut *tx, bill_id, today).await?.ok_or_else(|| none(&id))?;
    if !done && row.status != Status::Cancelled {
        let detail = format!(
            "Something was paid of bill {}, so it is not cancelled. Pay that back yourself, or tell of the rest with POST /v1/payments.",
            row.number
        );
        return Err(Problem::new(Code::HasPayment, detail));
    }
    let bill = Bill::of(row, &issue::issuer(&settings));
    once.keep(&mut tx, StatusCode::OK, None, &bill).await?;
    tx.commit().await?;
    Ok(Json(bill))
}

fn render(row: &Row, settings: &Settings) -> Result<Vec<u8>> {
    issue::page(row, settings).map_err(|error| match error {
        PageError::Unpayable(error) => {
            Problem::new(Code::NotPayable, format!("Bill {} has no page: {error}.", row.number))
        }
        error => Problem::internal(error),
    })
}

/// A client's settings, and the date that it has now.
pub(crate) async fn calendar(app: &AppState, client_id: ClientId) -> Result<(Settings, Date)> {
    let settings = settings::find(&app.pool, client_id).await?;
    let now: jiff_sqlx::Timestamp = sqlx::query_scalar("select now()").fetch_one(&app.pool).await?;
    let today = settings.date_of(now.to_jiff()).map_err(Problem::internal)?;
    Ok((settings, today))
}

/// The client's bill; another client's is not there.
async fn find(app: &AppState, caller: &Caller, id: &str) -> Result<(Settings, Row)> {
    let bill_id = own(caller, id)?;
    let (settings, today) = calendar(app, caller.id()).await?;
    let row = bills::find(&app.pool, bill_id, today).await?.ok_or_else(|| none(id))?;
    Ok((settings, row))
}

fn own(caller: &Caller, id: &str) -> Result<BillId> {
    let bill_id = id.parse().ok().filter(|bill_id: &BillId| bill_id.client_id == caller.id());
    bill_id.ok_or_else(|| none(id))
}

fn none(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no bill '{id}'. GET /v1/bills lists yours."))
}
