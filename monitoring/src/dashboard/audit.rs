//! Who did what.

use jiff_sqlx::Timestamp;
use sqlx::{FromRow, PgExecutor};

#[derive(FromRow)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) at: Timestamp,
    pub(super) who: String,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) detail: Option<String>,
}

pub(super) async fn enter(
    db: impl PgExecutor<'_>,
    who: &str,
    action: &str,
    target: &str,
    detail: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into audit_log (who, action, target, detail) values ($1, $2, $3, $4)")
        .bind(who)
        .bind(action)
        .bind(target)
        .bind(detail)
        .execute(db)
        .await?;
    Ok(())
}

/// The newest first, those before `before`.
pub(super) async fn list(db: impl PgExecutor<'_>, before: Option<i64>, limit: i64) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as(
        "select id, at, who, action, target, detail from audit_log where $1::bigint is null or id < $1
         order by id desc limit $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(db)
    .await
}
