//! The rows of an upload in its kind's table, without an index on them.
//!
//! They are behind the block where the table ended when the upload began, so a scan of the table's end finds them. Rows
//! that filled gaps which a purge had left are further up; how many there must be is known, so it shows when some are
//! missing, and then the whole table is looked at.

use gristmill_pipelines::Table;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

/// How many rows of the upload there are. `expected` only saves time: the answer is counted.
pub(crate) async fn count(
    conn: &mut PgConnection,
    table: &Table,
    upload_id: UploadId,
    first_block: i64,
    expected: i64,
) -> Result<i64, sqlx::Error> {
    let everywhere = format!("select count(*) from {} where upload_id = $1", table.name);
    if is_end(conn, table, first_block).await? {
        let behind = format!("{everywhere} and ctid >= $2::text::tid");
        let rows: i64 =
            sqlx::query_scalar(&behind).bind(upload_id).bind(first_tid(first_block)).fetch_one(&mut *conn).await?;
        if rows == expected {
            return Ok(rows);
        }
    }
    sqlx::query_scalar(&everywhere).bind(upload_id).fetch_one(conn).await
}

/// Deletes the rows of the upload and says how many there were.
pub(crate) async fn delete(
    conn: &mut PgConnection,
    table: &Table,
    upload_id: UploadId,
    first_block: i64,
    expected: i64,
) -> Result<u64, sqlx::Error> {
    let everywhere = format!("delete from {} where upload_id = $1", table.name);
    let behind = format!("{everywhere} and ctid >= $2::text::tid");
    let mut rows =
        sqlx::query(&behind).bind(upload_id).bind(first_tid(first_block)).execute(&mut *conn).await?.rows_affected();
    if rows != expected.unsigned_abs() {
        rows += sqlx::query(&everywhere).bind(upload_id).execute(conn).await?.rows_affected();
    }
    Ok(rows)
}

/// Whether the blocks from this one on are less than half of the table. Of more, a scan of everything is faster: it may
/// be parallel, a scan of a range is not.
async fn is_end(conn: &mut PgConnection, table: &Table, first_block: i64) -> Result<bool, sqlx::Error> {
    let blocks: i64 =
        sqlx::query_scalar("select pg_relation_size($1::regclass) / current_setting('block_size')::bigint")
            .bind(table.name)
            .fetch_one(conn)
            .await?;
    Ok(first_block > blocks / 2)
}

fn first_tid(block: i64) -> String {
    format!("({block},0)")
}
