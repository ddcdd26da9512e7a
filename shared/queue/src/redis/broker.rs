//! Keys and scripts of one queue. Every key carries the queue's hash tag, so that all are in one slot of a cluster. A
//! script is told all keys but those of the lines, whose names it computes: see `scripts/queue.lua`.

mod places;

pub(crate) use places::Place;

use std::{sync::LazyLock, time::Duration};

use ::redis::{RedisResult, Script, ScriptInvocation, aio::ConnectionLike};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

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
script!(LIMIT, "limit.lua");
script!(LEASED, "leased.lua");
script!(ALONE, "alone.lua");
script!(FORGET, "forget.lua");

/// Ids in one call: Lua unpacks them, so there is a bound.
const SLICE: usize = 500;
/// In the order of `scripts/queue.lua`; behind them come the rings `turns:0` to `turns:9`.
const KEYS: [&str; 15] = [
    "jobs", "leases", "delayed", "claims", "struck", "running", "counts", "parked", "limits", "bucket", "acked",
    "wake", "clock", "alone", "outside",
];
const MESSAGES: usize = 0;
const LEASES: usize = 1;
const DELAYED: usize = 2;
const PARKED: usize = 7;
const ACKED: usize = 10;
const WAKE: usize = 11;
const OUTSIDE: usize = 14;

/// One queue in Redis.
#[derive(Debug, Clone)]
pub struct Broker {
    tag: String,
    keys: Vec<String>,
}

/// A job on its way in.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The job.
    pub id: &'a str,
    /// Jobs of one priority take turns by this key. Only those of the empty one are not limited by key.
    pub key: &'a str,
    /// What the service gets.
    pub payload: &'a [u8],
}

/// How many jobs of a queue the broker may hold, but for the shares of short lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) jobs: u64,
    /// They have waited outside: their line is theirs.
    pub(crate) refill: bool,
}

impl Window {
    const NONE: Self = Self { jobs: 1 << 50, refill: true };
}

/// What became of a push.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    /// Jobs that were new.
    pub(crate) fresh: u64,
    /// Those there was no place for.
    pub(crate) away: Vec<String>,
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
    /// Whose turn it is; may be empty.
    pub key: String,
    /// Its deliveries that ended without success, as far as the broker counts them.
    pub strikes: Strikes,
}

/// Deliveries of a job that ended without success, each by its number and how it ended: see `scripts/queue.lua`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strikes(Vec<(u64, char)>);

impl Strikes {
    fn read(text: &str) -> Self {
        let each = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
        Self(each.filter_map(|one| one.split_at_checked(one.len() - 1)).filter_map(strike).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the job may be what takes its workers down: then it runs alone.
    pub(super) fn suspect(&self, max_deliveries: u32) -> bool {
        let lost = |with: char| self.0.iter().filter(|(_, how)| *how == with).count();
        lost('a') > 0 || lost('b') >= max_deliveries.saturating_sub(1).clamp(1, 2) as usize
    }

    /// Those whose worker was lost, of job `id`.
    pub(super) fn lost(&self, id: &str) -> Vec<LostDelivery> {
        let lost = self.0.iter().filter(|(_, how)| *how != 'f');
        lost.map(|(number, how)| LostDelivery { id: id.to_owned(), number: *number, alone: *how == 'a' }).collect()
    }
}

fn strike((number, how): (&str, &str)) -> Option<(u64, char)> {
    Some((number.parse().ok()?, how.chars().next()?))
}

/// A delivery whose worker was not heard of for as long as a lease lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostDelivery {
    /// The job.
    pub id: String,
    /// Which delivery, from 1.
    pub number: u64,
    /// Nothing else ran in that process.
    pub alone: bool,
}

/// What a reaper found.
pub(super) struct Reaped {
    /// Jobs that are in line again.
    pub(super) back: u64,
    /// Those that have used up their deliveries, leased to the caller.
    pub(super) worn_out: Vec<Lease>,
    pub(super) lost: Vec<LostDelivery>,
}

/// A job that is given back.
#[derive(Debug, Clone)]
pub(super) struct Back {
    pub(super) id: String,
    pub(super) number: u64,
    /// Until it is in line again.
    pub(super) delay: Duration,
    pub(super) why: Why,
}

/// Why a job is given back: as `release.lua` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Wait = 0,
    Failure = 1,
    /// Its owner cannot read it; others can.
    Unreadable = 2,
}

