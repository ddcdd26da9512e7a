//! A clock that tests can move: Postgres'.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::PgPool;

/// The clock of one database, which a test can move. Everything that decides by time asks `now()` or
/// `clock_timestamp()` there, so production code runs as it is: a schema that stands before Postgres' own in the search
/// path has functions of these names, which add an offset.
///
/// Time goes on as ever between two moves. In the middle of a transaction, `now()` moves too.
#[derive(Clone, Debug)]
pub struct Clock {
    pool: PgPool,
}

const INSTALL: &str = include_str!("install_clock.sql");

impl Clock {
    /// Takes over the clock of the database behind `pool`, before its migrations or after them, and before anything runs:
    /// every session there ends, and pools open new ones.
    ///
    /// # Panics
    /// When it cannot: the database has such a clock already, or the role may not do this.
    pub async fn install(pool: &PgPool) -> Self {
        let mut connection = pool.acquire().await.expect("Postgres answers").detach();
        sqlx::raw_sql(INSTALL).execute(&mut connection).await.expect("the clock is installed");
        drop(connection);
        Self { pool: pool.clone() }
    }

    /// What it shows.
    ///
    /// # Panics
    /// When Postgres does not answer, as all its functions.
    pub async fn now(&self) -> Timestamp {
        let micros = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
        let micros = micros.fetch_one(&self.pool).await.expect("Postgres answers");
        Timestamp::from_microsecond(micros).expect("a time within reason")
    }

    /// Moves it forward.
    pub async fn advance(&self, by: Duration) {
        sqlx::query("update test_clock.moved set by = moved.by + $1 * interval '1 microsecond'")
            .bind(i64::try_from(by.as_micros()).expect("less than an eternity"))
            .execute(&self.pool)
            .await
            .expect("the clock moves");
    }

    /// Sets it to this time, from where it goes on. It may go back, too.
    pub async fn set(&self, to: Timestamp) {
        sqlx::query("update test_clock.moved set by = $1::timestamptz - pg_catalog.clock_timestamp()")
            .bind(to.to_string())
            .execute(&self.pool)
            .await
            .expect("the clock moves");
    }
}
