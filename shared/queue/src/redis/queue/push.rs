//! Puts jobs in line, within the queue's window.

use ::redis::{RedisResult, aio::ConnectionLike};

use super::{BATCH_SIZE, Broker, KEYS, MESSAGES, OUTSIDE, PUSH, THROTTLED};
use crate::broker::{BrokerJob, PushResult, Window};

impl Broker {
    /// Puts jobs (id, payload) in line, but for ids that the broker knows already. Returns how many were new.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer; the call can be repeated.
    pub async fn push<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[(&str, &[u8])],
    ) -> RedisResult<u64> {
        let jobs: Vec<_> = jobs.iter().map(|&(id, payload)| BrokerJob { id, key: "", payload }).collect();
        self.push_fairly(conn, priority, &jobs).await
    }

    /// Puts jobs in line, each in the line of its key, as [`Broker::push`] does.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer; the call can be repeated.
    pub async fn push_fairly<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[BrokerJob<'_>],
    ) -> RedisResult<u64> {
        Ok(self.push_within(conn, priority, jobs, Window::UNLIMITED).await?.added)
    }

    /// Puts jobs in line as far as the window has room for them.
    pub(crate) async fn push_within<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        priority: u8,
        jobs: &[BrokerJob<'_>],
        window: Window,
    ) -> RedisResult<PushResult> {
        let priority = priority.min(9);
        let mut all = PushResult::default();
        for slice in jobs.chunks(BATCH_SIZE) {
            let mut call = self.call(&PUSH);
            let how = if window.front { 2 } else { u8::from(window.refill) };
            call.arg(priority).arg(window.jobs).arg(how);
            for BrokerJob { id, key, payload } in slice {
                let mut message = format!("{priority}{}:{key}", key.len()).into_bytes();
                message.extend_from_slice(payload);
                call.arg(*id).arg(*key).arg(message);
            }
            let (added, rejected): (u64, Vec<String>) = call.invoke_async(conn).await?;
            all.added += added;
            all.rejected.extend(rejected);
        }
        Ok(all)
    }

    /// Records that these lines (priority, key), and no others, have jobs that wait outside the broker.
    pub(crate) async fn set_lines_outside<C: ConnectionLike + Send>(
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

    /// How many more jobs each of these lines (priority, key) may have. An estimate: `scripts/push.lua` decides.
    pub(crate) async fn capacity<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        window: u64,
        lines: &[(u8, &str)],
    ) -> RedisResult<Vec<u64>> {
        let mut pipe = ::redis::pipe();
        pipe.hlen(&self.keys[MESSAGES]).hlen(&self.keys[THROTTLED]);
        for ready in &self.keys[KEYS.len()..] {
            pipe.llen(ready);
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
}
