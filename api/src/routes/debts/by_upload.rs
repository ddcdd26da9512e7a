//! The rows of one upload: in segments of its own, or in one that small uploads share.

use gristmill_core::ClientId;
use gristmill_uploads::{UploadId, segments::Segments};
use sqlx::PgPool;
use uuid::Uuid;

use super::Row;

macro_rules! select {
    ($of:literal) => {
        concat!(
            "select debt_id, upload_id, line, name, government_id, email, amount_minor,
                    to_char(due_date, 'YYYY-MM-DD') as due_date
             from debts where ",
            $of
        )
    };
}

/// So many rows of a completed upload, by id, those after `after`.
pub(super) async fn page(
    pool: &PgPool,
    client_id: ClientId,
    upload_id: UploadId,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Row>> {
    let after = after.unwrap_or(Uuid::nil());
    let counts: bool = sqlx::query_scalar(
        "select exists (select from uploads where id = $1 and client_id = $2 and kind = 'debts' and state = 'completed'
                        and rows_dropped_at is null)",
    )
    .bind(upload_id)
    .bind(client_id)
    .fetch_one(pool)
    .await?;
    if !counts {
        return Ok(Vec::new());
    }
    match Segments::of_upload(pool, "debts", upload_id).await? {
        Segments::Own(segments) => {
            let select = select!("segment = any($1) and client_id = $2 and debt_id > $3 order by debt_id limit $4");
            // Planned each time, as in `by_id`: for its own segments alone.
            let query = sqlx::query_as(select).bind(segments).bind(client_id).bind(after).bind(limit);
            query.persistent(false).fetch_all(pool).await
        }
        // Rows are compared whole and in the order of the index, so no other index gives it: one that begins with the client
        // would seem as good, and has all of the client's.
        Segments::Shared(segment) => {
            let select = select!(
                "segment = $1 and (upload_id, debt_id) > ($2, $3) and upload_id <= $2
                 order by upload_id, debt_id limit $4"
            );
            sqlx::query_as(select).bind(segment).bind(upload_id).bind(after).bind(limit).fetch_all(pool).await
        }
    }
}
