//! What messages cost, by days.

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
/// The database's.
pub async fn daily(
    on: impl PgExecutor<'_>,
    client_id: i32,
    time_zone: &str,
    from: Date,
    to: Date,
) -> Result<Vec<Day>, sqlx::Error> {
    sqlx::query_as(
        "select d.day::date as day, coalesce(u.messages, 0) as messages, coalesce(u.credits, 0) as credits
         from generate_series($2::date, $3::date, interval '1 day') as d (day)
         left join (
             -- at most 20,000,000 a message: 64 bits are enough for 461 billion of them
             select (m.sent_at at time zone $4)::date as day, count(*) as messages,
                    sum(coalesce(r.credit_cost, m.text_credits))::bigint as credits
             from messages m
             left join upload_reports r on r.upload_id = m.upload_id and r.report_id = m.report_id
             where m.client_id = $1
               and m.sent_at >= $2::date::timestamp at time zone $4
               and m.sent_at < ($3::date + 1)::timestamp at time zone $4
               and exists (select from uploads u where u.id = m.upload_id and u.state = 'completed')
             group by 1
         ) u on u.day = d.day::date
         order by d.day",
    )
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
/// The database's.
pub async fn last_day(on: impl PgExecutor<'_>, client_id: i32, time_zone: &str) -> Result<Option<Date>, sqlx::Error> {
    let day: Option<jiff_sqlx::Date> = sqlx::query_scalar(
        "select (max(m.sent_at) at time zone $2)::date from messages m
         where m.client_id = $1 and exists (select from uploads u where u.id = m.upload_id and u.state = 'completed')",
    )
    .bind(client_id)
    .bind(time_zone)
    .fetch_one(on)
    .await?;
    Ok(day.map(jiff_sqlx::Date::to_jiff))
}
