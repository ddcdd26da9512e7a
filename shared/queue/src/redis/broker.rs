//! Keys and scripts of one queue. Every key carries the queue's hash tag and every script names its keys.

use std::{sync::LazyLock, time::Duration};

use ::redis::{RedisResult, Script, aio::ConnectionLike};

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file))));
    };
}
script!(PUSH, "push.lua");
script!(CLAIM, "claim.lua");
script!(RENEW, "renew.lua");
script!(ACK, "ack.lua");
script!(RELEASE, "release.lua");
script!(REAP, "reap.lua");

/// Ids in one call: Lua unpacks them, so there is a bound.
const SLICE: usize = 500;
/// A worker that has not been heard of for this long is gone.
const HEARD: Duration = Duration::from_secs(30);

/// One queue in Redis.
#[derive(Debug, Clone)]
pub struct Broker {
    tag: String,
    messages: String,
    leases: String,
    claims: String,
    strikes: String,
    wake: String,
    workers: String,
    ready: [String; 10],
}

/// A job that this process holds until its deadline. `number` is the delivery: it fences every later call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: String,
    /// 1 for the first delivery.
    pub number: u64,
    /// Its payload.
    pub payload: Vec<u8>,
    /// 0 is the most urgent.
    pub priority: u8,
}

/// A worker seen in the last half minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Random, by process and queue.
    pub id: String,
    /// For people.
    pub label: String,
    /// When it was last heard of, in seconds since 1970 by Redis' clock.
    pub heard: u64,
}

impl Broker {
    /// The queue `queue` in this namespace.
    #[must_use]
    pub fn new(namespace: &str, queue: &str) -> Self {
        let tag = format!("{{{namespace}:{queue}}}");
        let key = |name: &str| format!("{tag}:{name}");
        Self {
            messages: key("jobs"),
            leases: key("leases"),
            claims: key("claims"),
            strikes: key("strikes"),
            wake: key("wake"),
            workers: key("workers"),
            ready: std::array::from_fn(|priority| key(&format!("ready:{priority}"))),
            tag,
        }
    }

    /// The list a waiting worker blocks on.
    pub(super) fn wake_key(&self) -> &str {
        &self.wake
    }

    /// Where [`super::ListGraveyard`] keeps what it buries.
    pub(super) fn graveyard_key(&self) -> String {
        format!("{}:buried", self.tag)
    }

