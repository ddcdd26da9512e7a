//! One queue in Postgres: see [`crate::broker::BrokerQueue`].

mod claim;
mod leases;
mod push;

use std::{sync::Arc, time::Duration};

use sqlx::types::Uuid;

use self::push::Room;
use super::link::{Link, ask};
use crate::{
    JobId, Schema,
    broker::{Limits, Load},
};

/// One queue over one link. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PostgresQueue {
    schema: Schema,
    link: Link,
    process: Uuid,
    name: Arc<str>,
    /// What a wake-up of this queue says.
    wake_name: Arc<str>,
    room: Arc<Room>,
    turns: Arc<claim::Turns>,
}

impl PostgresQueue {
    pub(super) fn new(schema: Schema, link: Link, process: Uuid, name: &str) -> Self {
        let wake_name = format!("{}.{name}", schema.name()).into();
        let (room, turns) = (Arc::default(), Arc::default());
        Self { schema, link, process, name: name.into(), wake_name, room, turns }
    }

    pub(crate) fn wake_name(&self) -> &str {
        &self.wake_name
    }

    /// The payload of a job. It is empty when the broker does not know the job.
    pub(crate) async fn payload(&self, id: &str) -> Result<Vec<u8>, sqlx::Error> {
        let sql = self.schema.sql("select payload from gristmill.broker_jobs where id = $1::text::uuid and queue = $2");
        let payload: Option<Vec<u8>> =
            ask!(self.link, conn => sqlx::query_scalar(sql).bind(id).bind(&*self.name).fetch_optional(&mut *conn))?;
        Ok(payload.unwrap_or_default())
    }

    pub(crate) async fn known(&self, ids: &[JobId]) -> Result<Vec<bool>, sqlx::Error> {
        let sql = self.schema.sql(
            "select known.yes is not null from unnest($2::uuid[]) with ordinality as i (id, nth)
             left join lateral (
                select true as yes from gristmill.broker_jobs b where b.id = i.id and b.queue = $1 limit 1) known on true
             order by nth",
        );
        ask!(self.link, conn => sqlx::query_scalar(sql).bind(&*self.name).bind(ids).fetch_all(&mut *conn))
    }

    pub(crate) async fn are_leased(&self, lease: Duration, ids: &[JobId]) -> Result<Vec<bool>, sqlx::Error> {
        let sql = self.schema.sql(
            "select leased.yes is not null from unnest($2::uuid[]) with ordinality as i (id, nth)
             cross join (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
             left join gristmill.broker_clocks c on c.queue = $1
             left join lateral (
                select true as yes from gristmill.broker_jobs b where b.id = i.id and b.queue = $1 and b.place = 1
                  and b.ends > coalesce(c.counted + least(greatest(t.shows - c.showed, 0), $3 / 3), t.shows)
                limit 1) leased on true
             order by nth",
        );
        ask!(self.link, conn => sqlx::query_scalar(sql)
            .bind(&*self.name)
            .bind(ids)
            .bind(millis(lease))
            .fetch_all(&mut *conn))
    }

    pub(crate) async fn leased(&self, limit: usize) -> Result<Vec<String>, sqlx::Error> {
        let sql = self
            .schema
            .sql("select id::text from gristmill.broker_jobs where queue = $1 and place = 1 order by ends limit $2");
        ask!(self.link, conn => sqlx::query_scalar(sql).bind(&*self.name).bind(count(limit)).fetch_all(&mut *conn))
    }

    pub(crate) async fn withdraw(&self, _: Duration, _: (u8, &str), id: JobId) -> Result<bool, sqlx::Error> {
        // One that is being claimed at this moment is not deleted.
        let sql = self.schema.sql(
            "with gone as (
                delete from gristmill.broker_jobs b where b.id = $1 and b.queue = $2 and b.place <> 1 returning 1
             )
             select exists (select from gone)
                 or not exists (select from gristmill.broker_jobs b where b.id = $1 and b.queue = $2)",
        );
        ask!(self.link, conn => sqlx::query_scalar(sql).bind(id).bind(&*self.name).fetch_one(&mut *conn))
    }

    pub(crate) async fn set_limits(&self, version: i64, paused: bool, limits: &Limits) -> Result<bool, sqlx::Error> {
        let number = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
        if !paused && *limits == Limits::default() {
            let sql = self.schema.sql(
                "with gone as (delete from gristmill.broker_limits where queue = $1 and version <= $2 returning 1)
                 select count(pg_notify('gristmill_broker', $3)) from gone",
            );
            let gone: i64 = ask!(self.link, conn => sqlx::query_scalar(sql)
                .bind(&*self.name)
                .bind(version)
                .bind(&*self.wake_name)
                .fetch_one(&mut *conn))?;
            return Ok(gone > 0);
        }
        let sql = self.schema.sql(
            "with changed as (
                insert into gristmill.broker_limits as l
                    (queue, version, paused, concurrency, rate_per_second, burst, key_concurrency)
                values ($1, $2, $3, $4, $5, $6, $7)
                on conflict (queue) do update set
                    version = excluded.version, paused = excluded.paused, concurrency = excluded.concurrency,
                    rate_per_second = excluded.rate_per_second, burst = excluded.burst,
                    key_concurrency = excluded.key_concurrency
                where l.version <= excluded.version
                  and (l.paused, l.concurrency, l.rate_per_second, l.burst, l.key_concurrency) is distinct from
                      (excluded.paused, excluded.concurrency, excluded.rate_per_second, excluded.burst,
                       excluded.key_concurrency)
                returning 1
             )
             select count(pg_notify('gristmill_broker', $8)) from changed",
        );
        let changed: i64 = ask!(self.link, conn => sqlx::query_scalar(sql)
            .bind(&*self.name)
            .bind(version)
            .bind(paused)
            .bind(number(limits.concurrency))
            .bind(limits.rate_per_second)
            .bind(limits.bucket_size())
            .bind(number(limits.key_concurrency))
            .bind(&*self.wake_name)
            .fetch_one(&mut *conn))?;
        Ok(changed > 0)
    }

    pub(crate) async fn depth(&self) -> Result<(u64, u64), sqlx::Error> {
        let sql = self.schema.sql(
            "select (select count(*) from gristmill.broker_jobs b where b.queue = $1 and b.place = 0)
                  + (select count(*) from gristmill.broker_jobs b where b.queue = $1 and b.place in (2, 3)),
                    (select count(*) from gristmill.broker_jobs b where b.queue = $1 and b.place = 1)",
        );
        let (waiting, running): (i64, i64) =
            ask!(self.link, conn => sqlx::query_as(sql).bind(&*self.name).fetch_one(&mut *conn))?;
        Ok((waiting.unsigned_abs(), running.unsigned_abs()))
    }

    pub(crate) async fn load(&self) -> Result<Load, sqlx::Error> {
        let (waiting, running) = self.depth().await?;
        // Slots of ten seconds, by number; the first of them tells since when jobs have ended.
        let sql = self.schema.sql(
            "select coalesce(sum(a.jobs) / greatest(1, t.now - 10 * min(a.slot)), 0)::float8
             from (select extract(epoch from pg_catalog.clock_timestamp())::float8 as now) t
             left join gristmill.broker_acknowledged a
                    on a.queue = $1 and a.slot * 10 + 70 > t.now and a.slot * 10 <= t.now
             group by t.now",
        );
        let acked_per_second =
            ask!(self.link, conn => sqlx::query_scalar(sql).bind(&*self.name).fetch_one(&mut *conn))?;
        Ok(Load { waiting, running, acked_per_second })
    }
}

/// For Postgres.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
