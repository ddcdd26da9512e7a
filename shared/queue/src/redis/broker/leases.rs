//! Claims jobs, and renews, ends and reaps their leases.

use std::time::Duration;

use ::redis::{RedisResult, aio::ConnectionLike};
use rand::RngExt as _;

use super::{
    ACK, ALONE, BATCH_SIZE, Broker, CLAIM, FailedDeliveries, LostDelivery, REAP, RELEASE, RENEW, address, millis,
};

/// Jobs that one call reaps at most.
pub(in crate::redis) const REAP_BATCH_SIZE: u64 = 100;

/// A job that a worker has until a deadline. `number` is the delivery's: it fences every later call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: String,
    /// The number of the delivery, from 1.
    pub number: u64,
    /// Its payload.
    pub payload: Vec<u8>,
    /// 0 is the most urgent.
    pub priority: u8,
    /// The key by which it took its turn; may be empty.
    pub key: String,
    /// Its deliveries that ended without success, as far as the broker counts them.
    pub failed_deliveries: FailedDeliveries,
}

/// The result of reaping.
pub(in crate::redis) struct ReapResult {
    /// How many jobs are back in line.
    pub(in crate::redis) requeued: u64,
    /// Jobs that have used up their deliveries, leased to the caller until they are stored as dead letters.
    pub(in crate::redis) dead: Vec<Lease>,
    pub(in crate::redis) lost: Vec<LostDelivery>,
}

/// A job to be released.
#[derive(Debug, Clone)]
pub(in crate::redis) struct LeaseRelease {
    pub(in crate::redis) id: String,
    pub(in crate::redis) number: u64,
    /// How long until it is back in line.
    pub(in crate::redis) delay: Duration,
    pub(in crate::redis) reason: ReleaseReason,
}

/// Why a job is released. The numbers are those of `release.lua`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum ReleaseReason {
    Wait = 0,
    Failure = 1,
    /// This worker cannot read the job, others can.
    Unreadable = 2,
}

/// The answer to a claim.
#[derive(Debug)]
pub(in crate::redis) struct ClaimResult {
    pub(in crate::redis) leases: Vec<Lease>,
    pub(in crate::redis) throttle: Throttle,
    /// Jobs wait, and the broker found no reason why none was leased.
    pub(in crate::redis) stuck: bool,
}

/// Why the broker leases no more jobs at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Throttle {
    None,
    Paused,
    /// The concurrency limit is reached.
    AtLimit,
    /// The rate limit is reached; the next job may start after this long.
    RateLimited(Duration),
}

impl Broker {
    /// Leases up to `count` jobs, the most urgent first, or the least urgent first. Keys of one priority take turns.
    pub(in crate::redis) async fn claim<C: ConnectionLike + Send>(
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
    pub(in crate::redis) async fn renew<C: ConnectionLike + Send>(
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
    pub(in crate::redis) async fn ack<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        done: &[(String, u64)],
    ) -> RedisResult<()> {
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
    pub(in crate::redis) async fn release<C: ConnectionLike + Send>(
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
    pub(in crate::redis) async fn alone<C: ConnectionLike + Send>(
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
    pub(in crate::redis) async fn reap<C: ConnectionLike + Send>(
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
