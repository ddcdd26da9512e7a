//! `/v1/transactions`: the rows of a completed upload of the kind `transactions`, each with its merchant.

mod csv;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use gristmill_normalization::transactions;
use gristmill_uploads::UploadId;
use http::{HeaderMap, HeaderValue, Uri, header};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::uploads::{prefers_csv, vary};
use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    money::Money,
    openapi::{Absent, NoReceipt},
    params::Params,
    problem::{Code, Problem, Result},
};

/// A page of transactions, in the order of the file.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransactionList {
    items: Vec<Transaction>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A transaction, as its file said, and its merchant.
#[derive(Serialize, ToSchema)]
pub(crate) struct Transaction {
    /// The client's own id, where the file has one.
    id: Option<String>,
    upload_id: Uuid,
    /// Line in the upload's file.
    line: i64,
    #[schema(value_type = String, format = Date, example = "2021-04-01")]
    date: String,
    #[schema(example = "Payment Netflix APRIL***")]
    description: String,
    amount: Money,
    merchant: Merchant,
}

/// Which merchant it is, and how sure that is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Merchant {
    /// Its name; `n/a` when nothing matches.
    #[schema(example = "Netflix")]
    pub(super) name: String,
    /// By what it was found: `rule`, `exact`, `brand`, `fuzzy` or `external`.
    #[schema(example = "exact")]
    pub(super) matched: Option<String>,
    /// The rule of the client's own that said so.
    pub(super) rule_id: Option<Uuid>,
    /// From 0 to 1.
    #[schema(example = 1.0)]
    pub(super) score: Option<f32>,
    /// Its merchant category code.
    #[schema(example = "4899")]
    pub(super) mcc: Option<String>,
    /// Its item in Wikidata.
    #[schema(example = "Q907311")]
    pub(super) wikidata_id: Option<String>,
}

impl From<transactions::Transaction> for Transaction {
    fn from(row: transactions::Transaction) -> Self {
        Self {
            id: row.id,
            upload_id: row.upload_id,
            line: row.line,
            date: row.date.to_jiff().to_string(),
            description: row.description,
            amount: Money::of(row.amount_minor, row.currency.unwrap_or_else(|| "XXX".to_owned())),
            merchant: Merchant {
                name: row.answer.merchant.unwrap_or_else(|| "n/a".to_owned()),
                matched: row.answer.matched,
                rule_id: row.answer.rule_id,
                score: row.answer.score,
                mcc: row.answer.mcc,
                wikidata_id: row.answer.wikidata,
            },
        }
    }
}

/// Which transactions, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct TransactionsQuery {
    /// Those that came with this upload.
    upload_id: Uuid,
    /// Items a page, 1 to 200; 50 unless given. Not for CSV.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before. Not for CSV.
    #[param(min_length = 2, pattern = "^T[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// The transactions of an upload, each with its merchant
///
/// Of a completed upload, in the order of its file: JSON, by pages; or with `Accept: text/csv` all of them as a file. A
/// currency that the file did not name is `XXX`.
#[utoipa::path(get, path = "/v1/transactions", operation_id = "listTransactions", tag = "normalizations", params(TransactionsQuery),
    responses((status = 200, description = "A page, or the file", content((TransactionList = "application/json"), (String = "text/csv"))), Absent, NoReceipt))]
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take::<cursor::Transactions>("cursor").map_or(0, cursor::Transactions::line);
    let upload_id = query.id::<UploadId>("upload_id");
    let upload_id = query.finish_with("upload_id", upload_id, || "missing: name the upload".to_owned())?;
    let pool = &app.pool;
    let found: Option<(bool, bool)> = sqlx::query_as(
        "select state = 'completed', rows_dropped_at is not null from uploads where id = $1 and client_id = $2 and kind = 'transactions'",
    )
    .bind(upload_id)
    .bind(caller.id())
    .fetch_optional(pool)
    .await?;
    let (completed, dropped) = found.ok_or_else(|| {
        let detail = format!("There is no upload '{upload_id}' of transactions. GET /v1/uploads lists yours.");
        Problem::new(Code::NotFound, detail)
    })?;
    if prefers_csv(&headers) {
        if !completed {
            return Err(Problem::new(Code::NotCompleted, "Its transactions are there when the upload is completed."));
        }
        if dropped {
            let detail = "Its transactions are there no more: they were kept for long enough.";
            return Err(Problem::new(Code::NotCompleted, detail));
        }
        let file = Body::from_stream(csv::file(pool.clone(), caller.id(), upload_id));
        let name = HeaderValue::try_from(format!("attachment; filename=\"transactions-{upload_id}.csv\""));
        let name = name.map_err(Problem::internal)?;
        let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        return Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name), (header::VARY, vary())], file)
            .into_response());
    }
    let found = match completed {
        true => transactions::page(pool, caller.id(), upload_id.get(), after, limit as usize + 1).await?,
        false => Vec::new(),
    };
    let (rows, next_cursor) =
        cursor::Transactions::page(found, limit, |last| cursor::Transactions::after_line(last.line));
    let page = TransactionList { items: rows.into_iter().map(Transaction::from).collect(), next_cursor };
    Ok(([(header::VARY, vary())], Json(page)).into_response())
}
