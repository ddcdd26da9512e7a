//! Schedules: made, looked at, paused, run by hand.

mod new;
mod of_job;
mod view;

pub use new::{NewSchedule, ScheduleError};
pub use view::{ScheduleView, TickPage, TickView};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, types::Json};

use crate::{
    Cause, Content, ContentKind, CronError, JobSpec, Queue, Schema, codec,
    codec::encryption_key,
    cron::{self, Ticks},
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
    /// new expression, time zone or bound owes nothing of the past. One that has no ticks left is over.
    ///
    /// # Errors
    /// Returns an error if a field has an impossible value, [`ScheduleError::Over`] if there is none of this name and no tick of it
    /// would come, or an error if Postgres fails.
    pub async fn put(&self, new: &NewSchedule) -> Result<ScheduleView, ScheduleError> {
        let (ticks, zone) = check(new, self.queue.config().intake())?;
        let now: jiff_sqlx::Timestamp = sqlx::query_scalar("select now()").fetch_one(self.queue.pool()).await?;
        let next = ticks.next_after(now.to_jiff());
        if next.is_none() {
            if ticks.never_comes() {
                return Err(CronError::Never { expression: new.cron.clone() }.into());
            }
            // One that is there has had its ticks: an application says at each start what it is to be.
            if let Err(ScheduleError::NotFound(name)) = self.get(&new.name).await {
                return Err(ScheduleError::Over(name));
            }
        }
        let job = self.kept(new).await?;
        sqlx::query(self.queue.schema().sql(include_str!("schedules/put.sql")))
            .bind(&new.name)
            .bind(new.cron.trim())
            .bind(zone.iana_name().unwrap_or(&new.time_zone))
            .bind(new.catch_up)
            .bind(i32::try_from(new.jitter_seconds).unwrap_or(i32::MAX))
            .bind(Json(&job))
            .bind(now)
            .bind(next.map(Timestamp::to_sqlx))
            .bind(new.overlap)
            .bind(new.starts_at.map(Timestamp::to_sqlx))
            .bind(new.ends_at.map(Timestamp::to_sqlx))
            .execute(self.queue.pool())
            .await?;
        self.get(&new.name).await
    }

    /// Its job as it is kept. Encrypted again, an equal payload would look like another one: the schedule would be changed at each start
    /// of an application.
    async fn kept(&self, new: &NewSchedule) -> Result<JobSpec, ScheduleError> {
        let config = self.queue.config();
        let mut job = new.job.kept(config.intake())?;
        let Some(key) = encryption_key(&job.payload) else { return Ok(job) };
        let before = match self.get(&new.name).await {
            Ok(before) => before.job,
            Err(ScheduleError::NotFound(_)) => return Ok(job),
            Err(error) => return Err(error),
        };
        let content = Content::new(&before.name, ContentKind::Payload);
        let same = before.name == job.name
            && encryption_key(&before.payload) == Some(key)
            && codec::decode(config.codec(), content, &before.payload.to_string())
                .is_ok_and(|json| serde_json::from_str(&json).is_ok_and(|payload: Value| payload == new.job.payload));
        if same {
            job.payload = before.payload;
        }
        Ok(job)
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn list(&self) -> Result<Vec<ScheduleView>, ScheduleError> {
        views(self.queue.schema(), self.queue.pool(), None).await
    }

    /// One of them.
    ///
    /// # Errors
    /// Returns [`ScheduleError::NotFound`] if there is no such schedule, or an error if Postgres fails.
    pub async fn get(&self, name: &str) -> Result<ScheduleView, ScheduleError> {
        one(self.queue.schema(), self.queue.pool(), name).await
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
        sqlx::query(
            self.queue
                .schema()
                .sql("update gristmill.schedules set paused = true, updated_at = now() where name = $1 and not paused"),
        )
        .bind(name)
        .execute(&mut *conn)
        .await?;
        one(self.queue.schema(), conn, name).await
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
        let paused: Option<PausedRow> = sqlx::query_as(self.queue.schema().sql(
            "select cron, time_zone, starts_at, ends_at, now() as now from gristmill.schedules where name = $1 and paused for update",
        ))
        .bind(name)
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(PausedRow { cron, time_zone, starts_at, ends_at, now }) = paused {
            let [starts_at, ends_at] = [starts_at, ends_at].map(|at| at.map(jiff_sqlx::Timestamp::to_jiff));
            let next = Ticks::of(&cron, zone(&time_zone)?, starts_at, ends_at)?.next_after(now.to_jiff());
            sqlx::query(self.queue.schema().sql("update gristmill.schedules set paused = false, updated_at = now(), ticked_until = $2, next_at = $3 where name = $1"))
            .bind(name)
            .bind(now)
            .bind(next.map(Timestamp::to_sqlx))
            .execute(&mut *conn)
            .await?;
        }
        one(self.queue.schema(), conn, name).await
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
            let now: Option<jiff_sqlx::Timestamp> = sqlx::query_scalar(
                self.queue
                    .schema()
                    .sql("select clock_timestamp() from gristmill.schedules where name = $1 for key share"),
            )
            .bind(name)
            .fetch_optional(&mut *conn)
            .await?;
            let fire_at = now.ok_or_else(|| ScheduleError::NotFound(name.into()))?.to_jiff();
            // By the transaction's time, which is earlier: it runs now.
            let tick =
                NewTick { schedule: name.into(), fire_at, cause: Cause::RunNow, run_at: Some(Timestamp::UNIX_EPOCH) };
            let (_, jobs) = schedules::record(self.queue.schema(), conn, &[tick]).await?;
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
        let gone = sqlx::query(self.queue.schema().sql("delete from gristmill.schedules where name = $1"))
            .bind(name)
            .execute(self.queue.pool())
            .await?;
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
        let rows: Vec<TickRow> = sqlx::query_as(self.queue.schema().sql(
            "select t.fire_at, t.cause, t.job_id, j.state as job_state, t.created_at as ticked_at
             from gristmill.schedule_ticks t left join gristmill.jobs j on j.id = t.job_id
             where t.schedule = $1 and ($2::timestamptz is null or t.fire_at < $2)
             order by t.fire_at desc limit $3",
        ))
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

/// A schedule that may fire again.
#[derive(sqlx::FromRow)]
struct PausedRow {
    cron: String,
    time_zone: String,
    starts_at: Option<jiff_sqlx::Timestamp>,
    ends_at: Option<jiff_sqlx::Timestamp>,
    now: jiff_sqlx::Timestamp,
}

async fn one(schema: Schema, db: impl PgExecutor<'_>, name: &str) -> Result<ScheduleView, ScheduleError> {
    views(schema, db, Some(name)).await?.pop().ok_or_else(|| ScheduleError::NotFound(name.into()))
}

async fn views(
    schema: Schema,
    db: impl PgExecutor<'_>,
    name: Option<&str>,
) -> Result<Vec<ScheduleView>, ScheduleError> {
    let rows: Vec<ScheduleRow> = sqlx::query_as(schema.sql("select s.name, s.cron, s.time_zone, s.catch_up, s.overlap, s.jitter_seconds, s.starts_at, s.ends_at,
                s.next_at is null as ended, s.paused, s.job, s.created_at,
                s.updated_at, now() as now,
                (select count(*) from gristmill.schedule_ticks m where m.schedule = s.name and m.cause = 'missed') as missed,
                t.fire_at, t.cause, t.job_id, j.state as job_state, t.created_at as ticked_at
         from gristmill.schedules s
         left join lateral (
            select * from gristmill.schedule_ticks t where t.schedule = s.name and t.cause not in ('missed', 'skipped')
            order by t.fire_at desc limit 1
         ) t on true
         left join gristmill.jobs j on j.id = t.job_id
         where $1::text is null or s.name = $1
         order by s.name"))
    .bind(name)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(ScheduleRow::into_view).collect())
}
