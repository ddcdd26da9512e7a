use axum::{Json, extract::State};
use gristmill_clients::settings;
use gristmill_messages::usage;
use gristmill_pipelines::messages::Credits;
use http::Uri;
use jiff::{ToSpan as _, civil::Date};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::period::day;
use crate::{
    app::AppState,
    auth::Caller,
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
#[utoipa::path(get, path = "/v1/usage/daily", operation_id = "getDailyUsage", tag = "usage", params(DailyQuery),
    responses((status = 200, description = "Each day", body = DailyUsage)))]
pub(crate) async fn daily(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<DailyUsage>> {
    let pool = &app.pool;
    let settings = settings::find(pool, caller.id()).await?;
    let today = settings.date_of(jiff::Timestamp::now()).map_err(Problem::internal)?;
    let mut query = Params::of(&uri);
    let (from, to) = days(&mut query, today);
    query.finish()?;
    let rows = usage::daily(pool, caller.id(), &settings.time_zone, from, to).await?;
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