/// The answer to a claim.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) leases: Vec<Lease>,
    pub(super) hold: Hold,
    /// Jobs wait, and the broker knows no reason not to give them out.
    pub(super) stuck: bool,
}

/// Why there are no more jobs at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    None,
    Paused,
    /// As many run as may.
    Full,
    /// As many were started as may; the next one after this long.
    Rate(Duration),
}

/// What a queue, over all its workers, is held to; none: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", schema(min_properties = 1))]
pub struct Limits {
    /// Jobs that run at a time.
    pub concurrency: Option<u32>,
    /// Starts a second.
    pub rate_per_second: Option<f64>,
    /// How many may start at once after a silence; unless given, those of one second.
    pub burst: Option<u32>,
    /// Jobs of one key that run at a time. Jobs without a key are not held by it.
    pub key_concurrency: Option<u32>,
}

/// How many jobs of a queue are where.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Not leased, whether due or delayed after a failure.
    pub waiting: u64,
    /// Leased.
    pub running: u64,
    /// Acknowledged a second, over the last minute.
    pub acked_per_second: f64,
}

/// Acknowledgements by slot.
type Slots = Vec<(u64, u64)>;

impl Broker {
    /// The queue `queue` in this namespace.
    #[must_use]
    pub fn new(namespace: &str, queue: &str) -> Self {
        let tag = format!("{{{namespace}:{queue}}}");
        let named = KEYS.iter().map(|name| format!("{tag}:{name}"));
        let keys = named.chain((0..10).map(|priority| format!("{tag}:turns:{priority}"))).collect();
        Self { tag, keys }
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        call
    }

    /// The list a waiting worker blocks on.
    pub(super) fn wake_key(&self) -> &str {
        &self.keys[WAKE]
    }

    /// Where [`super::RedisDeadLetters`] keeps its dead letters.
    pub(super) fn dead_letters_key(&self) -> String {
        format!("{}:dead_letters", self.tag)
    }

