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
/// When Postgres cannot be reached or refuses the statement.
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
             select s.day, sum(s.messages)::bigint as messages,
                    sum(coalesce(r.credit_cost * s.messages, s.credits))::bigint as credits
             from (
                 select (m.sent_at at time zone $4)::date as day, m.upload_id, m.report_id, count(*) as messages,
                        sum(m.text_credits)::bigint as credits
                 from messages m
                 where m.client_id = $1
                   and m.sent_at >= $2::date::timestamp at time zone $4
                   and m.sent_at < ($3::date + 1)::timestamp at time zone $4
                 group by 1, 2, 3
             ) s
             -- looked up, as `offset 0` has it: a planner that knows nothing of them would go through all for each group
             cross join lateral (select from uploads where id = s.upload_id and state = 'completed' offset 0) u
             left join lateral (
                 select credit_cost from upload_reports where upload_id = s.upload_id and report_id = s.report_id offset 0
             ) r on true
             group by s.day
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
/// When Postgres cannot be reached or refuses the statement.
pub async fn last_day(on: impl PgExecutor<'_>, client_id: i32, time_zone: &str) -> Result<Option<Date>, sqlx::Error> {
    let day: Option<jiff_sqlx::Date> = sqlx::query_scalar(
        "select (m.sent_at at time zone $2)::date
         from messages m
         cross join lateral (select from uploads where id = m.upload_id and state = 'completed' offset 0) u
         where m.client_id = $1 order by m.sent_at desc limit 1",
    )
    .bind(client_id)
    .bind(time_zone)
    .fetch_optional(on)
    .await?;
    Ok(day.map(jiff_sqlx::Date::to_jiff))
}
