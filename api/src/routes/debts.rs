//! `/v1/debts`: the rows of completed uploads of the kind `debts`.

mod by_upload;

use axum::{Json, extract::State};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_uploads::{UploadId, segments};
use http::Uri;
use serde::Serialize;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{app::AppState, auth::Caller, cursor, money::Money, params::Params, problem::Result};

/// A page of debts.
#[derive(Serialize, ToSchema)]
pub(crate) struct DebtList {
    items: Vec<Debt>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A debt, as its file said.
#[derive(Serialize, ToSchema)]
pub(crate) struct Debt {
    id: Uuid,
    #[schema(value_type = Uuid)]
    upload_id: UploadId,
    /// Line in the upload's file.
    line: i64,
    name: String,
    government_id: String,
    email: String,
    /// In the currency of your settings.
    amount: Money,
    /// The day it is due.
    #[schema(value_type = String, format = Date, example = "2026-01-31")]
    due_date: String,
}

#[derive(FromRow)]
struct Row {
    debt_id: Uuid,
    upload_id: UploadId,
    line: i64,
    name: String,
    government_id: String,
    email: String,
    amount_minor: i64,
    due_date: String,
}

impl Debt {
    fn of(row: Row, currency: &str) -> Self {
        Self {
            id: row.debt_id,
            upload_id: row.upload_id,
            line: row.line,
            name: row.name,
            government_id: row.government_id,
            email: row.email,
            amount: Money::of(row.amount_minor, currency),
            due_date: row.due_date,
        }
    }
}

/// Which debts, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct DebtsQuery {
    /// Only those that came with this upload.
    upload_id: Option<Uuid>,
    /// Only this one.
    debt_id: Option<Uuid>,
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^[dp][0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Your debts, by id
///
/// Those of completed uploads: what is still being loaded, or was cancelled or undone, does not count.
#[utoipa::path(get, path = "/v1/debts", operation_id = "listDebts", tag = "debts", params(DebtsQuery),
    responses((status = 200, description = "A page", body = DebtList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<DebtList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let pool = &app.pool;
    let (rows, next_cursor) = match (query.id("upload_id"), query.id("debt_id")) {
        (Some(upload_id), None) => {
            let after = query.take::<cursor::UploadDebts>("cursor").map(cursor::UploadDebts::id);
            query.finish()?;
            let found = by_upload::page(pool, caller.id(), upload_id, after, i64::from(limit) + 1).await?;
            cursor::UploadDebts::page(found, limit, |last| cursor::UploadDebts::after_id(last.debt_id))
        }
        (upload_id, debt_id) => {
            let after = query.take::<cursor::Debts>("cursor").map(cursor::Debts::id);
            query.finish()?;
            let found = by_id(pool, caller.id(), upload_id, debt_id, after, i64::from(limit) + 1).await?;
            cursor::Debts::page(found, limit, |last| cursor::Debts::after_id(last.debt_id))
        }
    };
    let currency = settings::find(pool, caller.id()).await?.currency;
    Ok(Json(DebtList { items: rows.into_iter().map(|row| Debt::of(row, &currency)).collect(), next_cursor }))
}

/// By the key, which is the one order that has an index.
async fn by_id(
    pool: &PgPool,
    client_id: ClientId,
    upload_id: Option<UploadId>,
    debt_id: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Row>> {
    let segments: Vec<i32> =
        segments::of_client(pool, "debts", client_id).await?.into_iter().map(|segment| segment.id).collect();
    let mut sql = QueryBuilder::<Postgres>::new(
        "select d.debt_id, d.upload_id, d.line, d.name, d.government_id, d.email, d.amount_minor,
                to_char(d.due_date, 'YYYY-MM-DD') as due_date
         from debts d
         -- looked up, as `offset 0` has it: a planner that knows nothing of them goes through all of the client's for each debt
         cross join lateral (select from uploads where id = d.upload_id and state = 'completed' offset 0) u
         where d.client_id = ",
    );
    sql.push_bind(client_id);
    sql.push(" and d.segment = any(").push_bind(segments).push(")");
    // Only what is asked for, so that the plan is the one of what is asked for.
    if let Some(upload_id) = upload_id {
        sql.push(" and d.upload_id = ").push_bind(upload_id);
    }
    if let Some(debt_id) = debt_id {
        sql.push(" and d.debt_id = ").push_bind(debt_id);
    }
    if let Some(after) = after {
        sql.push(" and d.debt_id > ").push_bind(after);
    }
    sql.push(" order by d.debt_id limit ").push_bind(limit);
    // Planned each time: a plan for any segments would go through all of them, those of other clients from end to end.
    sql.build_query_as().persistent(false).fetch_all(pool).await
}
