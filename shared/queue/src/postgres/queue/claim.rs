//! Claims jobs.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    super::link::{answer, ask},
    PostgresQueue, count, millis,
};
use crate::broker::{ClaimResult, FailedDeliveries, Lease, Throttle};

/// Jobs that one claim gives at most.
const BATCH_SIZE: usize = 500;

/// What a process remembers from claim to claim.
#[derive(Default)]
pub(super) struct Turns {
    /// The key that was served last, by priority: the next turn begins behind it.
    last: Mutex<[String; 10]>,
    /// The queue had limits when it was last looked at.
    limited: AtomicBool,
}

/// What a claim asks of the table beside the limits.
#[derive(Clone, Copy)]
struct Wanted {
    lease: Duration,
    jobs: usize,
    from_lowest: bool,
}

/// A row of `claim.sql`.
#[derive(sqlx::FromRow)]
struct Row {
    room: i64,
    priority: Option<i16>,
    throttled: bool,
    more: bool,
    id: Option<Uuid>,
    deliveries: Option<i64>,
    failed: Option<String>,
    fair_key: Option<String>,
    payload: Option<Vec<u8>>,
}

/// What came of one priority, or of all of them.
#[derive(Default)]
struct Found {
    leases: Vec<Lease>,
    /// The queue has limits: nothing was claimed.
    limited: bool,
    at_limit: bool,
    throttled: bool,
    /// Jobs wait that others are claiming at this moment.
    others: bool,
}

#[derive(sqlx::FromRow)]
struct LimitsRow {
    paused: bool,
    concurrency: Option<i32>,
    rate_per_second: Option<f64>,
    burst: Option<f64>,
    key_concurrency: Option<i32>,
    tokens: Option<f64>,
    filled_at: Option<i64>,
}

impl PostgresQueue {
    /// Leases up to `count` jobs, the most urgent first, or the least urgent first. Keys of one priority take turns.
    pub(crate) async fn claim(
        &self,
        lease: Duration,
        count: usize,
        from_lowest: bool,
    ) -> Result<ClaimResult, sqlx::Error> {
        let wanted = Wanted { lease, jobs: count.min(BATCH_SIZE), from_lowest };
        if !self.turns.limited.load(Ordering::Relaxed) {
            let found = ask!(self.link, conn => self.lines(&mut conn, wanted, true, None, None))?;
            if !found.limited {
                return Ok(found.into());
            }
        }
        ask!(self.link, conn => self.within_limits(&mut conn, wanted))
    }

    /// Claims from one priority after the other.
    async fn lines(
        &self,
        conn: &mut PgConnection,
        wanted: Wanted,
        unlimited: bool,
        concurrency: Option<i32>,
        key_concurrency: Option<i32>,
    ) -> Result<Found, sqlx::Error> {
        let sql = self.schema.sql(include_str!("../sql/claim.sql"));
        let mut all = Found::default();
        let mut from: i16 = if wanted.from_lowest { 9 } else { 0 };
        loop {
            let rows: Vec<Row> = sqlx::query_as(sql)
                .bind(&*self.name)
                .bind(millis(wanted.lease))
                .bind(count(wanted.jobs - all.leases.len()))
                .bind(from)
                .bind(wanted.from_lowest)
                .bind(self.turns.last())
                .bind(unlimited)
                .bind(concurrency)
                .bind(key_concurrency)
                .fetch_all(&mut *conn)
                .await?;
            let Some(Row { room, priority, throttled, more, .. }) = rows.first() else { return Ok(all) };
            let (room, priority, more) = (*room, *priority, *more);
            all.limited |= room < 0 && unlimited;
            all.at_limit |= room <= 0 && !unlimited;
            all.throttled |= throttled;
            let before = all.leases.len();
            all.leases.extend(rows.into_iter().filter_map(Row::lease));
            all.others |= priority.is_some() && all.leases.len() == before;
            let Some(priority) = priority else { return Ok(all) };
            self.turns.served(priority, all.leases[before..].iter().map(|lease| lease.key.as_str()));
            if !more || all.leases.len() >= wanted.jobs {
                return Ok(all);
            }
            from = if wanted.from_lowest { priority - 1 } else { priority + 1 };
        }
    }

