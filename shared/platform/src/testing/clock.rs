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

const INSTALL: &str = "
create schema test_clock;
create table test_clock.moved (by interval not null);
insert into test_clock.moved values ('0');
create function test_clock.now() returns timestamptz language sql stable parallel safe
    as 'select pg_catalog.now() + (select moved.by from test_clock.moved)';
create function test_clock.clock_timestamp() returns timestamptz language sql volatile parallel safe
    as 'select pg_catalog.clock_timestamp() + (select moved.by from test_clock.moved)';

-- Defaults know the function they were made with, not its name.
do $$
declare
    known record;
begin
    for known in
        select a.attrelid::regclass as of, a.attname, replace(pg_get_expr(d.adbin, d.adrelid), 'pg_catalog.', '') as what
        from pg_attrdef d
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        join pg_class c on c.oid = d.adrelid
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('pg_catalog', 'information_schema')
    loop
        if known.what in ('now()', 'clock_timestamp()', 'CURRENT_TIMESTAMP') then
            execute format('alter table %s alter column %I set default test_clock.%s', known.of, known.attname,
                           case known.what when 'clock_timestamp()' then known.what else 'now()' end);
        end if;
    end loop;
    execute format('alter database %I set search_path = test_clock, pg_catalog, public', current_database());
end
$$;

-- Sessions know the search path from their start.
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";

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
