//! The order of the file, where rows are read in it: keys and lines side by side, a thousand a row.

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::prepare::PreparedChunk;

/// Keys of one row of `file_order`.
const PIECE: i32 = 1_000;

/// Keeps where the chunk's rows are in the file. Those that turn out to be duplicates too: the join may settle otherwise.
pub(super) async fn keep(
    conn: &mut PgConnection,
    upload_id: UploadId,
    prepared: &PreparedChunk,
) -> Result<(), JobError> {
    if prepared.in_order.is_empty() {
        return Ok(());
    }
    let (lines, keys): (Vec<i64>, Vec<Uuid>) =
        prepared.in_order.iter().map(|(line, key)| (line.cast_signed(), Uuid::from_u128(*key))).unzip();
    sqlx::query(
        "insert into file_order (upload_id, last_line, lines, keys)
         select $1, ($2::bigint[])[least(n + $4 - 1, cardinality($2::bigint[]))], ($2::bigint[])[n:n + $4 - 1], ($3::uuid[])[n:n + $4 - 1]
         from generate_series(1, cardinality($2::bigint[]), $4) n",
    )
    .bind(upload_id)
    .bind(lines)
    .bind(keys)
    .bind(PIECE)
    .execute(conn)
    .await?;
    Ok(())
}
