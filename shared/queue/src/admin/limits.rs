//! Limits by the name of a job, whichever queue it is in, and the pools of slots that jobs of several names share.

mod view;

pub use view::{JobLimits, JobLimitsView, NamedLimitsView, SlotPoolView};

use std::collections::BTreeMap;

use sqlx::{PgConnection, types::Json};

use crate::{LimitsError, Queue, QueueError};
use view::{JobRow, PoolRow};

macro_rules! set_limits {
    () => {
        "insert into gristmill.job_limits (name, concurrency, rate_per_second, burst, key_concurrency, uses, limits_said, updated_at)
         values ($1, $2, $3, $4, $5, $6, true, clock_timestamp())
         on conflict (name) do update set
            concurrency = excluded.concurrency, rate_per_second = excluded.rate_per_second, burst = excluded.burst,
            key_concurrency = excluded.key_concurrency, uses = excluded.uses, limits_said = true, updated_at = excluded.updated_at"
    };
}

macro_rules! set_pool {
    () => {
        "insert into gristmill.slot_pools (name, slots, limits_said, updated_at) values ($1, $2, true, clock_timestamp())
         on conflict (name) do update set slots = excluded.slots, limits_said = true, updated_at = excluded.updated_at"
    };
}

/// Limits by name: see [`Queue::limits`].
#[derive(Clone)]
pub struct NamedLimits {
    queue: Queue,
}

impl Queue {
    /// What jobs are held to by their names, and the pools of slots that they share, over all queues and workers.
    ///
    /// A job that there is no room for waits in the ledger, where it holds up nobody in its queue and costs no attempt.
    #[must_use]
    pub fn limits(&self) -> NamedLimits {
        NamedLimits { queue: self.clone() }
    }
}

