//! What messages cost, by days.

use gristmill_core::ClientId;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgExecutor};

/// A day's messages.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Day {
    /// Of the client's calendar.
    pub day: jiff_sqlx::Date,
    /// How many there were.
    pub messages: i64,
    /// What they cost, in twentieths of a credit.
    pub credits: i64,
}

/// Each day from `from` to `to`, those without messages too; of messages of completed uploads, by the calendar of this
/// zone.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn daily(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    time_zone: &str,
    from: Date,
    to: Date,
) -> Result<Vec<Day>, sqlx::Error> {
    sqlx::query_as(include_str!("daily_usage.sql"))
        .bind(client_id)
        .bind(from.to_sqlx())
        .bind(to.to_sqlx())
        .bind(time_zone)
        .fetch_all(on)
        .await
}

/// The last day that has a message; none: there is none. Of messages of completed uploads, by the calendar of this zone.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn last_day(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    time_zone: &str,
) -> Result<Option<Date>, sqlx::Error> {
    let day: Option<jiff_sqlx::Date> = sqlx::query_scalar(
        "select (m.sent_at at time zone $2)::date
         from messages m
         cross join lateral (select from uploads where id = m.upload_id and state = 'completed' and rows_dropped_at is null offset 0) u
         where m.client_id = $1 order by m.sent_at desc limit 1",
    )
    .bind(client_id)
    .bind(time_zone)
    .fetch_optional(on)
    .await?;
    Ok(day.map(jiff_sqlx::Date::to_jiff))
}
