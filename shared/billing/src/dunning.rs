//! When the payer of a bill is reminded of it: some days before it is due, and some days after.
//!
//! Days are counted from the due date, or from the day of issue where that is later: nobody is dunned for a bill that has
//! only just come. Bills are not looked at until their day has come: `bill_days` knows of each shard which of its bills
//! are payable on which day, and when the next step is.

use gristmill_clients::Settings;
use gristmill_core::ClientId;
use jiff::{Span, ToSpan as _, civil::Date};
use jiff_sqlx::{Date as SqlDate, Timestamp as SqlTimestamp, ToSqlx as _};
use sqlx::{FromRow, PgConnection};

/// Mails of a day are sent from this hour on, by the client's clock.
const FROM_HOUR: i64 = 9;

/// A step of reminding or dunning; its number is that of the days before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The bill is due in so many days.
    Reminder(u16),
    /// The bill was due so many days ago.
    Overdue(u16),
}

/// Bills of one shard that are payable on one day.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Day {
    /// They are among the client's bills from this number on.
    pub from_number: i64,
    /// To this one.
    pub to_number: i64,
    /// When they are payable.
    payable_on: SqlDate,
    /// How many they are.
    pub bills: i64,
    looked_on: SqlDate,
}

impl Day {
    /// When they are payable: on their due date, or when they were issued, whichever is later.
    #[must_use]
    pub fn payable_on(&self) -> Date {
        self.payable_on.to_jiff()
    }

    /// What is to be done about them today.
    #[must_use]
    pub fn step(&self, settings: &Settings, today: Date) -> Option<Step> {
        step(settings, self.payable_on(), self.looked_on.to_jiff(), today)
    }
}

/// The day whose mails are due at this moment, by the client's clock: before nine it is still yesterday.
///
/// # Errors
/// When this machine does not know the time zone.
pub fn today(settings: &Settings, moment: jiff::Timestamp) -> Result<Date, jiff::Error> {
    Ok(moment.in_tz(&settings.time_zone)?.datetime().checked_sub(FROM_HOUR.hours())?.date())
}

/// The clients that have something to do, or will have within a day.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn clients(conn: &mut PgConnection) -> Result<Vec<ClientId>, sqlx::Error> {
    // No clock is more than 14 hours ahead of UTC's.
    sqlx::query_scalar(
        "select distinct client_id from bill_days where next_on <= ((now() at time zone 'utc') + interval '14 hours')::date
         order by client_id",
    )
    .fetch_all(conn)
    .await
}

/// Some of a client's days that have something to do. They are this transaction's: another one takes others. Bills of a run that
/// has not ended are not in their table yet, so their days wait for it.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn take(conn: &mut PgConnection, client_id: ClientId, today: Date) -> Result<Vec<Day>, sqlx::Error> {
    sqlx::query_as(
        "select from_number, to_number, payable_on, bills, looked_on from bill_days
         where client_id = $1 and next_on <= $2
           and not exists (select from billing_runs r join billing_numbers n on n.run_id = r.id
                           where r.client_id = $1 and n.from_number = bill_days.from_number
                             and (r.finished_at is null or r.mails is null and r.finished_at > now() - interval '1 hour'))
         order by from_number, payable_on limit 1000 for update skip locked",
    )
    .bind(client_id)
    .bind(today.to_sqlx())
    .fetch_all(conn)
    .await
}