    /// Puts jobs (id, payload) in line; an id that is known already is left alone. Returns how many were new.
    ///
    /// # Errors
    /// When Redis does; the call may be repeated.
    pub async fn push<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[(&str, &[u8])],
    ) -> RedisResult<u64> {
        let jobs: Vec<_> = jobs.iter().map(|&(id, payload)| Incoming { id, key: "", payload }).collect();
        self.push_fairly(conn, priority, &jobs).await
    }

    /// The same, each job in the line of its key.
    ///
    /// # Errors
    /// When Redis does; the call may be repeated.
    pub async fn push_fairly<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[Incoming<'_>],
    ) -> RedisResult<u64> {
        Ok(self.push_within(conn, priority, jobs, Window::NONE).await?.fresh)
    }

    /// The same, as far as there is place for them.
    pub(crate) async fn push_within<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[Incoming<'_>],
        window: Window,
    ) -> RedisResult<Pushed> {
        let priority = priority.min(9);
        let mut all = Pushed::default();
        for slice in jobs.chunks(SLICE) {
            let mut call = self.call(&PUSH);
            call.arg(priority).arg(window.jobs).arg(u8::from(window.refill));
            for Incoming { id, key, payload } in slice {
                let mut message = format!("{priority}{}:{key}", key.len()).into_bytes();
                message.extend_from_slice(payload);
                call.arg(*id).arg(*key).arg(message);
            }
            let (fresh, away): (u64, Vec<String>) = call.invoke_async(conn).await?;
            all.fresh += fresh;
            all.away.extend(away);
        }
        Ok(all)
    }

    /// These lines (priority, key) have jobs outside, and no others.
    pub(crate) async fn none_outside_but<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lines: &[(u8, &str)],
    ) -> RedisResult<()> {
        let known: Vec<String> = ::redis::cmd("HKEYS").arg(&self.keys[OUTSIDE]).query_async(conn).await?;
        let there: std::collections::HashSet<String> =
            lines.iter().map(|(priority, key)| format!("{priority}:{key}")).collect();
        let gone: Vec<&String> = known.iter().filter(|line| !there.contains(*line)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        ::redis::cmd("HDEL").arg(&self.keys[OUTSIDE]).arg(gone).query_async(conn).await
    }

    /// How many more jobs each of these lines (priority, key) may have: see `scripts/push.lua`, which decides.
    pub(crate) async fn places<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        window: u64,
        lines: &[(u8, &str)],
    ) -> RedisResult<Vec<u64>> {
        let mut pipe = ::redis::pipe();
        pipe.hlen(&self.keys[MESSAGES]).hlen(&self.keys[PARKED]);
        for turns in &self.keys[KEYS.len()..] {
            pipe.llen(turns);
        }
        for (priority, key) in lines {
            pipe.llen(format!("{}:{key}", self.keys[KEYS.len() + usize::from((*priority).min(9))]));
        }
        let answer: Vec<u64> = pipe.query_async(conn).await?;
        let (counts, lengths) = answer.split_at_checked(12).unwrap_or_default();
        let room = window.saturating_sub(counts.first().copied().unwrap_or(window));
        let share = (window / (counts.iter().skip(1).sum::<u64>() + 1)).max(16);
        let room = room / (lines.len() as u64).max(1);
        Ok(lengths.iter().map(|length| share.saturating_sub(*length).max(room)).collect())
    }

    /// Takes up to `count` jobs, the most urgent first, or the least urgent first; those of one priority by turns.
    pub(super) async fn claim<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        count: usize,
        from_lowest: bool,
    ) -> RedisResult<Claimed> {
        let mut call = self.call(&CLAIM);
        call.arg(millis(lease)).arg(count.min(SLICE)).arg(u8::from(from_lowest));
        let (hold, stuck, rows): (i64, bool, ::redis::Value) = call.invoke_async(conn).await?;
        let hold = match hold {
            0 => Hold::None,
            -1 => Hold::Paused,
            millis if millis > 0 => Hold::Rate(Duration::from_millis(millis.unsigned_abs())),
            _ => Hold::Full,
        };
        Ok(Claimed { leases: leases(rows)?, hold, stuck })
    }

    /// Holds the queue to this, unless a later `version` was told already. Kept until it is set otherwise. Returns
    /// whether that is new.
    ///
    /// # Errors
    /// When Redis does; the call may be repeated.
    pub async fn hold<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        version: i64,
        paused: bool,
        limits: &Limits,
    ) -> RedisResult<bool> {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        // A bucket that never holds a whole job would give out none.
        let burst = limits.rate_per_second.map(|rate| limits.burst.map_or(rate.ceil(), f64::from).max(1.0));
        let mut call = self.call(&LIMIT);
        call.arg(version).arg(if paused { "1" } else { "" }).arg(number(limits.concurrency));
        call.arg(limits.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default());
        call.arg(burst.map(|burst| burst.to_string()).unwrap_or_default()).arg(number(limits.key_concurrency));
        call.invoke_async(conn).await
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
            let mut call = self.call(&RENEW);
            call.arg(millis(lease));
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
            let mut call = self.call(&ACK);
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
        lease: Duration,
        max_deliveries: u32,
        back: &[Back],
    ) -> RedisResult<()> {
        for slice in back.chunks(SLICE) {
            let mut call = self.call(&RELEASE);
            call.arg(millis(lease)).arg(max_deliveries);
            for Back { id, number, delay, why } in slice {
                call.arg(id).arg(number).arg(millis(*delay)).arg(*why as u8);
            }
            call.invoke_async::<u64>(conn).await?;
        }
        Ok(())
    }

    /// Notes that nothing runs beside this delivery. False: it has another owner by now.
    pub(super) async fn alone<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        id: &str,
        number: u64,
    ) -> RedisResult<bool> {
        let mut call = self.call(&ALONE);
        call.arg(id).arg(number);
        call.invoke_async(conn).await
    }

    /// Puts one slice of the jobs whose lease ran out back in line.
    pub(super) async fn reap<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        max_deliveries: u32,
        lease: Duration,
    ) -> RedisResult<Reaped> {
        let mut call = self.call(&REAP);
        // Who looks at a beat of its own and leaves a dead letter to others must not be there first each time it runs out.
        let dead_letter_lease = lease.mul_f64(rand::rng().random_range(1.0..2.0));
        call.arg(100).arg(max_deliveries).arg(millis(lease)).arg(millis(dead_letter_lease));
        let (back, worn_out, lost): (u64, ::redis::Value, Vec<(String, u64, bool)>) = call.invoke_async(conn).await?;
        let lost = lost.into_iter().map(|(id, number, alone)| LostDelivery { id, number, alone }).collect();
        Ok(Reaped { back, worn_out: leases(worn_out)?, lost })
    }

    /// What the job's service gets. Nothing: the broker does not know the job.
    pub(crate) async fn payload<C: ConnectionLike + Send>(&self, conn: &mut C, id: &str) -> RedisResult<Vec<u8>> {
        let message: Option<Vec<u8>> = ::redis::cmd("HGET").arg(&self.keys[MESSAGES]).arg(id).query_async(conn).await?;
        Ok(message.map(|message| address(&message).2.to_vec()).unwrap_or_default())
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
                pipe.hexists(&self.keys[MESSAGES], id);
            }
            known.extend(pipe.query_async::<Vec<bool>>(conn).await?);
        }
        Ok(known)
    }

    /// Which of these jobs are leased. Where a queue's last worker is gone, nobody reaps what has run out: it does not count.
    pub(crate) async fn are_leased<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        ids: &[uuid::Uuid],
    ) -> RedisResult<Vec<bool>> {
        let mut leased = Vec::with_capacity(ids.len());
        for slice in ids.chunks(SLICE) {
            let mut call = self.call(&LEASED);
            call.arg(millis(lease));
            for id in slice {
                call.arg(id.to_string());
            }
            leased.extend(call.invoke_async::<Vec<bool>>(conn).await?);
        }
        Ok(leased)
    }

    /// A slice of the ids that are leased, longest held first.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn leased<C: ConnectionLike + Send>(&self, conn: &mut C, limit: usize) -> RedisResult<Vec<String>> {
        ::redis::cmd("ZRANGE").arg(&self.keys[LEASES]).arg(0).arg(limit.saturating_sub(1)).query_async(conn).await
    }

    /// Jobs waiting, and jobs running.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn depth<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<(u64, u64)> {
        let (known, running): (u64, u64) =
            ::redis::pipe().hlen(&self.keys[MESSAGES]).zcard(&self.keys[LEASES]).query_async(conn).await?;
        Ok((known.saturating_sub(running), running))
    }

    /// The same, and how fast they get fewer.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn load<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<Load> {
        let mut pipe = ::redis::pipe();
        pipe.hlen(&self.keys[MESSAGES]).zcard(&self.keys[LEASES]).hgetall(&self.keys[ACKED]).cmd("TIME");
        let answer: (u64, u64, Slots, (u64, u64)) = pipe.query_async(conn).await?;
        let (known, running, acked, (seconds, micros)) = answer;
        // Slots of ten seconds, by number; the first of them tells since when there is work.
        let now = seconds as f64 + micros as f64 / 1e6;
        // (One of the future is from before the clock stepped back.)
        let recent = acked.iter().filter(|(slot, _)| slot * 10 + 70 > seconds && slot * 10 <= seconds);
        let (first, count) =
            recent.fold((seconds, 0), |(first, sum), (slot, count)| (first.min(slot * 10), sum + count));
        let acked_per_second = count as f64 / (now - first as f64).max(1.0);
        Ok(Load { waiting: known.saturating_sub(running), running, acked_per_second })
    }
}

