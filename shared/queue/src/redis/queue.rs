//! Keys and scripts of one queue. Every key has the queue's hash tag, so that all are in one slot of a cluster. A script
//! gets all keys but those of the ready lists, whose names it computes: see `scripts/queue.lua`.

mod leases;
mod limits;
mod load;
mod over;
mod places;
mod push;

pub(crate) use places::Place;

use std::{sync::LazyLock, time::Duration};

use ::redis::{RedisResult, Script, ScriptInvocation, aio::ConnectionLike};

use super::keys;

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("scripts/queue.lua"), include_str!(concat!("scripts/", $file))))
        });
    };
}
script!(PUSH, "push.lua");
script!(CLAIM, "claim.lua");
script!(RENEW, "renew.lua");
script!(ACK, "ack.lua");
script!(RELEASE, "release.lua");
script!(REAP, "reap.lua");
script!(SET_LIMITS, "set_limits.lua");
script!(LEASED, "leased.lua");
script!(ALONE, "alone.lua");
script!(FORGET, "forget.lua");

/// Ids per call: Lua unpacks them, so their number must be bounded.
const BATCH_SIZE: usize = 500;
/// In the order of `scripts/queue.lua`; behind them come the rings `ready:0` to `ready:9`.
const KEYS: [&str; 15] = [
    "jobs",
    "leases",
    "delayed",
    "deliveries",
    "failed_deliveries",
    "running",
    "counts",
    "throttled",
    "limits",
    "rate_bucket",
    "acked",
    "wake",
    "clock",
    "alone",
    "outside",
];
const MESSAGES: usize = 0;
const LEASES: usize = 1;
const DELAYED: usize = 2;
const THROTTLED: usize = 7;
const ACKED: usize = 10;
const WAKE: usize = 11;
const OUTSIDE: usize = 14;

/// One queue in Redis.
#[derive(Debug, Clone)]
pub struct Broker {
    tag: String,
    keys: Vec<String>,
}

impl Broker {
    /// The queue `queue` in this namespace.
    #[must_use]
    pub fn new(namespace: &str, queue: &str) -> Self {
        let tag = format!("{{{}:{queue}}}", keys::versioned(namespace));
        let named = KEYS.iter().map(|name| format!("{tag}:{name}"));
        let keys = named.chain((0..10).map(|priority| format!("{tag}:ready:{priority}"))).collect();
        Self { tag, keys }
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        call
    }

    /// The list that a waiting worker blocks on.
    pub(super) fn wake_key(&self) -> &str {
        &self.keys[WAKE]
    }

    /// Where [`super::RedisDeadLetters`] keeps its dead letters.
    pub(super) fn dead_letters_key(&self) -> String {
        format!("{}:dead_letters", self.tag)
    }

    /// The payload of a job. It is empty when the broker does not know the job.
    pub(crate) async fn payload<C: ConnectionLike + Send>(&self, conn: &mut C, id: &str) -> RedisResult<Vec<u8>> {
        let message: Option<Vec<u8>> = ::redis::cmd("HGET").arg(&self.keys[MESSAGES]).arg(id).query_async(conn).await?;
        Ok(message.map(|message| address(&message).2.to_vec()).unwrap_or_default())
    }

    /// Which of these ids the broker knows, waiting or running.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn known<C: ConnectionLike + Send>(&self, conn: &mut C, ids: &[String]) -> RedisResult<Vec<bool>> {
        let mut known = Vec::with_capacity(ids.len());
        for slice in ids.chunks(BATCH_SIZE) {
            let mut pipe = ::redis::pipe();
            for id in slice {
                pipe.hexists(&self.keys[MESSAGES], id);
            }
            known.extend(pipe.query_async::<Vec<bool>>(conn).await?);
        }
        Ok(known)
    }

    /// Which of these jobs are leased. A lease that has run out does not count: when a queue's last worker is gone, nothing
    /// reaps it.
    pub(crate) async fn are_leased<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        ids: &[crate::JobId],
    ) -> RedisResult<Vec<bool>> {
        let mut leased = Vec::with_capacity(ids.len());
        for slice in ids.chunks(BATCH_SIZE) {
            let mut call = self.call(&LEASED);
            call.arg(millis(lease));
            for id in slice {
                call.arg(id.to_string());
            }
            leased.extend(call.invoke_async::<Vec<bool>>(conn).await?);
        }
        Ok(leased)
    }

    /// Ids of at most `limit` leased jobs, those that were held longest first.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn leased<C: ConnectionLike + Send>(&self, conn: &mut C, limit: usize) -> RedisResult<Vec<String>> {
        ::redis::cmd("ZRANGE").arg(&self.keys[LEASES]).arg(0).arg(limit.saturating_sub(1)).query_async(conn).await
    }
}

/// Priority, key and payload of a message: see `scripts/queue.lua`.
fn address(message: &[u8]) -> (u8, String, &[u8]) {
    let read = || {
        let colon = message.iter().position(|byte| *byte == b':')?;
        let priority = message.first()?.checked_sub(b'0')?;
        let length: usize = std::str::from_utf8(message.get(1..colon)?).ok()?.parse().ok()?;
        let (key, payload) = message.get(colon + 1..)?.split_at_checked(length)?;
        Some((priority.min(9), String::from_utf8_lossy(key).into_owned(), payload))
    };
    // Another application wrote it; decoding the payload will fail and say so.
    read().unwrap_or((9, String::new(), message))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
