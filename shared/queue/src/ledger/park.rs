//! Jobs that the worker which met them could not read: another one may.

use sqlx::PgConnection;

use crate::{Schema, broker::KnownJob, envelope::JobRow};

/// Who can read which jobs.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// See [`crate::run::known::reader`].
    pub(crate) id: &'a str,
    pub(crate) jobs: &'a [KnownJob],
    /// Of payloads that are encrypted.
    pub(crate) keys: &'a [String],
}

/// Makes a slice of those available that another reader has parked and that this one knows, of its versions or older, with a key
/// that it has; of those with one unique key the oldest. `patient`: each only so long after it was parked, twice as long every time, so that versions
/// which run side by side do not park a job for each other all day.
pub(crate) async fn unpark(
    schema: Schema,
    conn: &mut PgConnection,
    reader: Reader<'_>,
    queues: &[String],
    limit: i64,
    patient: bool,
) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(schema.sql("with known as (select * from unnest($3::text[], $6::int[]) as k (name, version)),
         readable as (
            select id from gristmill.jobs j
            where state = 'parked' and parked_by <> $1 and queue = any($2) and queue <> ''
              and exists (select from known k where k.name = j.name and k.version >= j.version)
              and (j.payload->'$encrypted'->>'key' is null or j.payload->'$encrypted'->>'key' = any($7))
              and not exists (select from gristmill.jobs o where o.unique_key = j.unique_key and o.state in ('available', 'scheduled'))
              and not exists (select from gristmill.jobs o where o.unique_key = j.unique_key and o.id < j.id and o.state = 'parked'
                              and o.parked_by <> $1 and o.queue = any($2)
                              and exists (select from known k where k.name = o.name and k.version >= o.version)
                              and (o.payload->'$encrypted'->>'key' is null or o.payload->'$encrypted'->>'key' = any($7)))
              and (not $5 or not exists (
                select from gristmill.job_attempts a where a.job_id = j.id and a.outcome = 'parked'
                having max(a.ended_at) + least(power(2, count(*)), 1024) * interval '10 seconds' > now()))
            order by id limit $4 for update of j skip locked
         )
         update gristmill.jobs j set state = 'available', parked_by = null, gate = null, run_at = now() from readable where j.id = readable.id
         returning j.id, j.name, j.queue, j.priority, j.payload::text, j.version, j.client_id, j.trace_parent, j.fair_key,
                   (extract(epoch from j.run_at) * 1000)::bigint as due"))
    .bind(reader.id)
    .bind(queues)
    .bind(reader.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>())
    .bind(limit)
    .bind(patient)
    .bind(reader.jobs.iter().map(|job| i32::from(job.version)).collect::<Vec<_>>())
    .bind(reader.keys)
    .fetch_all(conn)
    .await
}