    /// Puts jobs (id, payload) in their line; an id that is known already is left alone. Returns how many were new.
    ///
    /// # Errors
    /// When Redis does; the call may be repeated.
    pub async fn push<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[(&str, &[u8])],
    ) -> RedisResult<u64> {
        let priority = priority.min(9);
        let mut fresh = 0;
        for slice in jobs.chunks(SLICE) {
            let mut call = PUSH.key(&self.messages);
            call.key(&self.ready[usize::from(priority)]).key(&self.wake);
            for (id, payload) in slice {
                let mut message = Vec::with_capacity(payload.len() + 1);
                message.push(b'0' + priority);
                message.extend_from_slice(payload);
                call.arg(*id).arg(message);
            }
            fresh += call.invoke_async::<u64>(conn).await?;
        }
        Ok(fresh)
    }

    /// Takes up to `count` jobs, the most urgent first, or the least urgent first.
    pub(super) async fn claim<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        count: usize,
        from_lowest: bool,
    ) -> RedisResult<Vec<Lease>> {
        let mut call = CLAIM.key(&self.messages);
        call.key(&self.leases).key(&self.claims).key(&self.wake);
        self.ready.iter().for_each(|ready| {
            call.key(ready);
        });
        call.arg(millis(lease)).arg(count.min(SLICE)).arg(u8::from(from_lowest));
        Ok(leases(call.invoke_async(conn).await?))
    }

    /// Pushes the deadlines out; returns the ids that were lost to somebody else.
    pub(super) async fn renew<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        held: &[(String, u64)],
    ) -> RedisResult<Vec<String>> {
        let mut lost = Vec::new();
        for slice in held.chunks(SLICE) {
            let mut call = RENEW.key(&self.leases);
            call.key(&self.claims).key(&self.messages).arg(millis(lease));
            for (id, number) in slice {
                call.arg(id).arg(number);
            }
            lost.extend(call.invoke_async::<Vec<String>>(conn).await?);
        }
        Ok(lost)
    }

    /// Removes finished jobs, where the caller is still their owner.
    pub(super) async fn ack<C: ConnectionLike + Send>(&self, conn: &mut C, done: &[(String, u64)]) -> RedisResult<()> {
        for slice in done.chunks(SLICE) {
            let mut call = ACK.key(&self.messages);
            call.key(&self.leases).key(&self.claims).key(&self.strikes);
            for (id, number) in slice {
                call.arg(id).arg(number);
            }
            call.invoke_async::<u64>(conn).await?;
        }
        Ok(())
    }

    /// Gives jobs back, at once or after a delay, where the caller is still their owner.
    pub(super) async fn release<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        back: &[(String, u64, Duration)],
    ) -> RedisResult<()> {
        for slice in back.chunks(SLICE) {
            let mut call = RELEASE.key(&self.messages);
            call.key(&self.leases).key(&self.claims).key(&self.wake);
            self.ready.iter().for_each(|ready| {
                call.key(ready);
            });
            for (id, number, delay) in slice {
                call.arg(id).arg(number).arg(millis(*delay));
            }
            call.invoke_async::<u64>(conn).await?;
        }
        Ok(())
    }

    /// Puts one slice of the jobs whose lease ran out back in line. Returns how many there were, and those
    /// that have used up their deliveries, leased to the caller.
    pub(super) async fn reap<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        max_deliveries: u32,
        lease: Duration,
    ) -> RedisResult<(u64, Vec<Lease>)> {
        let mut call = REAP.key(&self.messages);
        call.key(&self.leases).key(&self.claims).key(&self.wake);
        self.ready.iter().for_each(|ready| {
            call.key(ready);
        });
        call.key(&self.strikes).arg(100).arg(max_deliveries).arg(millis(lease));
        let (back, worn_out): (u64, Vec<::redis::Value>) = call.invoke_async(conn).await?;
        let worn_out = ::redis::FromRedisValue::from_redis_value(::redis::Value::Array(worn_out))?;
        Ok((back, leases(worn_out)))
    }

    /// Which of these ids the broker knows, waiting or running.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn known<C: ConnectionLike + Send>(&self, conn: &mut C, ids: &[String]) -> RedisResult<Vec<bool>> {
        let mut known = Vec::with_capacity(ids.len());
        for slice in ids.chunks(SLICE) {
            let mut pipe = ::redis::pipe();
            for id in slice {
                pipe.hexists(&self.messages, id);
            }
            known.extend(pipe.query_async::<Vec<bool>>(conn).await?);
        }
        Ok(known)
    }

    /// Which of these jobs are leased.
    pub(crate) async fn are_leased<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        ids: &[uuid::Uuid],
    ) -> RedisResult<Vec<bool>> {
        let mut leased = Vec::with_capacity(ids.len());
        for slice in ids.chunks(SLICE) {
            let mut call = ::redis::cmd("ZMSCORE");
            call.arg(&self.leases);
            for id in slice {
                call.arg(id.to_string());
            }
            let scores: Vec<Option<f64>> = call.query_async(conn).await?;
            leased.extend(scores.iter().map(Option::is_some));
        }
        Ok(leased)
    }

    /// A slice of the ids that are leased, longest held first.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn leased<C: ConnectionLike + Send>(&self, conn: &mut C, limit: usize) -> RedisResult<Vec<String>> {
        ::redis::cmd("ZRANGE").arg(&self.leases).arg(0).arg(limit.saturating_sub(1)).query_async(conn).await
    }

    /// Jobs waiting, and jobs running.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn depth<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<(u64, u64)> {
        let mut pipe = ::redis::pipe();
        for ready in &self.ready {
            pipe.llen(ready);
        }
        pipe.zcard(&self.leases);
        let counts: Vec<u64> = pipe.query_async(conn).await?;
        Ok((counts[..10].iter().sum(), counts[10]))
    }

    /// Workers heard of lately.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn workers<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<Vec<Worker>> {
        let seen: Vec<(String, u64)> =
            ::redis::cmd("ZRANGE").arg(&self.workers).arg(0).arg(-1).arg("WITHSCORES").query_async(conn).await?;
        Ok(seen
            .into_iter()
            .map(|(member, heard)| {
                let (id, label) = member.split_once(' ').unwrap_or((&member, ""));
                Worker { id: id.into(), label: label.into(), heard }
            })
            .collect())
    }

    /// Says that this worker lives. The list forgets who is silent, and itself when all are.
    pub(super) async fn heartbeat<C: ConnectionLike + Send>(&self, conn: &mut C, member: &str) -> RedisResult<()> {
        let (now, _): (u64, u64) = ::redis::cmd("TIME").query_async(conn).await?;
        ::redis::pipe()
            .zadd(&self.workers, member, now)
            .ignore()
            .zrembyscore(&self.workers, "-inf", now.saturating_sub(HEARD.as_secs()))
            .ignore()
            .expire(&self.workers, HEARD.as_secs().cast_signed())
            .ignore()
            .query_async(conn)
            .await
    }

    /// Removes this worker from the list.
    pub(super) async fn farewell<C: ConnectionLike + Send>(&self, conn: &mut C, member: &str) -> RedisResult<()> {
        ::redis::cmd("ZREM").arg(&self.workers).arg(member).query_async(conn).await
    }
}

fn leases(rows: Vec<(String, u64, Vec<u8>)>) -> Vec<Lease> {
    rows.into_iter()
        .map(|(id, before, mut message)| {
            let priority = if message.is_empty() { b'9' } else { message.remove(0) };
            Lease { id, number: before + 1, payload: message, priority: priority.wrapping_sub(b'0').min(9) }
        })
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
