//! What is kept of reports, and for how long.

use gristmill_uploads::UploadId;
use sqlx::{PgConnection, PgPool};

/// Rows that one statement removes.
const BATCH_SIZE: i64 = 10_000;

/// Removes what reports cost an upload.
pub(crate) async fn forget(conn: &mut PgConnection, upload_id: UploadId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from upload_reports where upload_id = $1").bind(upload_id).execute(conn).await?;
    Ok(())
}

/// Removes what was said upstream of clients' reports, a day after it was too old to count: a file may name any number of
/// reports.
pub(crate) async fn prune(pool: &PgPool) -> Result<(), sqlx::Error> {
    loop {
        let removed = sqlx::query(
            "delete from reports where (client_id, id) in (
                select r.client_id, r.id from reports r left join client_settings s on s.client_id = r.client_id
                where r.source = 'upstream'
                  and r.updated_at < now() - interval '1 day' - make_interval(secs => coalesce(s.reports_max_age, 0))
                limit $1)",
        )
        .bind(BATCH_SIZE)
        .execute(pool)
        .await?;
        if removed.rows_affected() < BATCH_SIZE.unsigned_abs() {
            return Ok(());
        }
    }
}

/// Removes what reports cost uploads that are purged. A chunk writes it before its transaction, so it may have come after the
/// purge.
pub(crate) async fn prune_purged(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from upload_reports where upload_id in (
            select id from uploads where purged_at between now() - interval '7 days' and now() - interval '1 minute')",
    )
    .execute(pool)
    .await?;
    Ok(())
}
