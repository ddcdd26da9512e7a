//! Who did what.

use jiff_sqlx::Timestamp;
use sqlx::{FromRow, PgExecutor, PgPool};

use super::session::Session;

#[derive(FromRow)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) at: Timestamp,
    pub(super) who: String,
    pub(super) key: Option<String>,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) detail: Option<String>,
}

pub(super) async fn enter(
    db: impl PgExecutor<'_>,
    session: &Session,
    action: &str,
    target: &str,
    detail: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into audit_log (who, key, action, target, detail) values ($1, $2, $3, $4, $5)")
        .bind(&session.who)
        .bind(&session.key)
        .bind(action)
        .bind(target)
        .bind(detail)
        .execute(db)
        .await?;
    Ok(())
}

/// What an action's line says until its outcome is known, and for ever when its process dies before.
pub(super) const BEGUN: &str = "Begun. What came of it was not written down";

/// Notes an action before it is done, and returns its line: nothing is done that is not in the log.
pub(super) async fn begin(
    db: impl PgExecutor<'_>,
    session: &Session,
    action: &str,
    target: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "insert into audit_log (who, key, action, target, detail) values ($1, $2, $3, $4, $5) returning id",
    )
    .bind(&session.who)
    .bind(&session.key)
    .bind(action)
    .bind(target)
    .bind(BEGUN)
    .fetch_one(db)
    .await
}

/// Notes what came of it.
pub(super) async fn end(db: impl PgExecutor<'_>, line: i64, detail: &str) -> Result<(), sqlx::Error> {
    sqlx::query("update audit_log set detail = $2 where id = $1").bind(line).bind(detail).execute(db).await?;
    Ok(())
}

/// Characters of an address that is kept: whoever asks writes it.
const MAX_PATH_CHARS: usize = 200;

/// Notes what somebody who has logged in asked for and was not let do.
pub(super) async fn refused(pool: &PgPool, session: &Session, what: &str, why: &str) {
    let what: String = what.chars().filter(|c| !c.is_control()).take(MAX_PATH_CHARS).collect();
    tracing::warn!(who = session.who, key = session.key, what, why, "refused on the dashboard");
    if let Err(error) = enter(pool, session, "refused", &what, &format!("Refused: {why}")).await {
        tracing::error!(%error, who = session.who, what, "what was refused is not in the audit log");
    }
}

/// The newest first, those before `before`.
pub(super) async fn list(db: impl PgExecutor<'_>, before: Option<i64>, limit: i64) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as(
        "select id, at, who, key, action, target, detail from audit_log where $1::bigint is null or id < $1
         order by id desc limit $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(db)
    .await
}
