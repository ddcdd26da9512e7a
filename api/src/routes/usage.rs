//! `/v1/usage`: what messages cost.

mod daily;
mod lines;
mod period;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_pipelines::messages::Credits;
use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use self::period::Period;
use super::uploads::{prefers, vary};
use crate::{app::AppState, auth::Caller, cursor, params::Params, problem::Result};

// The documentation macros make an item beside each handler.
pub(crate) use daily::*;

const NDJSON: &str = "application/x-ndjson";

/// A page of usage, by time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    usage: Vec<MessageUsage>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What a message cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageUsage {
    /// As the client named it.
    #[schema(example = "1000")]
    message_id: String,
    /// When it was sent.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// The report that it named, if that was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Tenant Obligations Report")]
    report_name: Option<String>,
    /// Exactly.
    #[schema(value_type = f64, example = 5.2)]
    credits_used: Credits,
}

#[derive(FromRow)]
struct Row {
    id: String,
    sent_at: jiff_sqlx::Timestamp,
    name: Option<String>,
    credits: i64,
}

impl From<Row> for MessageUsage {
    fn from(row: Row) -> Self {
        Self {
            message_id: row.id,
            timestamp: row.sent_at.to_jiff(),
            report_name: row.name,
            credits_used: Credits::from_twentieths(row.credits),
        }
    }
}

/// Where a page begins: behind this message.
#[derive(Debug, Clone)]
struct Place {
    sent_at: Timestamp,
    id: String,
}

impl Place {
    fn of(row: &Row) -> Self {
        Self { sent_at: row.sent_at.to_jiff(), id: row.id.clone() }
    }

    fn cursor(&self) -> cursor::Usage {
        cursor::Usage::after(format!("{} {}", self.sent_at.as_microsecond(), self.id))
    }

    fn read(cursor: cursor::Usage) -> Option<Self> {
        let text = cursor.text();
        let (micros, id) = text.split_once(' ')?;
        let sent_at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
        Some(Self { sent_at, id: id.to_owned() })
    }
}

/// Of which time, and how many.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct UsageQuery {
    /// From this moment on, such as 2026-01-31T09:00:00Z, or from the beginning of this day, such as 2026-01-31, by the time
    /// zone of the settings.
    from: Option<String>,
    /// Up to this moment, which does not count, or to the end of this day, which does.
    to: Option<String>,
    /// Messages a page, 1 to 200; 50 unless given. Not for NDJSON.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before. Not for NDJSON.
    #[param(pattern = "^U([0-9a-fA-F]{2})*$")]
    cursor: Option<String>,
}

/// What your messages cost
///
/// Those of completed uploads, by time and then by id: JSON, by pages; or with `Accept: application/x-ndjson` all of them, a
/// line each. A message whose report was unknown when it was taken, or that named none, has no `report_name`.
#[utoipa::path(get, path = "/v1/usage", operation_id = "listUsage", tag = "usage", params(UsageQuery),
    responses((status = 200, description = "A page, or all of it", content((Usage = "application/json"), (MessageUsage = "application/x-ndjson")))))]
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let pool = &app.pool;
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take_by("cursor", |text| {
        let cursor: cursor::Usage = text.parse().map_err(|error: cursor::BadCursor| error.to_string())?;
        Place::read(cursor).ok_or_else(|| cursor::BadCursor.to_string())
    });
    let zone = settings::find(pool, caller.id()).await?.time_zone;
    let period = Period::take(&mut query, &zone);
    query.finish()?;
    if prefers(&headers, NDJSON) {
        let lines = Body::from_stream(lines::all(pool.clone(), caller.id(), period));
        let kind = HeaderValue::from_static(NDJSON);
        return Ok(([(header::CONTENT_TYPE, kind), (header::VARY, vary())], lines).into_response());
    }
    let found = page(pool, caller.id(), period, after.as_ref(), i64::from(limit) + 1).await?;
    let (rows, next_cursor) = cursor::page(found, limit, |last| Place::of(last).cursor());
    let page = Usage { usage: rows.into_iter().map(MessageUsage::from).collect(), next_cursor };
    Ok(([(header::VARY, vary())], Json(page)).into_response())
}

async fn page(
    pool: &PgPool,
    client_id: ClientId,
    Period { from, to }: Period,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select m.id, m.sent_at, r.name, coalesce(r.credit_cost, m.text_credits) as credits
         from messages m
         left join upload_reports r on r.upload_id = m.upload_id and r.report_id = m.report_id
         where m.client_id = $1
           and m.sent_at >= coalesce($2, '-infinity'::timestamptz) and m.sent_at < coalesce($3, 'infinity'::timestamptz)
           and (m.sent_at, m.id) > (coalesce($4, '-infinity'::timestamptz), $5)
           and exists (select from uploads u where u.id = m.upload_id and u.state = 'completed' and u.rows_dropped_at is null)
         order by m.sent_at, m.id limit $6",
    )
    .bind(client_id)
    .bind(from.map(Timestamp::to_sqlx))
    .bind(to.map(Timestamp::to_sqlx))
    .bind(after.map(|place| place.sent_at.to_sqlx()))
    .bind(after.map_or("", |place| &place.id))
    .bind(limit)
    .fetch_all(pool)
    .await
}
