//! What is in Postgres of one application: see [`crate::broker::Broker`].

use std::time::Duration;

use uuid::Uuid;

use super::{
    PostgresQueue,
    link::{Link, ask},
    queue::millis,
};
use crate::{
    JobId, Progress, Schema,
    broker::{Entry, Heartbeat, HeartbeatReply, KnownJob, WORKER_TTL, WorkerQueueView, WorkerView, json},
    redis::BrokerMemory,
};

/// The broker's tables of a schema, over one link.
#[derive(Clone)]
pub(crate) struct PostgresTables {
    schema: Schema,
    link: Link,
    /// Of the process.
    process: Uuid,
}

/// A job that says nothing new is still heard of for so long.
const PROGRESS_SECONDS: i64 = 600;

#[derive(sqlx::FromRow)]
struct WorkerRow {
    id: Uuid,
    heard: i64,
    heartbeat: String,
    known_jobs: Option<String>,
    queues: Vec<String>,
}

impl PostgresTables {
    pub(super) fn new(schema: Schema, link: Link, process: Uuid) -> Self {
        Self { schema, link, process }
    }

    pub(crate) fn queue(&self, name: &str) -> PostgresQueue {
        PostgresQueue::new(self.schema, self.link.clone(), self.process, name)
    }

    pub(crate) async fn workers(&self) -> Result<Vec<WorkerView>, sqlx::Error> {
        let sql = self.schema.sql(
            "select w.id, w.heard, w.heartbeat, w.known_jobs,
                    array(select q.view from gristmill.broker_worker_queues q where q.worker_id = w.id) as queues
             from gristmill.broker_workers w
             where w.heard > extract(epoch from pg_catalog.clock_timestamp())::bigint - $1",
        );
        let rows: Vec<WorkerRow> = ask!(self.link, conn => sqlx::query_as(sql).bind(seconds()).fetch_all(&mut *conn))?;
        let view = |row: &WorkerRow| {
            let queues = row.queues.iter().map(String::as_str).collect();
            let (heartbeat, known_jobs) = (row.heartbeat.as_str(), row.known_jobs.as_deref());
            Entry { id: row.id, heard: row.heard.unsigned_abs(), heartbeat, queues, known_jobs }.view()
        };
        let mut workers: Vec<_> = rows.iter().filter_map(view).collect();
        workers.sort_by(|a, b| (&a.label, a.id).cmp(&(&b.label, b.id)));
        Ok(workers)
    }

