//! Rows and rejects into their tables, by `COPY`.

use gristmill_pipelines::{COPY_HEADER, COPY_TRAILER, Fault, Table};
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{Executor, PgConnection};

use super::{prepare::RejectedRecord, reasons};

/// A `COPY` is sent in pieces of this size, so that the connection's buffer stays small.
const PIECE: usize = 256 * 1024;

/// Puts tuples of a kind's rows into `into`, which has that table's columns.
pub(super) async fn rows<'t>(
    conn: &mut PgConnection,
    table: &Table,
    into: &str,
    tuples: impl Iterator<Item = &'t [u8]> + Send,
    many: usize,
) -> Result<(), JobError> {
    if many == 0 {
        return Ok(());
    }
    let copied = copy(conn, &columns(into, table), tuples, |piece, tuple| piece.extend_from_slice(tuple)).await?;
    if copied != many as u64 {
        return Err(JobError::Retry(format!("{copied} rows were copied where {many} were sent").into()));
    }
    Ok(())
}

/// What rows of a kind's table are copied into.
pub(super) fn columns(into: &str, table: &Table) -> String {
    format!("{into} ({})", table.columns.join(", "))
}

/// The same as [`copy`], in the hope that every key is new. `None`: the table had one of them, and none went in.
pub(crate) async fn copy_unless_taken<T>(
    conn: &mut PgConnection,
    into: &str,
    items: impl Iterator<Item = T> + Send,
    push: impl Fn(&mut Vec<u8>, T) + Send,
) -> Result<Option<u64>, sqlx::Error> {
    conn.execute("savepoint hope").await?;
    match copy(conn, into, items, push).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            conn.execute("rollback to savepoint hope").await?;
            Ok(None)
        }
        copied => copied.map(Some),
    }
}

/// `COPY … FROM STDIN (FORMAT BINARY)` into a table's columns, of what `push` writes for each item: a tuple. Returns how
/// many rows went in. See <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>.
async fn copy<T>(
    conn: &mut PgConnection,
    into: &str,
    items: impl Iterator<Item = T> + Send,
    push: impl Fn(&mut Vec<u8>, T) + Send,
) -> Result<u64, sqlx::Error> {
    let mut copy = conn.copy_in_raw(&format!("copy {into} from stdin (format binary)")).await?;
    let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
    piece.extend_from_slice(COPY_HEADER);
    for item in items {
        push(&mut piece, item);
        if piece.len() >= PIECE {
            copy.send(piece.as_slice()).await?;
            piece.clear();
        }
    }
    piece.extend_from_slice(COPY_TRAILER);
    copy.send(piece.as_slice()).await?;
    copy.finish().await
}

/// Puts the records that were not taken into `rejects`, and counts their reasons.
pub(crate) async fn refuse(
    conn: &mut PgConnection,
    upload_id: UploadId,
    chunk_no: i32,
    refused: &[RejectedRecord],
) -> Result<(), JobError> {
    if refused.is_empty() {
        return Ok(());
    }
    let into = "rejects (upload_id, line, chunk_no, column_name, code, message, raw, first_upload_id, first_line, other_faults, differs)";
    copy(&mut *conn, into, refused.iter(), |piece, record| push_tuple(piece, upload_id, chunk_no, record)).await?;
    reasons::count(conn, upload_id, chunk_no, refused).await
}

fn push_tuple(tuples: &mut Vec<u8>, upload_id: UploadId, chunk_no: i32, record: &RejectedRecord) {
    let (first_upload, first_line) = record.first.unzip();
    tuples.extend_from_slice(&11_i16.to_be_bytes());
    field(tuples, Some(upload_id.get().as_bytes()));
    field(tuples, Some(&record.line.to_be_bytes()));
    field(tuples, Some(&chunk_no.to_be_bytes()));
    field(tuples, record.column.map(str::as_bytes));
    field(tuples, Some(record.code.as_str().as_bytes()));
    field(tuples, record.message.as_deref().map(str::as_bytes));
    field(tuples, Some(&record.raw));
    field(tuples, first_upload.map(|id| id.get().into_bytes()).as_ref().map(<[u8; 16]>::as_slice));
    field(tuples, first_line.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    field(tuples, jsonb(&record.others).as_deref());
    match record.differs.as_slice() {
        [] => field(tuples, None),
        columns => field(tuples, Some(&text_array(columns))),
    }
}

/// A `text[]` as a binary tuple has it: one dimension, no null, the type of the elements, how many, the first one's index.
fn text_array(elements: &[&str]) -> Vec<u8> {
    const TEXT: i32 = 25;
    let length = i32::try_from(elements.len()).expect("a kind has a few columns");
    let mut array: Vec<u8> = [1, 0, TEXT, length, 1].into_iter().flat_map(i32::to_be_bytes).collect();
    elements.iter().for_each(|element| field(&mut array, Some(element.as_bytes())));
    array
}

/// As Postgres takes `jsonb` in binary: the version of the form, then the text; none of no faults.
fn jsonb(faults: &[Fault]) -> Option<Vec<u8>> {
    (!faults.is_empty()).then(|| {
        let mut bytes = vec![1];
        serde_json::to_writer(&mut bytes, faults).expect("texts are JSON, and there is room in memory");
        bytes
    })
}

/// One field of a binary tuple: its length, then its bytes; `None` is null.
pub(crate) fn field(tuples: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            let length = i32::try_from(bytes.len()).expect("a record is shorter than 2 GiB");
            tuples.extend_from_slice(&length.to_be_bytes());
            tuples.extend_from_slice(bytes);
        }
        None => tuples.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}
