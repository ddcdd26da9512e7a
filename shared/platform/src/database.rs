//! Postgres: connections, migrations, readiness.

mod large_indexes;

use std::str::FromStr;
use std::time::{Duration, Instant};

use gristmill_queue::{PendingMigrations, Schema};
use secrecy::ExposeSecret;
use sqlx::Connection as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::config::DatabaseConfig;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No URL was given.
    #[error("no database was given")]
    NoUrl,
    /// The URL is not one of Postgres.
    #[error("DATABASE_URL is not a URL of Postgres")]
    BadUrl(#[source] sqlx::Error),
    /// The server did not answer in time, or refused.
    #[error("cannot reach Postgres at {server}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What it said last.
        source: sqlx::Error,
    },
    /// The server answers, and nothing can be written to it.
    #[error("Postgres at {server} is read-only: a standby, or set so")]
    ReadOnly {
        /// Host and port.
        server: String,
    },
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migrate(#[from] MigrateError),
    /// The queue's own schema could not be brought up to date.
    #[error(transparent)]
    MigrateQueue(#[from] gristmill_queue::MigrateError),
}

impl DatabaseError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        let advice = match self {
            Self::NoUrl => "set DATABASE_URL, or let `gristmill up` start a private Postgres",
            Self::BadUrl(_) => "write it like postgres://user:password@host/database",
            Self::Unreachable { .. } => "start Postgres, or correct DATABASE_URL; `gristmill doctor` says more",
            Self::ReadOnly { .. } => {
                "give the address of the primary in DATABASE_URL (target_session_attrs is not read), or promote the standby"
            }
            Self::Migrate(MigrateError::VersionMismatch(_) | MigrateError::VersionMissing(_)) => {
                "the database belongs to another version of gristmill: use that one, or an empty database (`gristmill up --fresh` deletes its own)"
            }
            Self::MigrateQueue(gristmill_queue::MigrateError::Changed { .. }) => {
                "the queue's tables belong to another version of gristmill: use that one, or an empty database"
            }
            Self::Migrate(_) | Self::MigrateQueue(_) => "correct what the cause says and run `gristmill migrate` again",
        };
        advice.to_owned()
    }
}

/// Opens a pool, and waits up to `database_timeout` for a server that is not up yet, or is a standby that may become more.
pub async fn connect(config: &DatabaseConfig) -> Result<PgPool, DatabaseError> {
    open(config, None).await
}

/// The same for who answers requests: no statement runs for longer than `patience`, and one that nobody waits for any more,
/// because its client hung up, ends within a second or so. What has to take longer says so (`set local statement_timeout`).
pub async fn connect_for_requests(config: &DatabaseConfig, patience: Duration) -> Result<PgPool, DatabaseError> {
    open(config, Some(patience)).await
}

async fn open(config: &DatabaseConfig, patience: Option<Duration>) -> Result<PgPool, DatabaseError> {
    let url = config.database_url.as_ref().ok_or(DatabaseError::NoUrl)?;
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(DatabaseError::BadUrl)?;
    let pool = pool(config, options.clone(), patience);
    let deadline = Instant::now() + config.database_timeout;
    let mut pause = Duration::from_millis(50);
    loop {
        let asked = async { is_read_only(&mut *pool.acquire().await?).await };
        let error = match asked.await {
            Ok(false) => return Ok(pool),
            Ok(true) => {
                if Instant::now() + pause > deadline {
                    let server = format!("{}:{}", options.get_host(), options.get_port());
                    return Err(DatabaseError::ReadOnly { server });
                }
                tracing::warn!("waiting for Postgres to take writes");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
            Err(error) => error,
        };
        if !may_pass(&error) || Instant::now() + pause > deadline {
            let server = format!("{}:{}", options.get_host(), options.get_port());
            return Err(DatabaseError::Unreachable { server, source: error });
        }
        tracing::warn!(%error, "waiting for Postgres");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// Whether the server takes no writes now.
async fn is_read_only(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean")
        .fetch_one(connection)
        .await
}

/// Opens a pool that connects when it is first used: for a role that must answer before its database does.
pub fn connect_lazily(config: &DatabaseConfig) -> Result<PgPool, DatabaseError> {
    let url = config.database_url.as_ref().ok_or(DatabaseError::NoUrl)?;
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(DatabaseError::BadUrl)?;
    Ok(pool(config, options, None))
}

/// How long the statement of a connection that was dropped may still take before it is broken off.
const DROPPED: Duration = Duration::from_millis(250);

fn pool(config: &DatabaseConfig, options: PgConnectOptions, patience: Option<Duration>) -> PgPool {
    // How often the server looks whether the client of a statement is still there.
    let looks = if patience.is_some() { "500ms" } else { "2s" };
    PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, of| Box::pin(gristmill_queue::test_idle_connection(connection, of)))
        .max_connections(config.database_pool)
        .acquire_timeout(config.database_timeout)
        .acquire_slow_threshold(Duration::from_secs(5))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                // A client that dies while its statement waits for a lock must not keep its locks. Not every platform's
                // server can look; it is no reason to do without the connection.
                let check = format!("set client_connection_check_interval = '{looks}'");
                let _ = sqlx::query(&check).execute(&mut *connection).await;
                // Statements over a chunk's thousands of keys look dear to the planner; compiling them costs more than it
                // saves.
                sqlx::query("set jit = off").execute(&mut *connection).await?;
                leave_own_schema(&mut *connection).await?;
                // What requests ask is planned once: it is found by its keys, whatever the tables' sizes.
                if patience.is_none() {
                    gristmill_queue::tune_connection(&mut *connection).await?;
                }
                if let Some(patience) = patience {
                    sqlx::query("select set_config('statement_timeout', $1, false)")
                        .bind(patience.as_millis().to_string())
                        .execute(connection)
                        .await?;
                }
                Ok(())
            })
        })
        .after_release(move |connection, _| {
            Box::pin(async move { Ok(patience.is_none() || has_ended(connection).await) })
        })
        .connect_lazy_with(options.application_name("gristmill"))
}