    pub(crate) async fn knows_worker(&self, id: Uuid) -> Result<bool, sqlx::Error> {
        let sql = self.schema.sql(
            "select exists (select from gristmill.broker_workers w where w.id = $1
                            and w.heard > extract(epoch from pg_catalog.clock_timestamp())::bigint - $2)",
        );
        ask!(self.link, conn => sqlx::query_scalar(sql).bind(id).bind(seconds()).fetch_one(&mut *conn))
    }

    pub(crate) async fn drain_worker(&self, id: Uuid) -> Result<bool, sqlx::Error> {
        let sql = self.schema.sql("update gristmill.broker_workers set drain = true where id = $1");
        let done = ask!(self.link, conn => sqlx::query(sql).bind(id).execute(&mut *conn))?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn heartbeat(
        &self,
        worker: Uuid,
        heartbeat: &Heartbeat,
        (entry, view): (Uuid, &WorkerQueueView),
        known_jobs: Option<&[KnownJob]>,
    ) -> Result<HeartbeatReply, sqlx::Error> {
        let sql = self.schema.sql(include_str!("sql/heartbeat.sql"));
        let (heartbeat, view) = (json(heartbeat), json(view));
        let known_jobs = known_jobs.map(|jobs| json(&jobs));
        let (drain, has_known_jobs) = ask!(self.link, conn => sqlx::query_as(sql)
            .bind(worker)
            .bind(&heartbeat)
            .bind(entry)
            .bind(&view)
            .bind(&known_jobs)
            .bind(seconds())
            .fetch_one(&mut *conn))?;
        Ok(HeartbeatReply { drain, has_known_jobs })
    }

    pub(crate) async fn deregister(&self, worker: Uuid, entry: Uuid) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql(
            "with gone as (
                delete from gristmill.broker_worker_queues where worker_id = $1 and entry = $2
             )
             delete from gristmill.broker_workers where id = $1 and not exists (
                select from gristmill.broker_worker_queues q where q.worker_id = $1 and q.entry <> $2)",
        );
        ask!(self.link, conn => sqlx::query(sql).bind(worker).bind(entry).execute(&mut *conn)).map(drop)
    }

    pub(crate) async fn has_epoch(&self) -> Result<bool, sqlx::Error> {
        let sql = self.schema.sql("select exists (select from gristmill.broker_epoch)");
        ask!(self.link, conn => sqlx::query_scalar(sql).fetch_one(&mut *conn))
    }

    pub(crate) async fn begin_epoch(&self) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql("insert into gristmill.broker_epoch default values on conflict do nothing");
        ask!(self.link, conn => sqlx::query(sql).execute(&mut *conn)).map(drop)
    }

    pub(crate) async fn progress(&self, id: JobId) -> Result<Option<Progress>, sqlx::Error> {
        let sql = self.schema.sql(
            "select done, total from gristmill.broker_progress
             where job_id = $1 and said > extract(epoch from pg_catalog.clock_timestamp())::bigint - $2",
        );
        let said: Option<(i64, i64)> =
            ask!(self.link, conn => sqlx::query_as(sql).bind(id).bind(PROGRESS_SECONDS).fetch_optional(&mut *conn))?;
        Ok(said.map(|(done, total)| Progress { done: done.cast_unsigned(), total: total.cast_unsigned() }))
    }

    pub(crate) async fn publish_progress(&self, said: &[(JobId, Progress)]) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql(
            "insert into gristmill.broker_progress (job_id, done, total, said)
             select i.*, extract(epoch from pg_catalog.clock_timestamp())::bigint
             from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as i (id, done, total) order by id
             on conflict (job_id) do update set done = excluded.done, total = excluded.total, said = excluded.said",
        );
        let column =
            |value: fn(&Progress) -> u64| said.iter().map(|(_, said)| value(said).cast_signed()).collect::<Vec<_>>();
        let ids: Vec<JobId> = said.iter().map(|(id, _)| *id).collect();
        let (done, total) = (column(|said| said.done), column(|said| said.total));
        ask!(self.link, conn => sqlx::query(sql).bind(&ids).bind(&done).bind(&total).execute(&mut *conn)).map(drop)
    }

    /// Removes a page of what is not to be done (any more, or yet) from behind `last`, and returns the ids and where to go on.
    pub(crate) async fn forget_ended(
        &self,
        last: &(Uuid, String),
        limit: i64,
        lease: Duration,
    ) -> Result<(Vec<JobId>, Option<(Uuid, String)>), sqlx::Error> {
        let sql = self.schema.sql(include_str!("sql/forget_ended.sql"));
        let (id, queue, seen, gone): (Option<Uuid>, Option<String>, i64, Vec<JobId>) = ask!(self.link, conn => sqlx::query_as(sql)
                .bind(last.0)
                .bind(&last.1)
                .bind(limit)
                .bind(millis(lease))
                .fetch_one(&mut *conn))?;
        Ok((gone, id.zip(queue).filter(|_| seen == limit)))
    }

    /// What its tables take, on the disk that the ledger has too: there is no limit of its own.
    pub(crate) async fn memory(&self) -> Result<BrokerMemory, sqlx::Error> {
        let sql = self.schema.sql(
            "select sum(pg_catalog.pg_total_relation_size(c.oid))::bigint
             from pg_catalog.pg_class c where c.relkind = 'r' and c.relname like 'broker\\_%'
              and c.relnamespace = (select relnamespace from pg_catalog.pg_class
                                    where oid = 'gristmill.broker_jobs'::regclass)",
        );
        let bytes: i64 = ask!(self.link, conn => sqlx::query_scalar(sql).fetch_one(&mut *conn))?;
        Ok(BrokerMemory { used: bytes.unsigned_abs(), limit: None })
    }

    /// Lets the time of all queues go on, of those without a worker, too: see `clock.sql`.
    pub(crate) async fn tick(&self, lease: Duration) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql(
            "update gristmill.broker_clocks c set
                counted = c.counted + least(greatest(t.shows - c.showed, 0), $1 / 3), showed = t.shows
             from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
             where t.shows - c.showed not between 0 and 999",
        );
        ask!(self.link, conn => sqlx::query(sql).bind(millis(lease)).execute(&mut *conn)).map(drop)
    }

    /// Removes what nobody asks for any more: progress that was said long ago, counts of acknowledgements.
    pub(crate) async fn forget_old(&self) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql(
            "with old as (
                delete from gristmill.broker_progress
                where said <= extract(epoch from pg_catalog.clock_timestamp())::bigint - $1
             )
             delete from gristmill.broker_acknowledged
             where slot < extract(epoch from pg_catalog.clock_timestamp()) / 10 - 8",
        );
        ask!(self.link, conn => sqlx::query(sql).bind(PROGRESS_SECONDS).execute(&mut *conn)).map(drop)
    }
}

fn seconds() -> i64 {
    WORKER_TTL.as_secs().cast_signed()
}
