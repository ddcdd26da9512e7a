//! What is known of uploads: the reads that the API, the worker and the dashboard share.

use std::borrow::Borrow;

use gristmill_core::ClientId;
use gristmill_pipelines::{Delimiter, Dialect, Reading, told};
use gristmill_queue::GroupId;
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor, types::Json};
use uuid::Uuid;

use crate::{Chunks, FileDialect, OnDuplicate, Policy, Rows, State, Upload, UploadId, upload::is_zero};

#[derive(FromRow)]
struct Record {
    id: UploadId,
    kind: String,
    policy: String,
    on_duplicate: String,
    filename: Option<String>,
    bytes: i64,
    sha256: Option<String>,
    dialect: Option<Json<Dialect>>,
    state: String,
    reason: Option<String>,
    detail: Option<String>,
    rows_read: i64,
    accepted: i64,
    rejected: i64,
    duplicate: i64,
    conflicting: i64,
    replaced: i64,
    superseded: i64,
    unkept: i64,
    chunks_total: i64,
    chunks_done: i64,
    created_at: Timestamp,
    received_at: Option<Timestamp>,
    first_row_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    rows_dropped_at: Option<Timestamp>,
}

impl TryFrom<Record> for Upload {
    type Error = sqlx::Error;

    fn try_from(record: Record) -> Result<Self, sqlx::Error> {
        let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
        Ok(Self {
            id: record.id,
            kind: record.kind.parse().map_err(|error| decode(Box::new(error)))?,
            policy: record.policy.parse::<Policy>().map_err(|error| decode(Box::new(error)))?,
            on_duplicate: record.on_duplicate.parse::<OnDuplicate>().map_err(|error| decode(Box::new(error)))?,
            filename: record.filename,
            bytes: record.bytes,
            sha256: record.sha256,
            dialect: record.dialect.map(|Json(dialect)| dialect),
            state: record.state.parse::<State>().map_err(|error| decode(Box::new(error)))?,
            reason: record.reason,
            detail: record.detail,
            rows: Rows {
                read: record.rows_read,
                accepted: record.accepted,
                rejected: record.rejected,
                duplicate: record.duplicate,
                conflicting_duplicate: record.conflicting,
                replaced: record.replaced,
                superseded: record.superseded,
            },
            rejects_not_kept: record.unkept,
            chunks: Chunks { total: record.chunks_total, done: record.chunks_done },
            created_at: record.created_at.to_jiff(),
            received_at: record.received_at.map(Timestamp::to_jiff),
            first_row_at: record.first_row_at.map(Timestamp::to_jiff),
            completed_at: record.completed_at.map(Timestamp::to_jiff),
            rows_dropped_at: record.rows_dropped_at.map(Timestamp::to_jiff),
        })
    }
}

/// One text for every read of an upload; the two places that differ are its `where` and its order.
macro_rules! select_upload {
    ($rest:literal) => {
        concat!(
            "select u.id, u.kind, u.policy, u.on_duplicate, u.filename, encode(u.sha256, 'hex') as sha256, u.dialect, u.state, u.reason, u.detail,
                    coalesce(u.bytes, u.header_bytes + c.bytes) as bytes, c.total as chunks_total, p.chunks_done,
                    p.rows_read, p.accepted, p.rejected, p.duplicate, p.conflicting, p.replaced, p.superseded, p.unkept, p.first_row_at,
                    u.created_at, u.received_at, u.completed_at, u.rows_dropped_at
             from uploads u
             join upload_progress p on p.upload_id = u.id
             cross join lateral (
                 select count(*) as total, coalesce(sum(bytes), 0)::bigint as bytes from chunks where upload_id = u.id
             ) c ",
            $rest
        )
    };
}

/// The upload, if it is the client's.
pub async fn find(db: impl PgExecutor<'_>, client_id: ClientId, id: UploadId) -> Result<Option<Upload>, sqlx::Error> {
    sqlx::query_as::<_, Record>(select_upload!("where u.id = $1 and u.client_id = $2"))
        .bind(id)
        .bind(client_id)
        .fetch_optional(db)
        .await?
        .map(Upload::try_from)
        .transpose()
}

/// The upload whose group of jobs this is. They are made together, so there is no need of an index.
pub async fn of_group(db: impl PgExecutor<'_>, group: GroupId) -> Result<Option<UploadId>, sqlx::Error> {
    let millis = group.get().as_u128() >> 80;
    let around = |millis: u128| Uuid::from_u128(millis << 80);
    sqlx::query_scalar("select id from uploads where group_id = $1 and id between $2 and $3")
        .bind(group)
        .bind(around(millis.saturating_sub(60_000)))
        .bind(around(millis.saturating_add(60_000)))
        .fetch_optional(db)
        .await
}

