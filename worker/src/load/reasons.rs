//! Why records were rejected, counted with them.

use std::collections::BTreeMap;

use gristmill_pipelines::ReasonCode;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

use super::prepare::RejectedRecord;

/// By code: how many, and the first line.
pub(super) type Reasons = BTreeMap<&'static str, (i64, i64)>;

/// Adds these records to their chunk's counts by reason. Duplicates have a count of their own, which the join settles.
pub(super) async fn count(
    conn: &mut PgConnection,
    upload_id: UploadId,
    chunk_no: i32,
    refused: &[RejectedRecord],
) -> Result<(), JobError> {
    let mut reasons = Reasons::new();
    for record in refused.iter().filter(|record| record.code != ReasonCode::Duplicate) {
        let line = record.line.cast_signed();
        let (n, first) = reasons.entry(record.code.as_str()).or_insert((0, line));
        *n += 1;
        *first = line.min(*first);
    }
    add(conn, upload_id, chunk_no, reasons).await
}

/// Adds what was counted, also of records that are not kept.
pub(super) async fn add(
    conn: &mut PgConnection,
    upload_id: UploadId,
    chunk_no: i32,
    reasons: Reasons,
) -> Result<(), JobError> {
    if reasons.is_empty() {
        return Ok(());
    }
    let (codes, counts): (Vec<&str>, Vec<(i64, i64)>) = reasons.into_iter().unzip();
    let (numbers, lines): (Vec<i64>, Vec<i64>) = counts.into_iter().unzip();
    sqlx::query(
        "insert into chunk_reasons (upload_id, chunk_no, code, n, first_line)
         select $1, $2, * from unnest($3::text[], $4::bigint[], $5::bigint[])
         on conflict (upload_id, chunk_no, code)
            do update set n = chunk_reasons.n + excluded.n,
                          first_line = least(chunk_reasons.first_line, excluded.first_line)",
    )
    .bind(upload_id)
    .bind(chunk_no)
    .bind(codes)
    .bind(numbers)
    .bind(lines)
    .execute(conn)
    .await?;
    Ok(())
}
