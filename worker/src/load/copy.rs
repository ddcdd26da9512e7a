//! Rows into their table. First in the hope that every key is new: `COPY` straight into it, in the order of its key.
//! Rows that may be duplicates go by way of a stage table that leaves out what is there already; all of them do when the
//! hope was vain.

use gristmill_pipelines::{COPY_HEADER, COPY_TRAILER, Fault, Table};
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{Executor, PgConnection};
use uuid::Uuid;

use super::{
    chunk::Chunk,
    duplicates,
    key_hints::Suspects,
    prepare::{KeyConflict, PreparedChunk, RejectedRecord},
    reasons,
};

/// A `COPY` is sent in pieces of this size, so that the connection's buffer stays small.
const PIECE: usize = 256 * 1024;

/// What became of a chunk's rows.
pub(super) struct CopyOutcome {
    /// Those whose key the table had.
    pub(super) lost: Vec<KeyConflict>,
    /// A key was taken that no chunk of this file had told of.
    pub(super) surprised: bool,
}

/// Puts the rows into their table and says which of them it had already.
pub(super) async fn load(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    mut suspects: Suspects,
) -> Result<CopyOutcome, JobError> {
    let mut loaded = CopyOutcome { lost: Vec::new(), surprised: false };
    if prepared.rows.is_empty() {
        return Ok(loaded);
    }
    if chunk.careful {
        suspects.all();
    } else {
        let looked = Suspects::expected(conn, chunk).await?;
        if looked {
            suspects.look(conn, chunk).await?;
        }
        let mut taken = !hope(conn, chunk, prepared, &suspects).await?;
        if taken && !looked {
            suspects.look(conn, chunk).await?;
            taken = suspects.is_empty() || !hope(conn, chunk, prepared, &suspects).await?;
        }
        if taken {
            suspects.all();
            loaded.surprised = true;
        }
    }
    if suspects.is_empty() {
        return Ok(loaded);
    }
    // Of a file that was loaded before nothing needs to go as far as the stage.
    if chunk.careful && chunk.mostly_known {
        loaded.lost = duplicates::known(conn, chunk, prepared).await?;
    }
    if loaded.lost.len() < prepared.rows.len() {
        let staged = prepared.staged(&suspects, &loaded.lost);
        let stage = StagingTable::fill(conn, chunk.kind.table(), prepared.tuples(|row| staged[row])).await?;
        let inserted = stage.insert(conn).await?;
        loaded.lost.extend(duplicates::refused(conn, chunk, prepared, &staged, inserted).await?);
    }
    Ok(loaded)
}

/// Copies all rows but the suspects straight into their table. `false`: the key of one was taken, and none went in.
async fn hope(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    suspects: &Suspects,
) -> Result<bool, JobError> {
    let table = chunk.kind.table();
    let sure = |row: usize| !suspects.has(row);
    let sent = (0..prepared.rows.len()).filter(|row| sure(*row)).count() as u64;
    match copy_unless_taken(conn, &columns(table.name, table), prepared.tuples(sure), push_whole).await? {
        Some(rows) if rows == sent => Ok(true),
        Some(rows) => Err(JobError::Retry(format!("{rows} rows were copied where {sent} were sent").into())),
        None => Ok(false),
    }
}

/// What rows of a kind's table are copied into.
fn columns(into: &str, table: &Table) -> String {
    format!("{into} ({})", table.columns.join(", "))
}

fn push_whole(piece: &mut Vec<u8>, tuple: &[u8]) {
    piece.extend_from_slice(tuple);
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

/// A temporary table like a kind's own, emptied at every commit.
pub(crate) struct StagingTable {
    table: &'static Table,
}

impl StagingTable {
    fn name(table: &Table) -> String {
        format!("stage_{}", table.name)
    }

    /// Creates it where the connection has none yet, and fills it with tuples of distinct keys.
    pub(crate) async fn fill<'a>(
        conn: &mut PgConnection,
        table: &'static Table,
        tuples: impl Iterator<Item = &'a [u8]> + Send,
    ) -> Result<Self, sqlx::Error> {
        let name = Self::name(table);
        let create = format!("create temporary table if not exists {name} (like {}) on commit delete rows", table.name);
        conn.execute(create.as_str()).await?;
        copy(conn, &columns(&name, table), tuples, push_whole).await?;
        Ok(Self { table })
    }

    /// Moves the rows on, in the order they came, and returns the keys of those that the table did not have. (Postgres
    /// could subtract them from the stage's, but takes half as long again for that.)
    pub(crate) async fn insert(&self, conn: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        let (stage, table, key) = (Self::name(self.table), self.table.name, self.table.key);
        let insert = format!(
            "with inserted as (insert into {table} select * from {stage} on conflict (client_id, {key}) do nothing returning {key})
             select coalesce(array_agg({key}), '{{}}') from inserted"
        );
        sqlx::query_scalar(&insert).fetch_one(conn).await
    }

    /// Empties it before the commit, to be filled again in the same transaction.
    pub(crate) async fn empty(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let truncate = format!("truncate {}", Self::name(self.table));
        conn.execute(truncate.as_str()).await.map(drop)
    }
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