/// Writes down that these days' steps up to today are done, and when the next ones are.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn looked(
    conn: &mut PgConnection,
    client_id: ClientId,
    settings: &Settings,
    days: &[Day],
    today: Date,
) -> Result<(), sqlx::Error> {
    let next = days.iter().map(|day| next(settings, day.payable_on(), today).map(|next| next.to_sqlx()));
    sqlx::query(
        "update bill_days d set looked_on = $2, next_on = n.next_on
         from unnest($3::bigint[], $4::date[], $5::date[]) as n (from_number, payable_on, next_on)
         where d.client_id = $1 and d.from_number = n.from_number and d.payable_on = n.payable_on",
    )
    .bind(client_id)
    .bind(today.to_sqlx())
    .bind(days.iter().map(|day| day.from_number).collect::<Vec<_>>())
    .bind(days.iter().map(|day| day.payable_on).collect::<Vec<_>>())
    .bind(next.collect::<Vec<Option<SqlDate>>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// After the settings have changed: every day is looked at again. What the new steps would have done before now is left.
///
/// # Errors
/// The database's; or this machine does not know the time zone.
pub async fn rearrange(conn: &mut PgConnection, client_id: ClientId, settings: &Settings) -> Result<(), sqlx::Error> {
    let now: SqlTimestamp = sqlx::query_scalar("select now()").fetch_one(&mut *conn).await?;
    let today = today(settings, now.to_jiff()).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "update bill_days set looked_on = greatest(looked_on, $2::date - 1), next_on = $2
         where client_id = $1 and (next_on is null or next_on > $2)",
    )
    .bind(client_id)
    .bind(today.to_sqlx())
    .execute(conn)
    .await?;
    Ok(())
}

/// All steps with their days.
fn steps(settings: &Settings, payable_on: Date) -> impl Iterator<Item = (Date, Step)> {
    let days = |days: &[i32]| days.iter().filter_map(|day| u16::try_from(*day).ok()).collect::<Vec<_>>();
    let reminders = days(&settings.reminder_days).into_iter().map(|days| (-i64::from(days), Step::Reminder(days)));
    let overdue = days(&settings.overdue_days).into_iter().map(|days| (i64::from(days), Step::Overdue(days)));
    let on = move |(after, step)| Some((payable_on.checked_add(Span::new().days(after)).ok()?, step));
    reminders.chain(overdue).filter_map(on)
}

/// The last step since `looked_on`. Who missed several gets one mail; and no reminder once it is too late for one.
fn step(settings: &Settings, payable_on: Date, looked_on: Date, today: Date) -> Option<Step> {
    steps(settings, payable_on)
        .filter(|(on, step)| {
            looked_on < *on && *on <= today && (matches!(step, Step::Overdue(_)) || today <= payable_on)
        })
        .max_by_key(|(on, _)| *on)
        .map(|(_, step)| step)
}

fn next(settings: &Settings, payable_on: Date, today: Date) -> Option<Date> {
    steps(settings, payable_on).map(|(on, _)| on).filter(|on| *on > today).min()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn each_step_has_its_day() {
        let settings = Settings { reminder_days: vec![7, 3], overdue_days: vec![1, 30], ..Settings::default() };
        let payable = date(2028, 3, 1);
        let mut looked = date(2028, 2, 1);
        let mut done = Vec::new();
        while let Some(today) = next(&settings, payable, looked) {
            done.push((today, step(&settings, payable, looked, today).unwrap()));
            looked = today;
        }
        let wanted = [
            (date(2028, 2, 23), Step::Reminder(7)),
            (date(2028, 2, 27), Step::Reminder(3)),
            (date(2028, 3, 2), Step::Overdue(1)),
            (date(2028, 3, 31), Step::Overdue(30)),
        ];
        assert_eq!(done, wanted, "over a leap day");
    }

    #[test]
    fn who_missed_several_gets_the_last_one_and_no_late_reminder() {
        let settings = Settings::default();
        let payable = date(2026, 11, 10);
        let at = |looked, today| step(&settings, payable, looked, today);
        assert_eq!(at(date(2026, 11, 1), date(2026, 11, 30)), Some(Step::Overdue(7)));
        assert_eq!(at(date(2026, 11, 1), date(2026, 11, 10)), Some(Step::Reminder(3)), "late, but not too late");
        assert_eq!(at(date(2026, 11, 10), date(2026, 11, 10)), None);
        assert_eq!(at(date(2026, 11, 7), date(2026, 11, 10)), None, "done before");
        assert_eq!(next(&settings, payable, date(2026, 12, 10)), None);
    }

    #[test]
    fn a_day_begins_at_nine_by_the_clients_clock() {
        let at = |zone: &str, moment: &str| {
            let settings = Settings { time_zone: zone.into(), ..Settings::default() };
            today(&settings, moment.parse().unwrap()).unwrap()
        };
        assert_eq!(at("America/Sao_Paulo", "2026-11-27T11:59:59Z"), date(2026, 11, 26));
        assert_eq!(at("America/Sao_Paulo", "2026-11-27T12:00:00Z"), date(2026, 11, 27));
        assert_eq!(at("Pacific/Kiritimati", "2026-11-27T19:00:00Z"), date(2026, 11, 28));
        assert_eq!(at("Pacific/Pago_Pago", "2026-11-27T19:00:00Z"), date(2026, 11, 26));
        // The clocks go forward in the night: nine is nine.
        assert_eq!(at("Europe/Lisbon", "2027-03-28T07:59:59Z"), date(2027, 3, 27));
        assert_eq!(at("Europe/Lisbon", "2027-03-28T08:00:00Z"), date(2027, 3, 28));
    }
}
