//! The audit log: who did what, a row each.

use futures::future::BoxFuture;
use gristmill_board::{Audit, AuditEntry, BEGUN, Error, Person};
use jiff_sqlx::Timestamp;
use sqlx::{FromRow, PgExecutor, PgPool};

pub(super) struct AuditLog(pub(super) PgPool);

impl Audit for AuditLog {
    fn begin<'a>(&'a self, person: &'a Person, action: &'a str, target: &'a str) -> BoxFuture<'a, Result<i64, Error>> {
        Box::pin(async move {
            let line = sqlx::query_scalar(
                "insert into audit_log (who, key, action, target, detail) values ($1, $2, $3, $4, $5) returning id",
            )
            .bind(&person.name)
            .bind(&person.key)
            .bind(action)
            .bind(target)
            .bind(BEGUN);
            Ok(line.fetch_one(&self.0).await?)
        })
    }

    fn end<'a>(&'a self, line: i64, outcome: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let end = sqlx::query("update audit_log set detail = $2 where id = $1").bind(line).bind(outcome);
            end.execute(&self.0).await?;
            Ok(())
        })
    }

    fn refused<'a>(&'a self, person: &'a Person, what: &'a str, why: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { Ok(enter(&self.0, person, "refused", what, &format!("Refused: {why}")).await?) })
    }

    fn list(&self, before: Option<i64>, limit: i64) -> BoxFuture<'_, Result<Vec<AuditEntry>, Error>> {
        Box::pin(async move {
            let rows: Vec<Row> = sqlx::query_as(
                "select id, at, who, key, action, target, detail from audit_log where $1::bigint is null or id < $1
                 order by id desc limit $2",
            )
            .bind(before)
            .bind(limit)
            .fetch_all(&self.0)
            .await?;
            Ok(rows.into_iter().map(Row::into_entry).collect())
        })
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    at: Timestamp,
    who: String,
    key: Option<String>,
    action: String,
    target: String,
    detail: Option<String>,
}

impl Row {
    fn into_entry(self) -> AuditEntry {
        AuditEntry {
            id: self.id,
            at: self.at.to_jiff(),
            who: self.who,
            key: self.key,
            action: self.action,
            target: self.target,
            outcome: self.detail,
        }
    }
}

/// A line with its outcome.
pub(super) async fn enter(
    db: impl PgExecutor<'_>,
    person: &Person,
    action: &str,
    target: &str,
    detail: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into audit_log (who, key, action, target, detail) values ($1, $2, $3, $4, $5)")
        .bind(&person.name)
        .bind(&person.key)
        .bind(action)
        .bind(target)
        .bind(detail)
        .execute(db)
        .await?;
    Ok(())
}
