//! Renews, ends and reaps leases.

use std::time::Duration;

use rand::RngExt as _;
use uuid::Uuid;

use super::{super::link::ask, PostgresQueue, millis};
use crate::broker::{FailedDeliveries, Lease, LeaseRelease, LostDelivery, REAP_BATCH_SIZE, ReapResult};

/// A row of `reap.sql`.
#[derive(sqlx::FromRow)]
struct Reaped {
    id: Uuid,
    priority: i16,
    fair_key: String,
    number: i64,
    lost: bool,
    was_alone: bool,
    dead: bool,
    failed: String,
    payload: Option<Vec<u8>>,
}

impl PostgresQueue {
    pub(crate) async fn renew(&self, lease: Duration, held: &[(String, u64)]) -> Result<Vec<String>, sqlx::Error> {
        let sql = self.schema.sql(include_str!("../sql/renew.sql"));
        let (ids, numbers) = columns(held);
        ask!(self.link, conn => sqlx::query_scalar(sql)
            .bind(&*self.name)
            .bind(millis(lease))
            .bind(&ids)
            .bind(&numbers)
            .fetch_all(&mut *conn))
    }

    pub(crate) async fn ack(&self, done: &[(String, u64)]) -> Result<(), sqlx::Error> {
        if done.is_empty() {
            return Ok(());
        }
        let sql = self.schema.sql(include_str!("../sql/ack.sql"));
        let (ids, numbers) = columns(done);
        ask!(self.link, conn => sqlx::query(sql)
            .bind(&*self.name)
            .bind(&ids)
            .bind(&numbers)
            .bind(self.process)
            .bind(&*self.wake_name)
            .execute(&mut *conn))
        .map(drop)
    }

    pub(crate) async fn release(&self, lease: Duration, _: u32, releases: &[LeaseRelease]) -> Result<(), sqlx::Error> {
        if releases.is_empty() {
            return Ok(());
        }
        let sql = self.schema.sql(include_str!("../sql/release.sql"));
        let ours = || releases.iter().filter_map(|release| Some((release.id.parse::<Uuid>().ok()?, release)));
        let ids: Vec<Uuid> = ours().map(|(id, _)| id).collect();
        let numbers: Vec<i64> = ours().map(|(_, release)| release.number.cast_signed()).collect();
        let delays: Vec<i64> = ours().map(|(_, release)| millis(release.delay)).collect();
        let reasons: Vec<i16> = ours().map(|(_, release)| release.reason as i16).collect();
        ask!(self.link, conn => sqlx::query(sql)
            .bind(&*self.name)
            .bind(millis(lease))
            .bind(&ids)
            .bind(&numbers)
            .bind(&delays)
            .bind(&reasons)
            .bind(&*self.wake_name)
            .execute(&mut *conn))
        .map(drop)
    }

    pub(crate) async fn alone(&self, id: &str, number: u64) -> Result<bool, sqlx::Error> {
        let sql = self.schema.sql(
            "update gristmill.broker_jobs set alone = $3
             where id = $1::text::uuid and queue = $2 and place = 1 and deliveries + 1 = $3",
        );
        let done = ask!(self.link, conn => sqlx::query(sql)
            .bind(id)
            .bind(&*self.name)
            .bind(number.cast_signed())
            .execute(&mut *conn))?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn reap(&self, max_deliveries: u32, lease: Duration) -> Result<ReapResult, sqlx::Error> {
        let clock = self.schema.sql(include_str!("../sql/clock.sql"));
        ask!(self.link, conn => sqlx::query(clock).bind(&*self.name).bind(millis(lease)).execute(&mut *conn))?;
        let sql = self.schema.sql(include_str!("../sql/reap.sql"));
        // A worker that leaves a dead letter to others must not be the first one to reap it each time: hence the jitter.
        let dead_letter_lease = lease.mul_f64(rand::rng().random_range(1.0..2.0));
        let rows: Vec<Reaped> = ask!(self.link, conn => sqlx::query_as(sql)
            .bind(&*self.name)
            .bind(millis(lease))
            .bind(REAP_BATCH_SIZE.cast_signed())
            .bind(i64::from(max_deliveries))
            .bind(millis(dead_letter_lease))
            .bind(&*self.wake_name)
            .fetch_all(&mut *conn))?;
        let lost = rows.iter().filter(|row| row.lost).map(Reaped::lost).collect();
        let requeued = rows.iter().filter(|row| !row.dead).count() as u64;
        Ok(ReapResult { requeued, dead: rows.into_iter().filter_map(Reaped::dead).collect(), lost })
    }
}

impl Reaped {
    fn lost(&self) -> LostDelivery {
        LostDelivery { id: self.id.to_string(), number: self.number.unsigned_abs(), alone: self.was_alone }
    }

    /// The lease of a job that has used up its deliveries.
    fn dead(self) -> Option<Lease> {
        Some(Lease {
            id: self.id.to_string(),
            number: self.number.unsigned_abs() + 1,
            payload: self.payload.filter(|_| self.dead)?,
            priority: u8::try_from(self.priority).unwrap_or(9),
            key: self.fair_key,
            failed_deliveries: FailedDeliveries::read(&self.failed),
        })
    }
}

/// Ids and numbers, each in a column of its own.
fn columns(deliveries: &[(String, u64)]) -> (Vec<Uuid>, Vec<i64>) {
    deliveries.iter().filter_map(|(id, number)| Some((id.parse::<Uuid>().ok()?, number.cast_signed()))).unzip()
}
