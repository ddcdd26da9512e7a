//! Jobs that the binary which met them could not read: another version may.

use sqlx::PgConnection;

use crate::envelope::JobRow;

/// Makes a slice of those available that another version has parked and that this one has a body for.
pub(crate) async fn unpark(
    conn: &mut PgConnection,
    version: &str,
    queues: &[String],
    names: &[&str],
    limit: i64,
) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(
        "with readable as (
            select id from jobs j
            where state = 'parked' and parked_by <> $1 and queue = any($2) and name = any($3)
              and not exists (select from jobs o where o.unique_key = j.unique_key and o.state in ('available', 'scheduled'))
            order by id limit $4 for update of j skip locked
         )
         update jobs j set state = 'available', parked_by = null, run_at = now() from readable where j.id = readable.id
         returning j.id, j.name, j.queue, j.priority, j.payload::text, j.version, j.client_id, j.trace_parent, j.fair_key,
                   (extract(epoch from j.run_at) * 1000)::bigint as due",
    )
    .bind(version)
    .bind(queues)
    .bind(names)
    .bind(limit)
    .fetch_all(conn)
    .await
}
