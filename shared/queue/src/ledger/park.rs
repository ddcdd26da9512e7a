//! Jobs that the worker which met them could not read: another one may.

use sqlx::PgConnection;

use crate::{envelope::JobRow, redis::KnownJob};

/// Makes a slice of those available that another `reader` has parked and that are among these jobs, of these versions or
/// older; of those with one unique key the oldest. `patient`: each only so long after it was parked, twice as long every time, so that versions
/// which run side by side do not park a job for each other all day.
pub(crate) async fn unpark(
    conn: &mut PgConnection,
    reader: &str,
    queues: &[String],
    jobs: &[KnownJob],
    limit: i64,
    patient: bool,
) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(
        "with known as (select * from unnest($3::text[], $6::int[]) as k (name, version)),
         readable as (
            select id from jobs j
            where state = 'parked' and parked_by <> $1 and queue = any($2) and queue <> ''
              and exists (select from known k where k.name = j.name and k.version >= j.version)
              and not exists (select from jobs o where o.unique_key = j.unique_key and o.state in ('available', 'scheduled'))
              and not exists (select from jobs o where o.unique_key = j.unique_key and o.id < j.id and o.state = 'parked'
                              and o.parked_by <> $1 and o.queue = any($2)
                              and exists (select from known k where k.name = o.name and k.version >= o.version))
              and (not $5 or not exists (
                select from job_attempts a where a.job_id = j.id and a.outcome = 'parked'
                having max(a.ended_at) + least(power(2, count(*)), 1024) * interval '10 seconds' > now()))
            order by id limit $4 for update of j skip locked
         )
         update jobs j set state = 'available', parked_by = null, run_at = now() from readable where j.id = readable.id
         returning j.id, j.name, j.queue, j.priority, j.payload::text, j.version, j.client_id, j.trace_parent, j.fair_key,
                   (extract(epoch from j.run_at) * 1000)::bigint as due",
    )
    .bind(reader)
    .bind(queues)
    .bind(jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>())
    .bind(limit)
    .bind(patient)
    .bind(jobs.iter().map(|job| i32::from(job.version)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}
