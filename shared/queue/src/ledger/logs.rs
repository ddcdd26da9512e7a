//! What attempts have said.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgPool, types::Json};

use crate::{
    AttemptLogs, JobId, LogLine, QueueError, Schema,
    logs::{Lines, MAX_BYTES, MAX_LINES},
};

/// What one run of an attempt has said.
#[derive(Debug, Clone)]
pub(crate) struct NewLogs {
    pub(crate) id: JobId,
    /// Which attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) lines: Lines,
}

/// Keeps lines behind those that their attempts have. Of a job that is gone nothing is kept.
pub(crate) async fn append(schema: Schema, pool: &PgPool, logs: &[NewLogs]) -> Result<(), QueueError> {
    // One row each: a statement changes none twice.
    let mut rows: BTreeMap<(JobId, u32), Lines> = BTreeMap::new();
    for new in logs {
        rows.entry((new.id, new.attempt)).or_default().extend(new.lines.clone());
    }
    rows.retain(|_, lines| !lines.is_empty());
    if rows.is_empty() {
        return Ok(());
    }
    let texts = rows.values().map(json).collect::<Result<Vec<_>, _>>().map_err(QueueError::Encode)?;
    sqlx::query(schema.sql(include_str!("append_logs.sql")))
        .bind(rows.keys().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, attempt)| attempt.cast_signed()).collect::<Vec<_>>())
        .bind(texts)
        .bind(rows.values().map(|lines| lines.dropped().cast_signed()).collect::<Vec<_>>())
        .bind(i64::try_from(MAX_LINES).unwrap_or(i64::MAX))
        .bind(i64::try_from(MAX_BYTES).unwrap_or(i64::MAX))
        .execute(pool)
        .await?;
    Ok(())
}

fn json(lines: &Lines) -> Result<String, serde_json::Error> {
    serde_json::to_string(&lines.iter().collect::<Vec<_>>())
}

#[derive(sqlx::FromRow)]
struct Row {
    attempt: i32,
    lines: Json<Vec<LogLine>>,
    dropped: i64,
}

/// What the attempts of this job have said, the oldest first; of the last hundred that have said anything.
pub(crate) async fn of_job(
    schema: Schema,
    conn: &mut PgConnection,
    id: JobId,
) -> Result<Vec<AttemptLogs>, sqlx::Error> {
    let mut rows: Vec<Row> = sqlx::query_as(schema.sql(
        "select attempt, lines, dropped from gristmill.job_logs where job_id = $1 order by attempt desc limit 100",
    ))
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.reverse();
    let logs = rows.into_iter().map(|row| AttemptLogs {
        attempt: row.attempt.unsigned_abs(),
        dropped: row.dropped.unsigned_abs(),
        lines: row.lines.0,
    });
    Ok(logs.collect())
}