impl NamedLimits {
    /// All names that something was said of, and all pools.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn list(&self) -> Result<NamedLimitsView, QueueError> {
        let schema = self.queue.schema();
        // Counted up to a bound: a backlog may be long.
        let jobs: Vec<JobRow> = sqlx::query_as(schema.sql(
            "select l.name, l.concurrency, l.rate_per_second, l.burst, l.key_concurrency, l.uses,
                    gristmill.slots_taken(l.name, false) as running,
                    (select count(*) from (
                        select from gristmill.jobs j where j.name = l.name and j.gate = 'slot' and j.state = 'scheduled' limit 10001) w) as waiting
             from gristmill.job_limits l order by l.name",
        ))
        .fetch_all(self.queue.pool())
        .await?;
        let pools: Vec<PoolRow> = sqlx::query_as(schema.sql(
            "select p.name, p.slots, (
                select coalesce(sum((l.uses->>p.name)::bigint * gristmill.slots_taken(l.name, false)), 0)::bigint
                from gristmill.job_limits l where l.uses ? p.name) as taken
             from gristmill.slot_pools p order by p.name",
        ))
        .fetch_all(self.queue.pool())
        .await?;
        Ok(NamedLimitsView {
            jobs: jobs.into_iter().map(JobRow::into_view).collect(),
            pools: pools.into_iter().map(PoolRow::into_view).collect(),
        })
    }

    /// Holds the jobs of this name to these limits, in place of those they had. They count for what starts from now on: what
    /// runs is left to run.
    ///
    /// # Errors
    /// Returns [`LimitsError::Unusable`] for a limit of zero or an impossible rate, [`LimitsError::NoPool`] or
    /// [`LimitsError::TooFewSlots`] if it could not run for the pools that it uses, or an error if Postgres fails.
    pub async fn set_job(&self, name: &str, limits: &JobLimits) -> Result<(), LimitsError> {
        self.write_job(name, limits, set_limits!()).await
    }

    /// The same, unless somebody has said before what they are held to.
    ///
    /// # Errors
    /// Returns the errors of [`NamedLimits::set_job`].
    pub async fn default_job(&self, name: &str, limits: &JobLimits) -> Result<(), LimitsError> {
        self.write_job(name, limits, concat!(set_limits!(), " where not job_limits.limits_said")).await
    }

    /// Makes a pool of so many slots, or gives the one of this name so many.
    ///
    /// # Errors
    /// Returns [`LimitsError::Unusable`] for no slots, [`LimitsError::TooFewSlots`] if a job takes more of it than that, or an error
    /// if Postgres fails.
    pub async fn set_pool(&self, name: &str, slots: u32) -> Result<(), LimitsError> {
        self.write_pool(name, slots, set_pool!()).await
    }

    /// The same, unless somebody has said before how many it has.
    ///
    /// # Errors
    /// Returns the errors of [`NamedLimits::set_pool`].
    pub async fn default_pool(&self, name: &str, slots: u32) -> Result<(), LimitsError> {
        self.write_pool(name, slots, concat!(set_pool!(), " where not slot_pools.limits_said")).await
    }

    /// Removes a pool that no job uses. Returns whether there was one.
    ///
    /// # Errors
    /// Returns [`LimitsError::PoolInUse`] if a job takes slots of it, or an error if Postgres fails.
    pub async fn remove_pool(&self, name: &str) -> Result<bool, LimitsError> {
        let schema = self.queue.schema();
        let mut tx = self.queue.pool().begin().await.map_err(QueueError::from)?;
        lock_pools(&self.queue, &mut tx, &[name]).await?;
        let user: Option<String> = sqlx::query_scalar(
            schema.sql("select name from gristmill.job_limits where uses ? $1 order by name limit 1"),
        )
        .bind(name)
        .fetch_optional(&mut *tx)
        .await
        .map_err(QueueError::from)?;
        if let Some(job) = user {
            return Err(LimitsError::PoolInUse { pool: name.to_owned(), job });
        }
        let gone = sqlx::query(schema.sql("delete from gristmill.slot_pools where name = $1"))
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(QueueError::from)?;
        tx.commit().await.map_err(QueueError::from)?;
        Ok(gone.rows_affected() > 0)
    }

    async fn write_job(&self, name: &str, limits: &JobLimits, sql: &'static str) -> Result<(), LimitsError> {
        limits.check()?;
        let uses: BTreeMap<&String, &u32> = limits.uses.iter().filter(|(_, slots)| **slots > 0).collect();
        if name.contains('\0') {
            return Err(QueueError::Nul("the job's name").into());
        }
        let mut tx = self.queue.pool().begin().await.map_err(QueueError::from)?;
        let used: Vec<&str> = uses.keys().map(|pool| pool.as_str()).collect();
        let pools = lock_pools(&self.queue, &mut tx, &used).await?;
        for (pool, uses) in &uses {
            let Some((_, slots)) = pools.iter().find(|(name, _)| name == *pool) else {
                return Err(LimitsError::NoPool { pool: (*pool).clone() });
            };
            if **uses > slots.unsigned_abs() {
                let (job, pool, slots) = (name.to_owned(), (*pool).clone(), slots.unsigned_abs());
                return Err(LimitsError::TooFewSlots { pool, slots, job, uses: **uses });
            }
        }
        let number = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
        sqlx::query(self.queue.schema().sql(sql))
            .bind(name)
            .bind(number(limits.concurrency))
            .bind(limits.rate_per_second)
            .bind(number(limits.burst))
            .bind(number(limits.key_concurrency))
            .bind(Json(&uses))
            .execute(&mut *tx)
            .await
            .map_err(QueueError::from)?;
        self.tell(&mut tx).await?;
        Ok(tx.commit().await.map_err(QueueError::from)?)
    }

    async fn write_pool(&self, name: &str, slots: u32, sql: &'static str) -> Result<(), LimitsError> {
        let Some(number) = i32::try_from(slots).ok().filter(|slots| *slots > 0) else {
            return Err(LimitsError::Unusable { limit: "slots" });
        };
        if name.contains('\0') {
            return Err(QueueError::Nul("the pool's name").into());
        }
        let mut tx = self.queue.pool().begin().await.map_err(QueueError::from)?;
        lock_pools(&self.queue, &mut tx, &[name]).await?;
        let larger: Option<(String, i64)> = sqlx::query_as(self.queue.schema().sql(
            "select name, (uses->>$1)::bigint from gristmill.job_limits where (uses->>$1)::bigint > $2 order by name limit 1",
        ))
        .bind(name)
        .bind(i64::from(number))
        .fetch_optional(&mut *tx)
        .await
        .map_err(QueueError::from)?;
        if let Some((job, uses)) = larger {
            let uses = u32::try_from(uses).unwrap_or(u32::MAX);
            return Err(LimitsError::TooFewSlots { pool: name.to_owned(), slots, job, uses });
        }
        sqlx::query(self.queue.schema().sql(sql))
            .bind(name)
            .bind(number)
            .execute(&mut *tx)
            .await
            .map_err(QueueError::from)?;
        self.tell(&mut tx).await?;
        Ok(tx.commit().await.map_err(QueueError::from)?)
    }

    /// With the commit the sweep looks who there is room for now.
    async fn tell(&self, conn: &mut PgConnection) -> Result<(), QueueError> {
        sqlx::query("select pg_notify($1, 'slots')").bind(self.queue.schema().name()).execute(conn).await?;
        Ok(())
    }
}

/// These pools with their slots, as far as there are such. They stay until the end of the transaction.
async fn lock_pools(queue: &Queue, conn: &mut PgConnection, names: &[&str]) -> Result<Vec<(String, i32)>, QueueError> {
    let sql = queue
        .schema()
        .sql("select name, slots from gristmill.slot_pools where name = any($1) order by name for update");
    Ok(sqlx::query_as(sql).bind(names).fetch_all(conn).await?)
}