/// The upload, whoever owns it: for the roles behind the API.
pub async fn by_id(db: impl PgExecutor<'_>, id: UploadId) -> Result<Option<Upload>, sqlx::Error> {
    sqlx::query_as::<_, Record>(select_upload!("where u.id = $1"))
        .bind(id)
        .fetch_optional(db)
        .await?
        .map(Upload::try_from)
        .transpose()
}

/// Which uploads to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this kind.
    pub kind: Option<gristmill_pipelines::Kind>,
    /// Only the one that was sent with this key.
    pub idempotency_key: Option<String>,
    /// Only those created before this one: the last one of the page before.
    pub before: Option<UploadId>,
    /// At most so many.
    pub limit: u32,
}

/// A client's uploads, newest first.
pub async fn list(db: impl PgExecutor<'_>, client_id: ClientId, filter: &Filter) -> Result<Vec<Upload>, sqlx::Error> {
    let records: Vec<Record> = sqlx::query_as(select_upload!(
        "where u.client_id = $1 and ($2::text is null or u.state = $2) and ($3::text is null or u.kind = $3)
           and ($4::text is null or u.idempotency_key = $4) and ($5::uuid is null or u.id < $5)
         order by u.id desc limit $6"
    ))
    .bind(client_id)
    .bind(filter.state.map(<&str>::from))
    .bind(filter.kind.map(|kind| kind.to_string()))
    .bind(filter.idempotency_key.as_deref())
    .bind(filter.before)
    .bind(i64::from(filter.limit))
    .fetch_all(db)
    .await?;
    records.into_iter().map(Upload::try_from).collect()
}

/// Everybody's uploads, newest first, each with the name of its client.
pub async fn recent(db: impl PgExecutor<'_>, filter: &Filter) -> Result<Vec<(String, Upload)>, sqlx::Error> {
    #[derive(FromRow)]
    struct UploadRow {
        client: String,
        #[sqlx(flatten)]
        record: Record,
    }
    let records: Vec<UploadRow> = sqlx::query_as(concat!(
        "select n.name as client, r.* from (",
        select_upload!(
            "where ($1::text is null or u.state = $1) and ($2::text is null or u.kind = $2) and ($3::uuid is null or u.id < $3)
             order by u.id desc limit $4"
        ),
        ") r join uploads o on o.id = r.id join clients n on n.id = o.client_id order by r.id desc"
    ))
    .bind(filter.state.map(<&str>::from))
    .bind(filter.kind.map(|kind| kind.to_string()))
    .bind(filter.before)
    .bind(i64::from(filter.limit))
    .fetch_all(db)
    .await?;
    records.into_iter().map(|named| Ok((named.client, named.record.try_into()?))).collect()
}

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RejectFault)]
pub struct Fault {
    /// The column at fault; null: the whole record.
    #[schema(example = "debtAmount")]
    pub column: Option<String>,
    /// Why, as a stable code.
    #[schema(example = "bad_amount")]
    pub code: String,
    /// Why, for people.
    pub message: String,
}

/// A record that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RejectRow {
    /// Line of its first byte in the file, from 1.
    pub line: i64,
    /// The column at fault; none: the whole record.
    pub column_name: Option<String>,
    /// Why, as a stable code.
    pub code: String,
    /// The upload that it is of.
    pub upload_id: UploadId,
    /// Why, for people, where the rest does not say it; see [`RejectRow::message()`].
    pub message: Option<String>,
    /// What is wrong with it beside that; see [`RejectRow::faults()`].
    pub other_faults: Option<Json<Vec<Fault>>>,
    /// As it came, without its line end.
    pub raw: Vec<u8>,
    /// Code `duplicate`: the upload where its key came first.
    pub first_upload_id: Option<UploadId>,
    /// Code `duplicate`: the line where its key came first.
    pub first_line: Option<i64>,
    /// Code `duplicate`: the columns in which that line says something else; none: it says the same.
    pub differs: Option<Vec<String>>,
}

impl RejectRow {
    /// All that is wrong with it, for people, in one text.
    #[must_use]
    pub fn message(&self) -> String {
        told(&self.first_message(), self.others().iter().map(|fault| fault.message.as_str()))
    }