fn leases(rows: ::redis::Value) -> RedisResult<Vec<Lease>> {
    let rows: Vec<(String, u64, String, Vec<u8>)> = ::redis::FromRedisValue::from_redis_value(rows)?;
    Ok(rows
        .into_iter()
        .map(|(id, before, strikes, message)| {
            let (priority, key, payload) = address(&message);
            let strikes = Strikes::read(&strikes);
            Lease { id, number: before + 1, payload: payload.to_vec(), priority, key, strikes }
        })
        .collect())
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
    // Not written by us: its payload will say so to whoever decodes it.
    read().unwrap_or((9, String::new(), message))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_suspect_after_two_lost_leases_or_when_it_was_alone() {
        let suspect = |text: &str, max| Strikes::read(text).suspect(max);
        for (text, max) in [("", 10), ("3b", 10), ("1f2f3f", 10), ("12b13f", 10)] {
            assert!(!suspect(text, max), "{text}");
        }
        for (text, max) in [("3b4b", 10), ("7a", 10), ("1f20b", 2), ("1b", 1)] {
            assert!(suspect(text, max), "{text}");
        }
        let strikes = Strikes::read("1b12f30a");
        let lost = |number, alone| LostDelivery { id: "x".into(), number, alone };
        assert_eq!((strikes.count(), strikes.lost("x")), (3, vec![lost(1, false), lost(30, true)]));
        assert_eq!(Strikes::read("3").count(), 0);
    }
}
