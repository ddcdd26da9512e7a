use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::PgPool;

use super::{Finding, chain};
use crate::config::DatabaseConfig;
use crate::database;

/// Pools of this many processes should fit: an API, two workers, a scheduler, and what is run by hand.
const PROCESSES: i64 = 5;

pub(super) async fn examine(config: &DatabaseConfig) -> Vec<Finding> {
    let patience = config.database_timeout.min(Duration::from_secs(5));
    let config = DatabaseConfig { database_timeout: patience, database_pool: 2, ..config.clone() };
    let pool = match database::connect(&config).await {
        Ok(pool) => pool,
        Err(error) => {
            let fix = "start Postgres, or correct DATABASE_URL; `gristmill up` starts a private one";
            return vec![Finding::fail("postgres.reachable", chain(&error), fix)];
        }
    };
    let found = look(&pool, &config).await;
    pool.close().await;
    found.unwrap_or_else(|error| {
        vec![Finding::fail(
            "postgres.reachable",
            chain(&error),
            "give the user of DATABASE_URL the right to read its settings",
        )]
    })
}

async fn look(pool: &PgPool, config: &DatabaseConfig) -> Result<Vec<Finding>, sqlx::Error> {
    let mut found = vec![version(pool).await?];
    found.push(lossy(pool, "fsync", "postgres.fsync").await?);
    found.push(lossy(pool, "full_page_writes", "postgres.full_page_writes").await?);
    found.push(lossy(pool, "synchronous_commit", "postgres.synchronous_commit").await?);
    found.push(connections(pool, config).await?);
    found.push(
        at_least(
            pool,
            "shared_buffers",
            "postgres.shared_buffers",
            128 << 20,
            "128MB; a quarter of the memory is usual",
        )
        .await?,
    );
    found.push(
        at_least(
            pool,
            "max_wal_size",
            "postgres.max_wal_size",
            4 << 30,
            "4GB or more, or bulk loads wait for checkpoints",
        )
        .await?,
    );
    found.push(checkpoint_timeout(pool).await?);
    found.push(compression(pool).await?);
    found.push(clock(pool).await?);
    found.push(migrations(pool).await);
    Ok(found)
}

async fn setting(pool: &PgPool, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(pool).await
}

fn alter(name: &str, value: &str) -> String {
    format!("alter system set {name} = '{value}'; then restart Postgres (or reload it: select pg_reload_conf())")
}

async fn version(pool: &PgPool) -> Result<Finding, sqlx::Error> {
    let number: i32 = setting(pool, "server_version_num").await?.parse().unwrap_or_default();
    let what = format!("Postgres {}", setting(pool, "server_version").await?);
    if number >= 140_000 {
        return Ok(Finding::ok("postgres.version", what));
    }
    Ok(Finding::fail("postgres.version", what, "use Postgres 14 or later"))
}

/// Settings that are on, or data can be lost.
async fn lossy(pool: &PgPool, name: &'static str, check: &'static str) -> Result<Finding, sqlx::Error> {
    let value = setting(pool, name).await?;
    let what = format!("{name} is {value}");
    if value == "off" {
        return Ok(Finding::fail(
            check,
            format!("{what}: a crash of the machine can lose accepted work"),
            alter(name, "on"),
        ));
    }
    Ok(Finding::ok(check, what))
}

async fn connections(pool: &PgPool, config: &DatabaseConfig) -> Result<Finding, sqlx::Error> {
    let most: i64 = setting(pool, "max_connections").await?.parse().unwrap_or_default();
    let reserved: i64 = setting(pool, "superuser_reserved_connections").await?.parse().unwrap_or_default();
    let needed = PROCESSES * i64::from(config.database_pool.max(DatabaseConfig::default().database_pool)) + reserved;
    let what = format!("max_connections is {most}");
    if most >= needed {
        return Ok(Finding::ok("postgres.max_connections", what));
    }
    let fix = format!("{}; or lower GRISTMILL_DATABASE_POOL", alter("max_connections", &needed.to_string()));
    Ok(Finding::warn("postgres.max_connections", format!("{what}: {PROCESSES} processes may need {needed}"), fix))
}

async fn at_least(
    pool: &PgPool,
    name: &'static str,
    check: &'static str,
    least: i64,
    wanted: &str,
) -> Result<Finding, sqlx::Error> {
    let text = setting(pool, name).await?;
    let bytes: i64 = sqlx::query_scalar("select pg_size_bytes(current_setting($1))").bind(name).fetch_one(pool).await?;
    let what = format!("{name} is {text}");
    if bytes >= least {
        return Ok(Finding::ok(check, what));
    }
    Ok(Finding::warn(check, what, format!("alter system set {name} to at least {wanted}; then restart Postgres")))
}

async fn checkpoint_timeout(pool: &PgPool) -> Result<Finding, sqlx::Error> {
    let text = setting(pool, "checkpoint_timeout").await?;
    let seconds: i64 = sqlx::query_scalar("select setting::bigint from pg_settings where name = 'checkpoint_timeout'")
        .fetch_one(pool)
        .await?;
    let what = format!("checkpoint_timeout is {text}");
    if seconds >= 300 {
        return Ok(Finding::ok("postgres.checkpoint_timeout", what));
    }
    Ok(Finding::warn("postgres.checkpoint_timeout", what, alter("checkpoint_timeout", "15min")))
}

async fn compression(pool: &PgPool) -> Result<Finding, sqlx::Error> {
    let value = setting(pool, "wal_compression").await?;
    let what = format!("wal_compression is {value}");
    if value != "off" {
        return Ok(Finding::ok("postgres.wal_compression", what));
    }
    Ok(Finding::warn(
        "postgres.wal_compression",
        format!("{what}: bulk loads write more than they must"),
        alter("wal_compression", "on"),
    ))
}

async fn clock(pool: &PgPool) -> Result<Finding, sqlx::Error> {
    let before = since_1970();
    let theirs: f64 =
        sqlx::query_scalar("select extract(epoch from clock_timestamp())::float8").fetch_one(pool).await?;
    let after = since_1970();
    let skew = (theirs - after).max(before - theirs).max(0.0);
    let what = format!("the clocks of this machine and of Postgres differ by {skew:.3} s");
    if skew < 2.0 {
        return Ok(Finding::ok("postgres.clock", what));
    }
    Ok(Finding::warn("postgres.clock", what, "run a time service (chrony, systemd-timesyncd) on both machines"))
}

fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

async fn migrations(pool: &PgPool) -> Finding {
    match database::ready(pool).await {
        Ok(()) => Finding::ok("postgres.migrations", "the schema is up to date"),
        Err(error @ database::NotReady::Changed(_)) => Finding::fail(
            "postgres.migrations",
            chain(&error),
            "use the version of gristmill this database belongs to, or an empty database",
        ),
        Err(error @ database::NotReady::ReadOnly) => Finding::fail(
            "postgres.writable",
            chain(&error),
            "give the primary's address in DATABASE_URL, or promote it",
        ),
        Err(error) => Finding::fail("postgres.migrations", chain(&error), "run `gristmill migrate`"),
    }
}