    /// All that is wrong with it, in the order of the columns as they are checked: the first is `code`'s.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let (column, code) = (self.column_name.clone(), self.code.clone());
        let first = Fault { column, code, message: self.first_message() };
        std::iter::once(first).chain(self.others().iter().cloned()).collect()
    }

    fn others(&self) -> &[Fault] {
        self.other_faults.as_ref().map_or(&[], |Json(others)| others)
    }

    fn first_message(&self) -> String {
        match (&self.message, self.first_upload_id.zip(self.first_line)) {
            (Some(message), _) => message.clone(),
            (None, Some((first, line))) => {
                let column = self.column_name.as_deref().unwrap_or("key");
                let upload = (first != self.upload_id).then_some(first);
                duplicate_message(column, upload, line.unsigned_abs(), self.differs.as_deref().unwrap_or(&[]))
            }
            (None, None) => self.code.clone(),
        }
    }
}

/// Why a duplicate was not taken: `column` is its key, `upload` the one that had it, none: this one; `differs` names the
/// columns in which the two rows say something else.
#[must_use]
pub fn duplicate_message(column: &str, upload: Option<UploadId>, line: u64, differs: &[impl Borrow<str>]) -> String {
    let mut message = match upload {
        None => format!("the same {column} is on line {line} of this file"),
        Some(upload) => format!("the same {column} is on line {line} of upload {upload}"),
    };
    if !differs.is_empty() {
        message.push_str("; the row there counts, and differs in ");
        message.push_str(&differs.join(", "));
    }
    message
}

/// An upload's rejects by line, those after `after_line` (0: from the beginning).
pub async fn rejects(
    db: impl PgExecutor<'_>,
    upload_id: UploadId,
    after_line: i64,
    limit: i64,
) -> Result<Vec<RejectRow>, sqlx::Error> {
    sqlx::query_as(
        "select upload_id, line, column_name, code, message, other_faults, raw, first_upload_id, first_line,
                nullif(differs, '{}') as differs
         from rejects where upload_id = $1 and line > $2 order by line limit $3",
    )
    .bind(upload_id)
    .bind(after_line)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Rejected records of an upload that were counted and not kept.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Unkept {
    /// Why they were not taken, as a stable code.
    pub code: String,
    /// The column at fault; empty: the whole record.
    pub column_name: String,
    /// How many.
    pub records: i64,
}

/// What was counted and not kept of an upload's rejects, most first.
pub async fn unkept(db: impl PgExecutor<'_>, upload_id: UploadId) -> Result<Vec<Unkept>, sqlx::Error> {
    sqlx::query_as(
        "select code, column_name, records from unkept_rejects where upload_id = $1
         order by records desc, code, column_name",
    )
    .bind(upload_id)
    .fetch_all(db)
    .await
}

/// What the file's records stand under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The record as it came, in UTF-8; empty: the file is lines of JSON.
    pub raw: Vec<u8>,
    /// What separates its fields.
    pub delimiter: Delimiter,
}

/// The header record; none when the upload does not exist.
pub async fn header(db: impl PgExecutor<'_>, upload_id: UploadId) -> Result<Option<Header>, sqlx::Error> {
    let found: Option<(Vec<u8>, Option<Json<Reading>>)> =
        sqlx::query_as("select header, reading from uploads where id = $1").bind(upload_id).fetch_optional(db).await?;
    Ok(found.map(|(raw, reading)| Header {
        raw,
        delimiter: reading.map_or_else(Delimiter::default, |Json(r)| r.delimiter),
    }))
}

/// Proof that a closed file adds up: nothing was lost, nothing came twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receipt {
    /// The upload it is for.
    #[schema(value_type = Uuid)]
    pub upload_id: UploadId,
    /// Which pipeline read it.
    pub kind: String,
    /// As the client named it.
    pub filename: Option<String>,
    /// Size of the file, decompressed: the header's bytes and the chunks' together, unless there is `text_bytes`.
    pub bytes: i64,
    /// Of a file that came in other characters: its size in UTF-8, which is the header's bytes and the chunks' together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_bytes: Option<i64>,
    /// Bytes up to the first record.
    pub header_bytes: i64,
    /// Its lines, counted while it arrived: those up to the first record and the chunks' together. Null: it was begun
    /// before lines were counted.
    pub lines: Option<i64>,
    /// SHA-256 of the file, decompressed, hexadecimal.
    pub sha256: String,
    /// How the file is written, as in the upload. Not there: plainly, and nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FileDialect>)]
    pub dialect: Option<Dialect>,
    /// What became of its records.
    pub rows: Rows,
    /// Of `rows.rejected`, those beyond the client's limit: counted, by reason, and not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejects_not_kept: i64,
    /// The same a chunk.
    pub chunks: Vec<ChunkReceipt>,
    /// When the header was accepted.
    pub created_at: jiff::Timestamp,
    /// When the last byte was stored.
    pub received_at: jiff::Timestamp,
    /// When it was closed.
    pub completed_at: jiff::Timestamp,
}