/// Takes the schema that is called like the role out of the search path: the private engine's role is called like the queue's
/// schema, which Postgres would look into first, and create in, whatever is named without a schema.
pub(crate) async fn leave_own_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(r#"select set_config('search_path', replace(current_setting('search_path'), '"$user", ', ''), false)"#)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether the connection waits for its next statement. Of one that was dropped within a statement sqlx would wait for the
/// end of it; when it is closed instead, the server sees that nobody is there, and ends the statement.
async fn has_ended(connection: &mut PgConnection) -> bool {
    match tokio::time::timeout(DROPPED, connection.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection broke while nobody waited for it");
            false
        }
        Err(_) => {
            tracing::debug!("a statement is broken off: nobody waits for it any more");
            false
        }
    }
}

/// Whether the error is one of a server that is starting, stopping or not there yet.
fn may_pass(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut) || gristmill_queue::is_not_up(error)
}

/// Whether the database gave a statement up because it ran for longer than it may.
pub fn took_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes =
        std::iter::successors(Some(error), |error| error.source()).filter_map(|cause| cause.downcast_ref());
    // query_canceled
    causes.any(|error: &sqlx::Error| error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("57014")))
}

/// Brings the tables of the product, and the queue's in their own schema, up to date. Several processes may do so at once:
/// one works, the others wait.
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    // Detached, as its search path is its own: see `leave_own_schema`.
    let mut conn = pool.acquire().await.map_err(MigrateError::Execute)?.detach();
    sqlx::query("set search_path = public").execute(&mut conn).await.map_err(MigrateError::Execute)?;
    let migrated = match large_indexes::prepare(&mut conn).await {
        Ok(()) => MIGRATOR.run_direct(&mut conn).await,
        Err(error) => Err(MigrateError::Execute(error)),
    };
    conn.close().await.map_err(MigrateError::Execute)?;
    migrated?;
    Ok(gristmill_queue::migrate(pool, Schema::default()).await?)
}

/// Whether the database answers and its schemas are the ones this binary was built for.
pub async fn ready(pool: &PgPool) -> Result<(), NotReady> {
    if is_read_only(&mut *pool.acquire().await?).await? {
        return Err(NotReady::ReadOnly);
    }
    let migrations = migrations(pool).await?;
    if !migrations.changed.is_empty() {
        return Err(NotReady::Changed(migrations.changed));
    }
    if !migrations.pending.is_empty() {
        return Err(NotReady::Pending(migrations.pending.len()));
    }
    Ok(())
}

/// Why the database cannot be used yet.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It does not answer.
    #[error("Postgres does not answer")]
    Database(#[from] sqlx::Error),
    /// Nothing can be written to it.
    #[error("Postgres is read-only: it is a standby, or set so; give the primary's address in DATABASE_URL")]
    ReadOnly,
    /// Some migrations have not run.
    #[error("{0} migrations have not run: run `gristmill migrate`")]
    Pending(usize),
    /// Migrations differ from those that ran.
    #[error("the migrations {0:?} differ from those that ran on this database: it belongs to another version")]
    Changed(Vec<i64>),
}

/// What the product's and the queue's migrations would do here.
async fn migrations(pool: &PgPool) -> Result<PendingMigrations, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass('public._sqlx_migrations') is not null").fetch_one(pool).await?;
    let applied: Vec<(i64, Vec<u8>)> = if exists {
        sqlx::query_as("select version, checksum from public._sqlx_migrations where success").fetch_all(pool).await?
    } else {
        Vec::new()
    };
    let mut found = gristmill_queue::pending_migrations(pool, Schema::default()).await?;
    let own = PendingMigrations::of(&MIGRATOR, &applied.into_iter().collect());
    found.pending.extend(own.pending);
    found.changed.extend(own.changed);
    Ok(found)
}
