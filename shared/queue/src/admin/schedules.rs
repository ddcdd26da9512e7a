//! Schedules: made, looked at, paused, run by hand.

mod new;
mod view;

pub use new::{NewSchedule, ScheduleError};
pub use view::{ScheduleView, TickPage, TickView};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, PgExecutor, types::Json};

use crate::{
    Cause, CronError, Queue,
    cron::{self, Expression},
    ledger::schedules::{self, NewTick},
};
use new::{check, zone};
use view::{ScheduleRow, TickRow};

/// Jobs by the clock: see [`Queue::schedules`].
#[derive(Clone)]
pub struct Schedules {
    queue: Queue,
}

const MAX_PAGE_SIZE: u16 = 200;

impl Queue {
    /// Jobs by the clock. A [`crate::Cron`] fires them.
    #[must_use]
    pub fn schedules(&self) -> Schedules {
        Schedules { queue: self.clone() }
    }
}

impl Schedules {
    /// Makes a schedule, or makes the one of this name be like this; takes effect within a second. Meant to be called
    /// at every start of an application, so it leaves alone whether the schedule is paused, and what it owes; but a
    /// new expression or time zone owes nothing of the past.
    ///
    /// # Errors
    /// Returns an error if a field has an impossible value, or if Postgres fails.
    pub async fn put(&self, new: &NewSchedule) -> Result<ScheduleView, ScheduleError> {
        let (expression, zone) = check(new, self.queue.config().payload_limit)?;
        let now: jiff_sqlx::Timestamp = sqlx::query_scalar("select now()").fetch_one(self.queue.pool()).await?;
        let next = expression.next_after(now.to_jiff(), &zone);
        if next.is_none() {
            return Err(CronError::Never { expression: new.cron.clone() }.into());
        }
        sqlx::query(
            "insert into schedules as s (name, cron, time_zone, catch_up, jitter_seconds, job, ticked_until, next_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (name) do update set
                cron = excluded.cron, time_zone = excluded.time_zone, catch_up = excluded.catch_up,
                jitter_seconds = excluded.jitter_seconds, job = excluded.job, updated_at = now(),
                ticked_until = case when (s.cron, s.time_zone) = (excluded.cron, excluded.time_zone)
                                    then s.ticked_until else excluded.ticked_until end,
                next_at = case when (s.cron, s.time_zone) = (excluded.cron, excluded.time_zone)
                               then s.next_at else excluded.next_at end
             where (s.cron, s.time_zone, s.catch_up, s.jitter_seconds, s.job) is distinct from
                   (excluded.cron, excluded.time_zone, excluded.catch_up, excluded.jitter_seconds, excluded.job)",
        )
        .bind(&new.name)
        .bind(new.cron.trim())
        .bind(zone.iana_name().unwrap_or(&new.time_zone))
        .bind(new.catch_up)
        .bind(i32::try_from(new.jitter_seconds).unwrap_or(i32::MAX))
        .bind(Json(&new.job))
        .bind(now)
        .bind(next.map(Timestamp::to_sqlx))
        .execute(self.queue.pool())
        .await?;
        self.get(&new.name).await
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn list(&self) -> Result<Vec<ScheduleView>, ScheduleError> {
        views(self.queue.pool(), None).await
    }

    /// One of them.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, or an error if Postgres fails.
    pub async fn get(&self, name: &str) -> Result<ScheduleView, ScheduleError> {
        one(self.queue.pool(), name).await
    }

    /// It does not fire any more, from the answer on. Jobs that it has enqueued stay.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, or an error if Postgres fails.
    pub async fn pause(&self, name: &str) -> Result<ScheduleView, ScheduleError> {
        let mut conn = self.queue.pool().acquire().await?;
        self.pause_in(&mut conn, name).await
    }

    /// The same with the caller's commit.
    ///
    /// # Errors
    /// Returns the errors of [`Schedules::pause`].
    pub async fn pause_in(&self, conn: &mut PgConnection, name: &str) -> Result<ScheduleView, ScheduleError> {
        sqlx::query("update schedules set paused = true, updated_at = now() where name = $1 and not paused")
            .bind(name)
            .execute(&mut *conn)
            .await?;
        one(conn, name).await
    }

    /// It fires again. What would have fired meanwhile neither runs nor counts as missed.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, [`ScheduleError::Cron`] if this binary cannot read it, or
    /// an error if Postgres fails.
    pub async fn resume(&self, name: &str) -> Result<ScheduleView, ScheduleError> {
        let mut tx = self.queue.pool().begin().await?;
        let resumed = self.resume_in(&mut tx, name).await?;
        tx.commit().await?;
        Ok(resumed)
    }

    /// The same with the caller's commit.
    ///
    /// # Errors
    /// Returns the errors of [`Schedules::resume`].
    pub async fn resume_in(&self, conn: &mut PgConnection, name: &str) -> Result<ScheduleView, ScheduleError> {
        let paused: Option<(String, String, jiff_sqlx::Timestamp)> =
            sqlx::query_as("select cron, time_zone, now() from schedules where name = $1 and paused for update")
                .bind(name)
                .fetch_optional(&mut *conn)
                .await?;
        if let Some((cron, time_zone, now)) = paused {
            let next = Expression::parse(&cron)?.next_after(now.to_jiff(), &zone(&time_zone)?);
            sqlx::query(
                "update schedules set paused = false, updated_at = now(), ticked_until = $2, next_at = $3 where name = $1",
            )
            .bind(name)
            .bind(now)
            .bind(next.map(Timestamp::to_sqlx))
            .execute(&mut *conn)
            .await?;
        }
        one(conn, name).await
    }

    /// Enqueues its job at once, also while it is paused. The clock's ticks come as ever.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, or an error if Postgres fails.
    pub async fn run_now(&self, name: &str) -> Result<TickView, ScheduleError> {
        let mut tx = self.queue.pool().begin().await?;
        let tick = self.run_in(&mut tx, name).await?;
        tx.commit().await?;
        self.push(&tick).await;
        Ok(tick)
    }

    /// The same with the caller's commit. [`Schedules::push`] the tick after it.
    ///
    /// # Errors
    /// Returns the errors of [`Schedules::run_now`].
    pub async fn run_in(&self, conn: &mut PgConnection, name: &str) -> Result<TickView, ScheduleError> {
        loop {
            let now: Option<jiff_sqlx::Timestamp> =
                sqlx::query_scalar("select clock_timestamp() from schedules where name = $1 for key share")
                    .bind(name)
                    .fetch_optional(&mut *conn)
                    .await?;
            let fire_at = now.ok_or_else(|| ScheduleError::NotFound(name.into()))?.to_jiff();
            // By the transaction's time, which is earlier: it runs now.
            let tick =
                NewTick { schedule: name.into(), fire_at, cause: Cause::RunNow, run_at: Some(Timestamp::UNIX_EPOCH) };
            let (_, jobs) = schedules::record(conn, &[tick]).await?;
            // None: somebody else asked in the same microsecond.
            if let [job] = jobs[..] {
                let (job_id, job_state) = (Some(job), Some("available".into()));
                return Ok(TickView { fire_at, cause: Cause::RunNow, job_id, job_state, created_at: fire_at });
            }
        }
    }

    /// Hands the job of a committed [`Schedules::run_in`] to the broker. What this fails to push is found by the sweep.
    pub async fn push(&self, tick: &TickView) {
        if let Some(job) = tick.job_id {
            cron::push(&self.queue, &[job]).await;
        }
    }

    /// Removes it and its ticks. Jobs that it has enqueued stay.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, or an error if Postgres fails.
    pub async fn delete(&self, name: &str) -> Result<(), ScheduleError> {
        let gone = sqlx::query("delete from schedules where name = $1").bind(name).execute(self.queue.pool()).await?;
        if gone.rows_affected() == 0 {
            return Err(ScheduleError::NotFound(name.into()));
        }
        Ok(())
    }

    /// Its ticks before `cursor`, the newest first, at most 200 of them.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, or an error if Postgres fails.
    pub async fn ticks(&self, name: &str, cursor: Option<Timestamp>, limit: u16) -> Result<TickPage, ScheduleError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let rows: Vec<TickRow> = sqlx::query_as(
            "select t.fire_at, t.cause, t.job_id, j.state as job_state, t.created_at as ticked_at
             from schedule_ticks t left join jobs j on j.id = t.job_id
             where t.schedule = $1 and ($2::timestamptz is null or t.fire_at < $2)
             order by t.fire_at desc limit $3",
        )
        .bind(name)
        .bind(cursor.map(Timestamp::to_sqlx))
        .bind(i64::from(limit))
        .fetch_all(self.queue.pool())
        .await?;
        if rows.is_empty() {
            self.get(name).await?;
        }
        let ticks: Vec<TickView> = rows.into_iter().filter_map(TickRow::into_view).collect();
        let next = ticks.last().filter(|_| ticks.len() == usize::from(limit)).map(|tick| tick.fire_at);
        Ok(TickPage { ticks, next })
    }
}

async fn one(db: impl PgExecutor<'_>, name: &str) -> Result<ScheduleView, ScheduleError> {
    views(db, Some(name)).await?.pop().ok_or_else(|| ScheduleError::NotFound(name.into()))
}

async fn views(db: impl PgExecutor<'_>, name: Option<&str>) -> Result<Vec<ScheduleView>, ScheduleError> {
    let rows: Vec<ScheduleRow> = sqlx::query_as(
        "select s.name, s.cron, s.time_zone, s.catch_up, s.jitter_seconds, s.paused, s.job, s.created_at,
                s.updated_at, now() as now,
                (select count(*) from schedule_ticks m where m.schedule = s.name and m.cause = 'missed') as missed,
                t.fire_at, t.cause, t.job_id, j.state as job_state, t.created_at as ticked_at
         from schedules s
         left join lateral (
            select * from schedule_ticks t where t.schedule = s.name and t.cause <> 'missed'
            order by t.fire_at desc limit 1
         ) t on true
         left join jobs j on j.id = t.job_id
         where $1::text is null or s.name = $1
         order by s.name",
    )
    .bind(name)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(ScheduleRow::into_view).collect())
}