/// One chunk of a [`Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChunkReceipt {
    /// From 0.
    pub no: i32,
    /// Line of its first byte, from 1.
    pub first_line: i64,
    /// Its first byte in the file, from 0.
    pub first_byte: i64,
    /// Its size in the file.
    pub bytes: i64,
    /// Its lines, counted by who read it.
    pub lines: Option<i64>,
    /// Records that are none, as all their fields are blank: they were skipped, as empty lines are.
    pub blank: Option<i64>,
    /// SHA-256 of its object, hexadecimal.
    pub sha256: String,
    /// What became of its records.
    pub rows: Rows,
}

#[derive(FromRow)]
struct ReceiptRecord {
    kind: String,
    filename: Option<String>,
    bytes: i64,
    text_bytes: Option<i64>,
    header_bytes: i64,
    lines: Option<i64>,
    sha256: String,
    dialect: Option<Json<Dialect>>,
    rows: Json<[i64; 7]>,
    unkept: i64,
    created_at: Timestamp,
    received_at: Timestamp,
    completed_at: Timestamp,
}

#[derive(FromRow)]
struct ChunkRecord {
    no: i32,
    first_line: i64,
    first_byte: i64,
    bytes: i64,
    lines: Option<i64>,
    blank: Option<i64>,
    sha256: String,
    rows: Json<[i64; 7]>,
}

fn rows(
    Json([read, accepted, rejected, duplicate, conflicting_duplicate, replaced, superseded]): Json<[i64; 7]>,
) -> Rows {
    Rows { read, accepted, rejected, duplicate, conflicting_duplicate, replaced, superseded }
}

/// The receipt of a completed upload; none for any other.
pub async fn receipt(pool: &sqlx::PgPool, upload_id: UploadId) -> Result<Option<Receipt>, sqlx::Error> {
    let record: Option<ReceiptRecord> = sqlx::query_as(
        "select u.kind, u.filename, u.bytes, u.text_bytes, u.header_bytes, u.lines, encode(u.sha256, 'hex') as sha256, u.dialect,
                jsonb_build_array(p.rows_read, p.accepted, p.rejected, p.duplicate, p.conflicting, p.replaced, p.superseded) as rows, p.unkept,
                u.created_at, u.received_at, u.completed_at
         from uploads u join upload_progress p on p.upload_id = u.id
         where u.id = $1 and u.state = 'completed'",
    )
    .bind(upload_id)
    .fetch_optional(pool)
    .await?;
    let Some(record) = record else { return Ok(None) };
    let chunks: Vec<ChunkRecord> = sqlx::query_as(
        "select no, first_line, first_byte, bytes, lines, blank, encode(sha256, 'hex') as sha256,
                jsonb_build_array(rows_read, accepted, rejected, duplicate, conflicting, 0, 0) as rows
         from chunks where upload_id = $1 order by no",
    )
    .bind(upload_id)
    .fetch_all(pool)
    .await?;
    Ok(Some(Receipt {
        upload_id,
        kind: record.kind,
        filename: record.filename,
        bytes: record.bytes,
        text_bytes: record.text_bytes,
        header_bytes: record.header_bytes,
        lines: record.lines,
        sha256: record.sha256,
        dialect: record.dialect.map(|Json(dialect)| dialect),
        rows: rows(record.rows),
        rejects_not_kept: record.unkept,
        chunks: chunks
            .into_iter()
            .map(|chunk| ChunkReceipt {
                no: chunk.no,
                first_line: chunk.first_line,
                first_byte: chunk.first_byte,
                bytes: chunk.bytes,
                lines: chunk.lines,
                blank: chunk.blank,
                sha256: chunk.sha256,
                rows: rows(chunk.rows),
            })
            .collect(),
        created_at: record.created_at.to_jiff(),
        received_at: record.received_at.to_jiff(),
        completed_at: record.completed_at.to_jiff(),
    }))
}
