//! The queue's own migrations, in its own schema.

mod functions;

use std::collections::BTreeMap;

use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool,
    migrate::{Migrate as _, Migration, Migrator},
};
use tracing::{info, warn};

use crate::Schema;

/// Written without a schema: they run with the schema as the only one in the search path. Which of them have run stands in
/// the schema's table `migrations` and not in a `_sqlx_migrations`, which an application may have for its own ones, and
/// which Postgres would look for here first when the schema is called like the role.
static MIGRATOR: Migrator = sqlx::migrate!();

const CREATE_MIGRATIONS: &str = "create table if not exists migrations (
    version    bigint      primary key,
    name       text        not null,
    checksum   bytea       not null, -- SHA-384 of the file
    applied_at timestamptz not null default now()
)";

/// Why the queue's tables could not be made or brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The schema holds something else.
    #[error(
        "the schema {0} has a table jobs that is not the queue's: set another schema for the queue (GRISTMILL_SCHEMA, QueueConfig::schema)"
    )]
    Foreign(Schema),
    /// Postgres does not answer, or refused.
    #[error("the queue's schema could not be brought up to date")]
    Database(#[from] sqlx::Error),
    /// The migrator's lock was not to be had.
    #[error("the queue's schema could not be brought up to date")]
    Lock(#[source] sqlx::migrate::MigrateError),
    /// A migration that has run differs from the one of its number here.
    #[error(
        "migration {version} of the queue's schema {schema} differs from the one that ran: its tables belong to another version"
    )]
    Changed {
        /// Where the tables are.
        schema: Schema,
        /// The migration's number.
        version: i64,
    },
}

/// Creates the queue's tables in `schema`, or brings them up to date. Several processes may do so at once: one works, the
/// others wait. Tables elsewhere in the database, and migrations of the application's own, are not looked at.
///
/// # Errors
/// Returns an error if the schema holds tables of something else, if a migration differs from the one that ran, or if
/// Postgres fails.
pub async fn migrate(pool: &PgPool, schema: Schema) -> Result<(), MigrateError> {
    // Detached: its search path is not one for others.
    let mut conn = pool.acquire().await?.detach();
    let migrated = run(&mut conn, schema).await;
    conn.close().await?;
    migrated
}

async fn run(conn: &mut PgConnection, schema: Schema) -> Result<(), MigrateError> {
    // By the lock of sqlx' migrations: an application that runs its own ones meanwhile waits, too.
    conn.lock().await.map_err(MigrateError::Lock)?;
    let role: String = sqlx::query_scalar("select current_user::text").fetch_one(&mut *conn).await?;
    if role == schema.name() {
        warn!(
            "the role and the queue's schema are both called {schema}: Postgres looks there first for whatever is named without a \
             schema, and creates it there. Set the role's search_path to public, or the queue's schema to another name"
        );
    }
    sqlx::query(&format!("create schema if not exists {schema}")).execute(&mut *conn).await?;
    sqlx::query("select set_config('search_path', $1, false)").bind(schema.name()).execute(&mut *conn).await?;
    adopt(conn, schema).await?;
    let applied = applied(conn, "migrations").await?;
    for migration in MIGRATOR.iter() {
        match applied.get(&migration.version) {
            Some(checksum) if checksum[..] != migration.checksum[..] => {
                return Err(MigrateError::Changed { schema, version: migration.version });
            }
            Some(_) => {}
            None => apply(conn, schema, migration).await?,
        }
    }
    let functions = &*functions::MIGRATION;
    match applied.get(&functions.version) {
        Some(checksum) if checksum[..] != functions.checksum[..] => {
            return Err(MigrateError::Changed { schema, version: functions.version });
        }
        _ if functions::are_applied(&applied) => {}
        _ => apply(conn, schema, functions).await?,
    }
    conn.unlock().await.map_err(MigrateError::Lock)
}

