use axum::{Json, extract::State};
use gristmill_billing::settings;
use gristmill_pipelines::messages::Credits;
use http::Uri;
use jiff::{ToSpan as _, civil::Date};
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};

use super::period::day;
use crate::{
    app::App,
    auth::Caller,
    openapi::{Denied, Faults},
    params::Params,
    problem::{Problem, Result},
};

/// Days that one answer may have.
const MOST: i32 = 366;
/// And that it has when nobody says where it begins.
const USUAL: i64 = 30;

/// Usage by days.
#[derive(Serialize, ToSchema)]
pub(crate) struct DailyUsage {
    /// By whose calendar: that of the settings.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: String,
    /// Each day, those without messages too.
    days: Vec<UsageDay>,
}

/// What the messages of a day cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageDay {
    #[schema(value_type = String, format = Date, example = "2026-01-31")]
    date: Date,
    #[schema(example = 2)]
    messages: i64,
    /// Exactly.
    #[schema(value_type = f64, example = 8.1)]
    credits: Credits,
}

#[derive(FromRow)]
struct Row {
    day: jiff_sqlx::Date,
    messages: i64,
    credits: i64,
}

/// Which days.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct DailyQuery {
    /// The first day; 30 days before the last one unless given.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<String>,
    /// The last day; today unless given. At most 366 days.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<String>,
}

/// What your messages cost, by days
///
/// Those of completed uploads, by the calendar of the settings' `time_zone`.
#[utoipa::path(get, path = "/v1/usage/daily", tag = "usage", params(DailyQuery), security(("key" = [])),
    responses((status = 200, description = "Each day", body = DailyUsage), Denied, Faults))]
pub(crate) async fn daily(State(app): State<App>, caller: Caller, uri: Uri) -> Result<Json<DailyUsage>> {
    let pool = &app.receiver.pool;
    let settings = settings::find(pool, caller.id()).await?;
    let today = settings.date_of(jiff::Timestamp::now()).map_err(Problem::internal)?;
    let mut query = Params::of(&uri);
    let (from, to) = days(&mut query, today);
    query.finish()?;
    let rows: Vec<Row> = sqlx::query_as(
        "select d.day::date as day, coalesce(u.messages, 0) as messages, coalesce(u.credits, 0) as credits
         from generate_series($2::date, $3::date, interval '1 day') as d (day)
         left join (
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
    .bind(caller.id())
    .bind(from.to_sqlx())
    .bind(to.to_sqlx())
    .bind(&settings.time_zone)
    .fetch_all(pool)
    .await?;
    let days = rows.into_iter().map(|row| UsageDay {
        date: row.day.to_jiff(),
        messages: row.messages,
        credits: Credits::from_twentieths(row.credits),
    });
    Ok(Json(DailyUsage { time_zone: settings.time_zone.clone(), days: days.collect() }))
}

fn days(query: &mut Params, today: Date) -> (Date, Date) {
    let wanted = |text: &str| {
        let found = day(text).filter(|day| (1..=9998).contains(&day.year()));
        found.ok_or_else(|| format!("'{text}' is not a day like 2026-01-31"))
    };
    let from = query.take_by("from", wanted);
    let to = query.take_by("to", wanted).unwrap_or(today);
    let from = from.unwrap_or_else(|| to.saturating_sub(USUAL.days()));
    let count = i64::from((to - from).get_days()) + 1;
    if count < 1 {
        query.fail("to", format!("{to} is before {from}"));
    } else if count > i64::from(MOST) {
        query.fail("from", format!("{count} days are more than the {MOST} that one answer may have"));
    }
    (from, to)
}
