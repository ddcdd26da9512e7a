//! The keys of rows that are in a table, by `COPY … TO STDOUT (FORMAT BINARY)`.

use futures::TryStreamExt as _;
use gristmill_pipelines::{COPY_HEADER, Table};
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

use super::{Segment, filter};

/// A key, and the line of the record that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) key: u128,
    pub(crate) line: i64,
}

/// Has every key of an upload's rows seen that wait in a table.
pub(crate) async fn of_upload(
    conn: &mut PgConnection,
    table: &Table,
    waiting: &str,
    upload_id: UploadId,
    see: impl FnMut(Key),
) -> Result<(), JobError> {
    let key = table.key;
    let copy =
        format!("copy (select {key}, line from {waiting} where upload_id = '{upload_id}') to stdout (format binary)");
    copied(conn, &copy, see).await
}

/// Has every key of a segment seen as what it is in filters, each with its own client.
pub(crate) async fn hashes(
    conn: &mut PgConnection,
    segment: Segment,
    mut see: impl FnMut(u64),
) -> Result<(), JobError> {
    let Table { key, .. } = segment.table;
    let copy = format!("copy (select {key}, client_id::bigint from {}) to stdout (format binary)", segment.name());
    // A client's number comes as a line's.
    copied(conn, &copy, |key| see(filter::hash(key.line as i32, key.key))).await
}

/// A tuple: how many fields, then the length of each before it.
const TUPLE: usize = 2 + 4 + 16 + 4 + 8;

async fn copied(conn: &mut PgConnection, copy: &str, mut see: impl FnMut(Key)) -> Result<(), JobError> {
    let mut sent = conn.copy_out_raw(copy).await?;
    let mut rest = Vec::new();
    let mut header = COPY_HEADER;
    while let Some(bytes) = sent.try_next().await? {
        rest.extend_from_slice(&bytes);
        let mut tuples = rest.as_slice();
        if !header.is_empty() {
            let Some(behind) = tuples.strip_prefix(header) else { continue };
            (tuples, header) = (behind, &[]);
        }
        while let Some((tuple, behind)) = tuples.split_first_chunk::<TUPLE>() {
            see(key(tuple).ok_or_else(torn)?);
            tuples = behind;
        }
        let done = rest.len() - tuples.len();
        rest.drain(..done);
    }
    if !header.is_empty() || rest != [0xff, 0xff] {
        return Err(torn());
    }
    Ok(())
}

fn key(tuple: &[u8; TUPLE]) -> Option<Key> {
    let (head, rest) = tuple.split_first_chunk()?;
    let (key, rest) = rest.split_first_chunk()?;
    let (length, line) = rest.split_first_chunk()?;
    let line: &[u8; 8] = line.try_into().ok()?;
    let is_right = *head == [0, 2, 0, 0, 0, 16] && *length == [0, 0, 0, 8];
    is_right.then(|| Key { key: u128::from_be_bytes(*key), line: i64::from_be_bytes(*line) })
}

fn torn() -> JobError {
    JobError::discard("a COPY of keys is not what it should be")
}
