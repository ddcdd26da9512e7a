//! Claims jobs, and renews, ends and reaps their leases.

use std::time::Duration;

use ::redis::{RedisResult, aio::ConnectionLike};
use rand::RngExt as _;

use super::{ACK, ALONE, BATCH_SIZE, Broker, CLAIM, REAP, RELEASE, RENEW, address, millis};
use crate::broker::{
    ClaimResult, FailedDeliveries, Lease, LeaseRelease, LostDelivery, REAP_BATCH_SIZE, ReapResult, Throttle,
};

impl Broker {
    /// Leases up to `count` jobs, the most urgent first, or the least urgent first. Keys of one priority take turns.
    pub(crate) async fn claim<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        count: usize,
        from_lowest: bool,
    ) -> RedisResult<ClaimResult> {
        let mut call = self.call(&CLAIM);
        call.arg(millis(lease)).arg(count.min(BATCH_SIZE)).arg(u8::from(from_lowest));
        let (throttle, stuck, rows): (i64, bool, ::redis::Value) = call.invoke_async(conn).await?;
        let throttle = match throttle {
            0 => Throttle::None,
            -1 => Throttle::Paused,
            millis if millis > 0 => Throttle::RateLimited(Duration::from_millis(millis.unsigned_abs())),
            _ => Throttle::AtLimit,
        };
        Ok(ClaimResult { leases: leases(rows)?, throttle, stuck })
    }

    /// Moves the deadlines of these leases; returns the ids of the jobs that another worker has.
    pub(crate) async fn renew<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        held: &[(String, u64)],
    ) -> RedisResult<Vec<String>> {
        let mut lost = Vec::new();
        for slice in held.chunks(BATCH_SIZE) {
            let mut call = self.call(&RENEW);
            call.arg(millis(lease));
            for (id, number) in slice {
                call.arg(id).arg(number);
            }
            lost.extend(call.invoke_async::<Vec<String>>(conn).await?);
        }
        Ok(lost)
    }

    /// Removes finished jobs whose lease the caller still has.
    pub(crate) async fn ack<C: ConnectionLike + Send>(&self, conn: &mut C, done: &[(String, u64)]) -> RedisResult<()> {
        for slice in done.chunks(BATCH_SIZE) {
            let mut call = self.call(&ACK);
            for (id, number) in slice {
                call.arg(id).arg(number);
            }
            call.invoke_async::<u64>(conn).await?;
        }
        Ok(())
    }

    /// Releases jobs whose lease the caller still has, at once or after a delay.
    pub(crate) async fn release<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        max_deliveries: u32,
        releases: &[LeaseRelease],
    ) -> RedisResult<()> {
        for slice in releases.chunks(BATCH_SIZE) {
            let mut call = self.call(&RELEASE);
            call.arg(millis(lease)).arg(max_deliveries);
            for LeaseRelease { id, number, delay, reason } in slice {
                call.arg(id).arg(number).arg(millis(*delay)).arg(*reason as u8);
            }
            call.invoke_async::<u64>(conn).await?;
        }
        Ok(())
    }

    /// Records that nothing runs beside this delivery. Returns false if another worker has the job by now.
    pub(crate) async fn alone<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        id: &str,
        number: u64,
    ) -> RedisResult<bool> {
        let mut call = self.call(&ALONE);
        call.arg(id).arg(number);
        call.invoke_async(conn).await
    }

    /// Puts a batch of the jobs whose lease or delay ran out back in line.
    pub(crate) async fn reap<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        max_deliveries: u32,
        lease: Duration,
    ) -> RedisResult<ReapResult> {
        let mut call = self.call(&REAP);
        // A worker that leaves a dead letter to others must not be the first one to reap it each time: hence the jitter.
        let dead_letter_lease = lease.mul_f64(rand::rng().random_range(1.0..2.0));
        call.arg(REAP_BATCH_SIZE).arg(max_deliveries).arg(millis(lease)).arg(millis(dead_letter_lease));
        let (requeued, dead, lost): (u64, ::redis::Value, Vec<(String, u64, bool)>) = call.invoke_async(conn).await?;
        let lost = lost.into_iter().map(|(id, number, alone)| LostDelivery { id, number, alone }).collect();
        Ok(ReapResult { requeued, dead: leases(dead)?, lost })
    }
}

fn leases(rows: ::redis::Value) -> RedisResult<Vec<Lease>> {
    let rows: Vec<(String, u64, String, Vec<u8>)> = ::redis::FromRedisValue::from_redis_value(rows)?;
    Ok(rows
        .into_iter()
        .map(|(id, before, failed, message)| {
            let (priority, key, payload) = address(&message);
            let failed_deliveries = FailedDeliveries::read(&failed);
            Lease { id, number: before + 1, payload: payload.to_vec(), priority, key, failed_deliveries }
        })
        .collect())
}