async fn apply(conn: &mut PgConnection, schema: Schema, migration: &Migration) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin().await?;
    tx.execute(&*schema.rewrite(&migration.sql)).await?;
    record(&mut tx, migration).await?;
    tx.commit().await?;
    info!(
        version = migration.version,
        name = &*migration.description,
        "the queue's schema {schema} has a migration more"
    );
    Ok(())
}

/// Tables that came from a place where the queue had no migrations of its own are those of the first one.
async fn adopt(conn: &mut PgConnection, schema: Schema) -> Result<(), MigrateError> {
    let (tables, migrations, ours): (bool, bool, bool) = sqlx::query_as(
        "select to_regclass('jobs') is not null, to_regclass('migrations') is not null,
                exists (select from pg_attribute where attrelid = to_regclass('jobs') and attname = 'end_seen_at')",
    )
    .fetch_one(&mut *conn)
    .await?;
    if tables && !ours {
        return Err(MigrateError::Foreign(schema));
    }
    sqlx::query(CREATE_MIGRATIONS).execute(&mut *conn).await?;
    if tables && !migrations {
        for first in MIGRATOR.iter().take(1) {
            record(conn, first).await?;
        }
    }
    Ok(())
}

async fn record(conn: &mut PgConnection, migration: &Migration) -> Result<(), sqlx::Error> {
    sqlx::query("insert into migrations (version, name, checksum) values ($1, $2, $3)")
        .bind(migration.version)
        .bind(&*migration.description)
        .bind(&*migration.checksum)
        .execute(conn)
        .await?;
    Ok(())
}

/// The numbers and checksums of the migrations that have run.
async fn applied(conn: &mut PgConnection, table: &str) -> Result<BTreeMap<i64, Vec<u8>>, sqlx::Error> {
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as(&format!("select version, checksum from {table}")).fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

/// What `migrate` would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMigrations {
    /// Migrations that have not run.
    pub pending: Vec<i64>,
    /// Migrations that differ from those that ran: the tables belong to another version.
    pub changed: Vec<i64>,
}

impl PendingMigrations {
    /// What `migrator` would do where these have run: their numbers and checksums.
    #[must_use]
    pub fn of(migrator: &Migrator, applied: &BTreeMap<i64, Vec<u8>>) -> Self {
        let mut found = Self { pending: Vec::new(), changed: Vec::new() };
        migrator.iter().for_each(|migration| found.look_at(migration, applied));
        found
    }

    fn look_at(&mut self, migration: &Migration, applied: &BTreeMap<i64, Vec<u8>>) {
        match applied.get(&migration.version) {
            None => self.pending.push(migration.version),
            Some(checksum) if checksum[..] != migration.checksum[..] => self.changed.push(migration.version),
            Some(_) => {}
        }
    }
}

/// Which migrations the schema lacks. Newer ones than this binary knows are no fault: tables only grow from one release to
/// the next.
///
/// # Errors
/// Returns an error if Postgres is unreachable or a statement fails.
pub async fn pending_migrations(pool: &PgPool, schema: Schema) -> Result<PendingMigrations, sqlx::Error> {
    let table = format!("{schema}.migrations");
    let mut conn = pool.acquire().await?;
    let exists: bool =
        sqlx::query_scalar("select to_regclass($1) is not null").bind(&table).fetch_one(&mut *conn).await?;
    let applied = if exists { applied(&mut conn, &table).await? } else { BTreeMap::new() };
    let mut found = PendingMigrations::of(&MIGRATOR, &applied);
    let functions = &*functions::MIGRATION;
    if applied.contains_key(&functions.version) || !functions::are_applied(&applied) {
        found.look_at(functions, &applied);
    }
    Ok(found)
}

/// Every migration's number, name and statements, for who runs them with a tool of their own (Flyway, dbmate). Run them in
/// this order with the schema as the search path. The last one makes the queue's functions, as they are in this release, in the schema
/// `gristmill`, which [`Schema::rewrite`] puts another name in place of.
pub fn statements() -> impl Iterator<Item = (i64, &'static str, &'static str)> {
    let all = MIGRATOR.iter().chain([&*functions::MIGRATION]);
    all.map(|migration| (migration.version, &*migration.description, &*migration.sql))
}
