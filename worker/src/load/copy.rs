//! Rows into their table. First in the hope that every key is new: `COPY` straight into it, in the order of its key.
//! When one is not, by way of a stage table that leaves out what is there already.

use gristmill_pipelines::{COPY_HEADER, COPY_TRAILER, Table};
use gristmill_queue::JobError;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    duplicates,
    prepare::{Lost, Prepared, Refused},
    record::ChunkRecord,
};

/// A `COPY` is sent in pieces of this size, so that the connection's buffer stays small.
const PIECE: usize = 256 * 1024;

/// Puts the rows into their table and says which of them it had already.
pub(super) async fn load(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    prepared: &Prepared,
) -> Result<Vec<Lost>, JobError> {
    if prepared.rows.is_empty() {
        return Ok(Vec::new());
    }
    let table = chunk.kind.table();
    if !chunk.careful {
        let stream = prepared.copy_stream(&[]);
        sqlx::raw_sql("savepoint hope").execute(&mut *conn).await?;
        match copy(conn, table.name, table, &stream).await {
            Ok(rows) if rows == prepared.rows.len() as u64 => return Ok(Vec::new()),
            Ok(rows) => {
                return Err(JobError::Retry(
                    format!("{rows} rows were copied where {} were sent", prepared.rows.len()).into(),
                ));
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                sqlx::raw_sql("rollback to savepoint hope").execute(&mut *conn).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Of a file that was loaded before nothing needs to go as far as the stage.
    let mut lost = if chunk.mostly_known { duplicates::known(conn, chunk, prepared).await? } else { Vec::new() };
    if lost.len() < prepared.rows.len() {
        let stage = Stage::fill(conn, table, &prepared.copy_stream(&lost)).await?;
        let inserted = stage.insert(conn).await?;
        lost.extend(duplicates::refused(conn, chunk, prepared, &lost, inserted).await?);
    }
    Ok(lost)
}

/// `COPY … FROM STDIN (FORMAT BINARY)`; returns how many rows went in.
/// See <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>.
async fn copy(conn: &mut PgConnection, into: &str, table: &Table, stream: &[u8]) -> Result<u64, sqlx::Error> {
    let statement = format!("copy {into} ({}) from stdin (format binary)", table.columns.join(", "));
    let mut copy = conn.copy_in_raw(&statement).await?;
    for piece in stream.chunks(PIECE) {
        copy.send(piece).await?;
    }
    copy.finish().await
}

/// A temporary table like a kind's own, emptied at every commit.
pub(crate) struct Stage {
    table: &'static Table,
}

impl Stage {
    fn name(table: &Table) -> String {
        format!("stage_{}", table.name)
    }

    /// Creates it where the connection has none yet, and fills it from a binary `COPY` stream of distinct keys.
    pub(crate) async fn fill(
        conn: &mut PgConnection,
        table: &'static Table,
        stream: &[u8],
    ) -> Result<Self, sqlx::Error> {
        let name = Self::name(table);
        let create = format!("create temporary table if not exists {name} (like {}) on commit delete rows", table.name);
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *conn).await?;
        copy(conn, &name, table, stream).await?;
        Ok(Self { table })
    }

    /// Moves the rows on, in the order they came, and returns the keys of those that the table did not have. (Postgres
    /// could subtract them from the stage's, but takes half as long again for that.)
    pub(crate) async fn insert(&self, conn: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        let (stage, table, key) = (Self::name(self.table), self.table.name, self.table.key.join(", "));
        let id = self.table.key[0];
        let insert = format!("insert into {table} select * from {stage} on conflict ({key}) do nothing returning {id}");
        sqlx::query_scalar(AssertSqlSafe(insert)).fetch_all(conn).await
    }

    /// Empties it before the commit, to be filled again in the same transaction.
    pub(crate) async fn empty(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let truncate = format!("truncate {}", Self::name(self.table));
        sqlx::raw_sql(AssertSqlSafe(truncate)).execute(conn).await.map(drop)
    }
}

/// Puts the records that were not taken into `rejects`.
pub(crate) async fn refuse(
    conn: &mut PgConnection,
    upload_id: Uuid,
    chunk_no: i32,
    refused: &[Refused],
) -> Result<(), JobError> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut stream = COPY_HEADER.to_vec();
    for record in refused {
        let (first_upload, first_line) = record.first.unzip();
        stream.extend_from_slice(&9_i16.to_be_bytes());
        field(&mut stream, Some(upload_id.as_bytes()));
        field(&mut stream, Some(&record.line.to_be_bytes()));
        field(&mut stream, Some(&chunk_no.to_be_bytes()));
        field(&mut stream, record.column.map(str::as_bytes));
        field(&mut stream, Some(record.code.as_str().as_bytes()));
        field(&mut stream, Some(record.message.as_bytes()));
        field(&mut stream, Some(&record.raw));
        field(&mut stream, first_upload.as_ref().map(|id| id.as_bytes().as_slice()));
        field(&mut stream, first_line.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }
    stream.extend_from_slice(COPY_TRAILER);
    let mut copy = conn
        .copy_in_raw(
            "copy rejects (upload_id, line, chunk_no, column_name, code, message, raw, first_upload_id, first_line)
             from stdin (format binary)",
        )
        .await?;
    for piece in stream.chunks(PIECE) {
        copy.send(piece).await?;
    }
    copy.finish().await?;
    Ok(())
}

/// One field of a binary tuple: its length, then its bytes; `None` is null.
fn field(stream: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            let length = i32::try_from(bytes.len()).expect("a record is shorter than 2 GiB");
            stream.extend_from_slice(&length.to_be_bytes());
            stream.extend_from_slice(bytes);
        }
        None => stream.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}
