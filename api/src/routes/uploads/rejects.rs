use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use gristmill_uploads::{
    UploadId,
    read::{self, Fault, RejectRow},
    rejects_csv,
};
use http::{HeaderMap, HeaderValue, Uri, header};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::find;
use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    params::{Params, UploadPath},
    problem::Result,
};

/// A page of rejects, by line.
#[derive(Serialize, ToSchema)]
pub(crate) struct RejectList {
    items: Vec<Reject>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A record that was not taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reject {
    /// Line of its first byte in the file, from 1.
    #[schema(example = 42)]
    line: i64,
    /// The column at fault; null: the whole record.
    #[schema(example = "debtAmount")]
    column: Option<String>,
    /// Why, as a stable code.
    #[schema(example = "bad_amount")]
    reason: String,
    /// Why, for people: all that is wrong with it, in one text.
    message: String,
    /// All that is wrong with it, one by one; the first is that of `column` and `reason`.
    #[schema(min_items = 1)]
    faults: Vec<Fault>,
    /// The record as it came; bytes that are not UTF-8 are shown as �. The CSV has them as they are.
    raw: String,
    /// Reason `duplicate`: where its key came first.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<First>,
    /// Reason `duplicate`: the columns in which that row says something else. Null: it says the same, or the reason is another one.
    #[schema(example = json!(["debtAmount", "debtDueDate"]))]
    differs: Option<Vec<String>>,
}

/// Where a key came first.
#[derive(Serialize, ToSchema)]
pub(crate) struct First {
    #[schema(value_type = Uuid)]
    upload_id: UploadId,
    line: i64,
}

impl From<RejectRow> for Reject {
    fn from(row: RejectRow) -> Self {
        let (message, faults) = (row.message(), row.faults());
        let first = row.first_upload_id.zip(row.first_line).map(|(upload_id, line)| First { upload_id, line });
        Self {
            line: row.line,
            column: row.column_name,
            reason: row.code,
            message,
            faults,
            raw: String::from_utf8_lossy(&row.raw).into_owned(),
            first,
            differs: row.differs,
        }
    }
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct RejectsQuery {
    /// Items a page, 1 to 200; 50 unless given. Not for CSV, which is always whole.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before. Not for CSV.
    #[param(min_length = 2, pattern = "^r[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
    /// For CSV that a spreadsheet opens: an apostrophe stands before each field that it would run as a formula, and a byte order mark before all.
    #[param(default = false)]
    spreadsheet: Option<bool>,
}

/// The records of an upload that were not taken
///
/// JSON, by pages; or with `Accept: text/csv` all of them as a file: line, column, reason and message, then the record
/// as it came under the header of the original file, in UTF-8 and with its delimiter; of a file of lines of JSON, the line as one field.
#[utoipa::path(get, path = "/v1/uploads/{id}/rejects", operation_id = "listRejects", tag = "uploads",
    params(("id" = Uuid, Path, description = "The upload"), RejectsQuery),
    responses((status = 200, description = "A page, or the file", content((RejectList = "application/json"), (String = "text/csv")))))]
pub(crate) async fn rejects(
    State(app): State<AppState>,
    caller: Caller,
    UploadPath(id): UploadPath,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take::<cursor::Rejects>("cursor").map_or(0, cursor::Rejects::line);
    let spreadsheet = query.flag("spreadsheet");
    query.finish()?;
    find(&app, &caller, id).await?;
    let pool = &app.pool;
    if prefers_csv(&headers) {
        let header = read::header(pool, id).await?.unwrap_or_default();
        let file = Body::from_stream(rejects_csv::file(pool.clone(), id, &header, spreadsheet));
        let name = format!("attachment; filename=\"rejects-{id}.csv\"");
        let name = HeaderValue::from_str(&name).expect("a UUID is plain ASCII");
        let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        return Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name), (header::VARY, vary())], file)
            .into_response());
    }
    let found = read::rejects(pool, id, after, i64::from(limit) + 1).await?;
    let (rows, next_cursor) = cursor::Rejects::page(found, limit, |last| cursor::Rejects::after_line(last.line));
    let page = RejectList { items: rows.into_iter().map(Reject::from).collect(), next_cursor };
    Ok(([(header::VARY, vary())], Json(page)).into_response())
}

pub(crate) fn vary() -> HeaderValue {
    HeaderValue::from_static("accept")
}

pub(crate) fn prefers_csv(headers: &HeaderMap) -> bool {
    prefers(headers, "text/csv")
}

/// This type is asked for, and JSON not before it.
pub(crate) fn prefers(headers: &HeaderMap, wanted: &str) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepts
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    kinds
        .find(|kind| kind == wanted || matches!(kind.as_str(), "application/json" | "application/*" | "*/*"))
        .is_some_and(|kind| kind == wanted)
}
