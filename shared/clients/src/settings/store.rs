use gristmill_core::ClientId;
use sqlx::{PgExecutor, types::Json};

use super::Settings;

/// The columns of a client's settings, which are the fields of [`Settings`] by the same names. The rest of the row is not set
/// by clients (`next_number`, the times).
macro_rules! columns {
    () => {
        "language, time_zone, currency, operator_email, automatic, cycle, cycle_day, days_ahead, numbering,
         safety_factor, reminder_days, overdue_days, issuer, branding, heuristic, heuristic_url, reports_url,
         reports_max_age, claims"
    };
}

/// The settings of a client, the defaults where it has none.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, client_id: ClientId) -> Result<Settings, sqlx::Error> {
    let found = sqlx::query_as(concat!("select ", columns!(), " from client_settings where client_id = $1"))
        .bind(client_id)
        .fetch_optional(on)
        .await?;
    Ok(found.unwrap_or_default())
}

/// Sets all of a client's settings. Ask [`Settings::faults`] before.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn put(on: impl PgExecutor<'_>, client_id: ClientId, settings: &Settings) -> Result<(), sqlx::Error> {
    sqlx::query(concat!(
        "insert into client_settings (client_id, ",
        columns!(),
        ") select $1, ",
        columns!(),
        " from jsonb_populate_record(null::client_settings, $2)
         on conflict (client_id) do update set (updated_at, ",
        columns!(),
        ") = (select now(), ",
        columns!(),
        " from jsonb_populate_record(null::client_settings, $2))"
    ))
    .bind(client_id)
    .bind(Json(settings))
    .execute(on)
    .await?;
    Ok(())
}

/// Gives a client without settings the defaults, so that there is a row to allocate numbers from.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn ensure(on: impl PgExecutor<'_>, client_id: ClientId) -> Result<(), sqlx::Error> {
    sqlx::query("insert into client_settings (client_id) values ($1) on conflict do nothing")
        .bind(client_id)
        .execute(on)
        .await?;
    Ok(())
}