    /// The same where limits may be set. Who claims holds their row, so that no two count the same slot.
    async fn within_limits(&self, conn: &mut PgConnection, wanted: Wanted) -> Result<ClaimResult, sqlx::Error> {
        let mut tx = conn.begin().await?;
        let sql = self.schema.sql(
            "select paused, concurrency, rate_per_second, burst, key_concurrency, tokens, filled_at
             from gristmill.broker_limits where queue = $1 for update",
        );
        let limits: Option<LimitsRow> = sqlx::query_as(sql).bind(&*self.name).fetch_optional(&mut *tx).await?;
        self.turns.limited.store(limits.is_some(), Ordering::Relaxed);
        let Some(limits) = limits else {
            let found = self.lines(&mut tx, wanted, false, None, None).await?;
            tx.commit().await?;
            return Ok(found.into());
        };
        if limits.paused {
            tx.rollback().await?;
            return Ok(ClaimResult { leases: Vec::new(), throttle: Throttle::Paused, stuck: false });
        }
        let mut wanted = wanted;
        let mut bucket = None;
        if let (Some(rate), Some(burst)) = (limits.rate_per_second, limits.burst) {
            let now = self.now(&mut tx, wanted.lease).await?;
            let tokens = limits.filled(now, rate, burst);
            // What is missing by rounding is there.
            let whole = (tokens + 1e-6).floor();
            if whole < 1.0 {
                if limits.is_ahead(now) {
                    self.set_bucket(&mut tx, tokens, now).await?;
                }
                tx.commit().await?;
                let wait = Duration::from_secs_f64(((1.0 - tokens) / rate).clamp(0.001, 86_400.0));
                return Ok(ClaimResult { leases: Vec::new(), throttle: Throttle::RateLimited(wait), stuck: false });
            }
            wanted.jobs = wanted.jobs.min(if whole >= BATCH_SIZE as f64 { BATCH_SIZE } else { whole as usize });
            bucket = Some((tokens, now));
        }
        let found = self.lines(&mut tx, wanted, false, limits.concurrency, limits.key_concurrency).await?;
        if let Some((tokens, now)) = bucket {
            self.set_bucket(&mut tx, tokens - found.leases.len() as f64, now).await?;
        }
        tx.commit().await?;
        Ok(found.into())
    }

    async fn set_bucket(&self, conn: &mut PgConnection, tokens: f64, now: i64) -> Result<(), sqlx::Error> {
        let sql = self.schema.sql("update gristmill.broker_limits set tokens = $2, filled_at = $3 where queue = $1");
        sqlx::query(sql).bind(&*self.name).bind(tokens).bind(now).execute(conn).await.map(drop)
    }

    /// Milliseconds, as this queue counts them.
    async fn now(&self, conn: &mut PgConnection, lease: Duration) -> Result<i64, sqlx::Error> {
        let sql = self.schema.sql(
            "select coalesce((select c.counted + least(greatest(t.shows - c.showed, 0), $2 / 3)
                              from gristmill.broker_clocks c where c.queue = $1), t.shows)
             from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t",
        );
        answer(sqlx::query_scalar(sql).bind(&*self.name).bind(millis(lease)).fetch_one(conn)).await
    }
}

impl LimitsRow {
    /// It was filled in a future: the queue's time has been lost since, and begun anew.
    fn is_ahead(&self, now: i64) -> bool {
        self.filled_at.is_some_and(|at| at > now)
    }

    /// The tokens that are in the bucket now.
    fn filled(&self, now: i64, rate: f64, burst: f64) -> f64 {
        let (Some(tokens), Some(at)) = (self.tokens, self.filled_at) else { return burst };
        (tokens + (now - at).max(0) as f64 * rate / 1_000.0).min(burst)
    }
}

impl Row {
    fn lease(self) -> Option<Lease> {
        Some(Lease {
            id: self.id?.to_string(),
            number: self.deliveries?.unsigned_abs() + 1,
            payload: self.payload?,
            priority: u8::try_from(self.priority?).unwrap_or(9),
            key: self.fair_key?,
            failed_deliveries: FailedDeliveries::read(&self.failed?),
        })
    }
}

impl From<Found> for ClaimResult {
    fn from(found: Found) -> Self {
        let limit = found.leases.is_empty() && (found.at_limit || found.throttled);
        let throttle = if limit { Throttle::AtLimit } else { Throttle::None };
        let stuck = found.leases.is_empty() && found.others && !limit;
        Self { leases: found.leases, throttle, stuck }
    }
}

impl Turns {
    fn last(&self) -> Vec<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).to_vec()
    }

    fn served<'a>(&self, priority: i16, keys: impl Iterator<Item = &'a str>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut last[usize::from(priority.clamp(0, 9).unsigned_abs())];
        // Turns go round: those up to the last one came after those behind it.
        if let Some((_, key)) = keys.map(|key| (key <= last.as_str(), key)).max()
            && key != last
        {
            *last = key.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_round() {
        let turns = Turns::default();
        let served = |keys: &[&str]| {
            turns.served(4, keys.iter().copied());
            turns.last().swap_remove(4)
        };
        assert_eq!(served(&["b", "a"]), "b");
        assert_eq!(served(&["c", "d"]), "d");
        assert_eq!(served(&["e", "", "a"]), "a");
        assert_eq!(served(&[]), "a");
        assert_eq!(turns.last()[3], "");
    }

    #[test]
    fn a_bucket_fills_with_time_up_to_its_size_and_no_step_back_empties_it() {
        let row = |tokens| LimitsRow {
            paused: false,
            concurrency: None,
            rate_per_second: Some(10.0),
            burst: Some(5.0),
            key_concurrency: None,
            tokens,
            filled_at: Some(1_000),
        };
        assert_eq!(row(None).filled(1_000, 10.0, 5.0), 5.0);
        assert_eq!(row(Some(1.0)).filled(1_200, 10.0, 5.0), 3.0);
        assert_eq!(row(Some(1.0)).filled(9_000, 10.0, 5.0), 5.0);
        assert_eq!(row(Some(1.0)).filled(0, 10.0, 5.0), 1.0);
    }
}
