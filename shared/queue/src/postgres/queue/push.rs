//! Puts jobs in line, within the queue's window.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{super::link::ask, PostgresQueue};
use crate::broker::{BrokerJob, PushResult, Window};

/// Jobs that one statement pushes.
const BATCH_SIZE: usize = 1_000;
/// A line has place for so many jobs in any case.
const MIN_SHARE: u64 = 16;
/// For this long a process may push by what it has counted.
const COUNTED_FOR: Duration = Duration::from_secs(1);

/// How many jobs this process may push before it counts those that are there: to count a long queue costs more than a push.
#[derive(Default)]
pub(super) struct Room(Mutex<Option<(Instant, u64)>>);

impl Room {
    fn take(&self, jobs: u64) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *counted {
            Some((at, left)) if at.elapsed() < COUNTED_FOR && *left >= jobs => {
                *left -= jobs;
                true
            }
            _ => false,
        }
    }

    /// Others push as well, so only a queue that is at most half full gives any in advance.
    fn counted(&self, room: u64, window: u64) {
        let left = if room > window / 2 { room / 4 } else { 0 };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), left));
    }
}

/// What a queue has in the broker, of what it may have.
struct Held {
    room: u64,
    /// How many jobs each line may have.
    share: u64,
}

impl PostgresQueue {
    pub(crate) async fn push_within(
        &self,
        priority: u8,
        jobs: &[BrokerJob<'_>],
        window: Window,
    ) -> Result<PushResult, sqlx::Error> {
        let mut all = PushResult::default();
        for slice in jobs.chunks(BATCH_SIZE) {
            let held = self.held(window.jobs, slice.len() as u64).await?;
            let (added, rejected) = self.push_slice(priority.min(9), slice, window, &held).await?;
            all.added += added.unsigned_abs();
            all.rejected.extend(rejected.iter().map(Uuid::to_string));
        }
        Ok(all)
    }

    async fn push_slice(
        &self,
        priority: u8,
        jobs: &[BrokerJob<'_>],
        window: Window,
        held: &Held,
    ) -> Result<(i64, Vec<Uuid>), sqlx::Error> {
        let sql = self.schema.sql(include_str!("../sql/push.sql"));
        let parsed: Result<Vec<Uuid>, _> = jobs.iter().map(|job| job.id.parse()).collect();
        let ids = parsed.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let keys: Vec<&str> = jobs.iter().map(|job| job.key).collect();
        let payloads: Vec<&[u8]> = jobs.iter().map(|job| job.payload).collect();
        let (added, rejected, _) = ask!(self.link, conn => sqlx::query_as::<_, (i64, Vec<Uuid>, Option<String>)>(sql)
            .bind(&*self.name)
            .bind(i16::from(priority))
            .bind(&ids)
            .bind(&keys)
            .bind(&payloads)
            .bind(window.refill)
            .bind(signed(held.room))
            .bind(signed(held.share))
            .bind(&*self.wake_name)
            .bind(window.front)
            .fetch_one(&mut *conn))?;
        Ok((added, rejected))
    }

    /// What there is room for, at least as far as `jobs` are concerned.
    async fn held(&self, window: u64, jobs: u64) -> Result<Held, sqlx::Error> {
        if self.room.take(jobs) {
            return Ok(Held { room: jobs, share: MIN_SHARE });
        }
        let (held, lines) = self.count(window).await?;
        let room = window.saturating_sub(held);
        self.room.counted(room, window);
        Ok(Held { room, share: (window / (lines + 1)).max(MIN_SHARE) })
    }

    /// Jobs of the queue, up to the window, and lines, up to where each has its least share.
    async fn count(&self, window: u64) -> Result<(u64, u64), sqlx::Error> {
        let sql = self.schema.sql(include_str!("../sql/window.sql"));
        let (held, lines): (i64, i64) = ask!(self.link, conn => sqlx::query_as(sql)
            .bind(&*self.name)
            .bind(signed(window))
            .bind(signed(window / MIN_SHARE))
            .fetch_one(&mut *conn))?;
        Ok((held.unsigned_abs(), lines.unsigned_abs()))
    }

    pub(crate) async fn set_lines_outside(&self, lines: &[(u8, &str)]) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql(
            "delete from gristmill.broker_outside o where o.queue = $1 and not exists (
                select from unnest($2::smallint[], $3::text[]) as i (priority, key)
                where i.priority = o.priority and i.key = o.fair_key)",
        );
        let priorities: Vec<i16> = lines.iter().map(|(priority, _)| i16::from(*priority)).collect();
        let keys: Vec<&str> = lines.iter().map(|(_, key)| *key).collect();
        ask!(self.link, conn => sqlx::query(sql)
            .bind(&*self.name)
            .bind(&priorities)
            .bind(&keys)
            .execute(&mut *conn))
        .map(drop)
    }

    /// How many more jobs each of these lines (priority, key) may have. An estimate: `push.sql` decides.
    pub(crate) async fn capacity(&self, window: u64, lines: &[(u8, &str)]) -> Result<Vec<u64>, sqlx::Error> {
        let (held, in_line) = self.count(window).await?;
        let share = (window / (in_line + 1)).max(MIN_SHARE);
        let room = window.saturating_sub(held) / (lines.len() as u64).max(1);
        let sql = self.schema.sql(
            "select (select count(*) from (
                        select from gristmill.broker_jobs b
                        where b.queue = $1 and b.place = 0 and b.priority = i.priority and b.fair_key = i.key
                        limit $4) line)
             from unnest($2::smallint[], $3::text[]) with ordinality as i (priority, key, nth) order by nth",
        );
        let priorities: Vec<i16> = lines.iter().map(|(priority, _)| i16::from(*priority)).collect();
        let keys: Vec<&str> = lines.iter().map(|(_, key)| *key).collect();
        let lengths: Vec<i64> = ask!(self.link, conn => sqlx::query_scalar(sql)
            .bind(&*self.name)
            .bind(&priorities)
            .bind(&keys)
            .bind(signed(share))
            .fetch_all(&mut *conn))?;
        Ok(lengths.iter().map(|length| share.saturating_sub(length.unsigned_abs()).max(room)).collect())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
