//! What a client wants to be known by, and how it bills.

use gristmill_bills::Currency;
use gristmill_pipelines::{claims, values};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor, types::Json};

use crate::{Cycle, branding::Branding};

/// How a client's bills are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Numbering {
    /// Numbers are allocated in ranges, and nobody waits; a crash may leave gaps.
    Ranges,
    /// No gaps: the shards of a client's run follow each other.
    Gapless,
}

/// Who says which merchant a transaction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Heuristic {
    /// The dictionary that is built in.
    BuiltIn,
    /// An endpoint of the client's own, `heuristic_url`. Files are normalized by the dictionary all the same.
    External,
}

/// Which lines of a file make a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimGrouping {
    /// Those of one subscriber, provider and day.
    #[default]
    Visit,
    /// Each one.
    Line,
}

/// How a client's claims are read. A change reaches the chunks that are loaded after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimSettings {
    /// Optional rules that every line must satisfy too: `npi_luhn`, `quadrant_known`, `fees_not_negative`,
    /// `allowed_within_provider_fees`.
    #[schema(example = json!(["npi_luhn"]))]
    pub rules: Vec<String>,
    /// Which lines of a file make a claim.
    pub grouping: ClaimGrouping,
}

impl ClaimSettings {
    /// The same, as the pipeline takes it, of a day that is not known.
    ///
    /// # Errors
    /// When a rule is none, or none that is optional.
    pub fn options(&self) -> Result<claims::Options, claims::UnknownRule> {
        let grouping = match self.grouping {
            ClaimGrouping::Visit => claims::Grouping::Visit,
            ClaimGrouping::Line => claims::Grouping::Line,
        };
        Ok(claims::Options { switches: claims::Switches::on(&self.rules)?, grouping, today: None })
    }
}

/// A client's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct Settings {
    /// Of bills and mails: `pt-BR`, `en` or `es`.
    #[schema(example = "pt-BR")]
    pub language: String,
    /// Its calendar, by its name in the IANA database.
    #[schema(example = "America/Sao_Paulo")]
    pub time_zone: String,
    /// ISO 4217, of a currency that is divided into hundredths.
    #[schema(example = "BRL")]
    pub currency: String,
    /// Who is told of uploads that ended, and of what needs a person.
    pub operator_email: Option<String>,
    /// Whether the schedule bills this client. A run by request always may.
    pub automatic: bool,
    /// How often it bills.
    pub cycle: Cycle,
    /// Weekly: 1 (Monday) to 7. Monthly: the day; of a shorter month the last one.
    pub cycle_day: i32,
    /// A debt is billed when it is due within so many days.
    pub days_ahead: i32,
    /// How bills are numbered.
    pub numbering: Numbering,
    /// A scheduled run that would make more than so many times the usual number of bills stops and asks.
    pub safety_factor: f64,
    /// Days before the due date on which the payer is reminded.
    pub reminder_days: Vec<i32>,
    /// Days after the due date on which the payer is dunned.
    pub overdue_days: Vec<i32>,
    /// Who is paid and how: `beneficiary` (`name`; `document`, `email`, which replies to bills go to, `address` by lines) and
    /// any of `boleto` (`bank`, `agency`, `account`, `wallet`; `bank_name`, `layout`), `pix` (`key`, `name`, `city`) and `epc`
    /// (`iban`, `name`; `bic`). One of them must be in the `currency`: boleto and PIX carry BRL, EPC carries EUR. Empty: a
    /// sample.
    #[sqlx(json)]
    #[schema(value_type = Object)]
    pub issuer: serde_json::Value,
    /// How its bills look.
    #[sqlx(json)]
    pub branding: Branding,
    /// Who normalizes single transactions, where no rule of the client's holds.
    pub heuristic: Heuristic,
    /// Where the external heuristic is: it is posted a transaction and answers `{"merchant":{"name":…}}` within 60 s.
    #[schema(example = "https://example.com/normalize")]
    pub heuristic_url: Option<String>,
    /// Where your reports are that messages name, with `{id}` for the report's: a GET answers
    /// `{"name":…,"credit_cost":…}` or `404` within 10 s.
    #[schema(example = "https://example.com/reports/{id}")]
    pub reports_url: Option<String>,
    /// For how many seconds what was answered there is not asked again.
    pub reports_max_age: i32,
    /// How its claims are read.
    #[sqlx(json)]
    pub claims: ClaimSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: "pt-BR".into(),
            time_zone: "America/Sao_Paulo".into(),
            currency: "BRL".into(),
            operator_email: None,
            automatic: true,
            cycle: Cycle::Daily,
            cycle_day: 1,
            days_ahead: 30,
            numbering: Numbering::Ranges,
            safety_factor: 10.0,
            reminder_days: vec![3],
            overdue_days: vec![1, 7, 30],
            issuer: serde_json::json!({}),
            branding: Branding::default(),
            heuristic: Heuristic::BuiltIn,
            heuristic_url: None,
            reports_url: None,
            reports_max_age: 3_600,
            claims: ClaimSettings::default(),
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct BadSetting {
    /// Which one.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

impl Settings {
    /// Every setting that cannot be, but for addresses of mail, which the mails know, and for what has checks of its own
    /// ([`crate::issuer::faults`], [`Branding::faults`]).
    #[must_use]
    pub fn faults(&self) -> Vec<BadSetting> {
        let mut faults = Vec::new();
        let mut check = |good: bool, field, detail: &str| {
            if !good {
                faults.push(BadSetting { field, detail: detail.to_owned() });
            }
        };
        let days = |days: &[i32], from| days.len() <= 10 && days.iter().all(|day| (from..=365).contains(day));
        check(["pt-BR", "en", "es"].contains(&self.language.as_str()), "language", "is none of pt-BR, en, es");
        check(TimeZone::get(&self.time_zone).is_ok(), "time_zone", "is not in the IANA database, as Europe/Lisbon is");
        match self.currency.parse::<Currency>() {
            Err(_) => check(false, "currency", "is not three letters of ISO 4217, as BRL is"),
            // Files and payments are read in hundredths, whatever the currency.
            Ok(currency) => check(
                currency.decimals() == 2,
                "currency",
                &format!(
                    "{currency} is not divided into hundredths, and amounts are read in hundredths: take a currency that is, as BRL, EUR or USD are"
                ),
            ),
        }
        let cycle_day = if self.cycle == Cycle::Weekly { 1..=7 } else { 1..=31 };
        check(cycle_day.contains(&self.cycle_day), "cycle_day", "is not 1 to 7 (weekly) or 1 to 31 (monthly)");
        check((0..=3_650).contains(&self.days_ahead), "days_ahead", "is not from 0 to 3650");
        let factor = self.safety_factor.is_finite() && self.safety_factor > 0.0;
        check(factor, "safety_factor", "is not a number above 0");
        check(days(&self.reminder_days, 0), "reminder_days", "has more than 10, or one that is not from 0 to 365");
        check(days(&self.overdue_days, 1), "overdue_days", "has more than 10, or one that is not from 1 to 365");
        let address = self.heuristic_url.as_deref();
        check(
            self.heuristic == Heuristic::BuiltIn || address.is_some(),
            "heuristic_url",
            "is needed for an external heuristic",
        );
        let web = |address: &str| address.starts_with("https://") || address.starts_with("http://");
        check(
            address.is_none_or(|address| web(address) && address.len() <= 2_048),
            "heuristic_url",
            "is no address such as https://example.com/normalize of at most 2,048 characters",
        );
        check(
            self.reports_url
                .as_deref()
                .is_none_or(|address| web(address) && address.len() <= 1_024 && address.matches("{id}").count() == 1),
            "reports_url",
            "is no address of at most 1,024 characters with {id} in it, such as https://example.com/reports/{id}",
        );
        let year = 0..=31_536_000;
        check(year.contains(&self.reports_max_age), "reports_max_age", "is not from 0 to 31536000 seconds");
        if let Err(unknown) = self.claims.options() {
            check(false, "claims.rules", &unknown.to_string());
        }
        check(self.issuer.is_object(), "issuer", "is not an object");
        faults
    }

    /// The client's date of this moment.
    ///
    /// # Errors
    /// When this machine does not know the time zone.
    pub fn date_of(&self, moment: jiff::Timestamp) -> Result<Date, jiff::Error> {
        Ok(moment.in_tz(&self.time_zone)?.date())
    }

    /// How claims that came at this moment are read.
    ///
    /// # Errors
    /// When this machine does not know the time zone, or a rule is none.
    pub fn claims_of(&self, moment: jiff::Timestamp) -> Result<claims::Options, ClaimsError> {
        let date = self.date_of(moment)?;
        let today = values::days_of(date.year().into(), date.month().into(), date.day().into());
        Ok(claims::Options { today, ..self.claims.options()? })
    }

    /// The moment at which this day is over for the client.
    ///
    /// # Errors
    /// When this machine does not know the time zone.
    pub fn end_of(&self, day: Date) -> Result<jiff::Timestamp, jiff::Error> {
        Ok(day.tomorrow()?.in_tz(&self.time_zone)?.timestamp())
    }
}

/// Settings by which no claim can be read.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The calendar.
    #[error("the time zone is not known here")]
    TimeZone(#[from] jiff::Error),
    /// The rules.
    #[error(transparent)]
    Rule(#[from] claims::UnknownRule),
}

/// The settings of a client, the defaults where it has none.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, client_id: i32) -> Result<Settings, sqlx::Error> {
    let found = sqlx::query_as(
        "select language, time_zone, currency, operator_email, automatic, cycle, cycle_day, days_ahead, numbering,
                safety_factor, reminder_days, overdue_days, issuer, heuristic, heuristic_url, reports_url,
                reports_max_age, claims, branding
         from client_settings where client_id = $1",
    )
    .bind(client_id)
    .fetch_optional(on)
    .await?;
    Ok(found.unwrap_or_default())
}

/// Sets all of a client's settings. Ask [`Settings::faults`] before.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn put(on: impl PgExecutor<'_>, client_id: i32, settings: &Settings) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into client_settings (client_id, language, time_zone, currency, operator_email, automatic, cycle, cycle_day,
             days_ahead, numbering, safety_factor, reminder_days, overdue_days, issuer, heuristic, heuristic_url,
             reports_url, reports_max_age, claims, branding)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         on conflict (client_id) do update set
             language = excluded.language, time_zone = excluded.time_zone, currency = excluded.currency,
             operator_email = excluded.operator_email, automatic = excluded.automatic, cycle = excluded.cycle,
             cycle_day = excluded.cycle_day, days_ahead = excluded.days_ahead, numbering = excluded.numbering,
             safety_factor = excluded.safety_factor, reminder_days = excluded.reminder_days,
             overdue_days = excluded.overdue_days, issuer = excluded.issuer, heuristic = excluded.heuristic, heuristic_url = excluded.heuristic_url,
             reports_url = excluded.reports_url, reports_max_age = excluded.reports_max_age,
             claims = excluded.claims, branding = excluded.branding,
             updated_at = now()",
    )
    .bind(client_id)
    .bind(&settings.language)
    .bind(&settings.time_zone)
    .bind(&settings.currency)
    .bind(&settings.operator_email)
    .bind(settings.automatic)
    .bind(settings.cycle)
    .bind(settings.cycle_day)
    .bind(settings.days_ahead)
    .bind(settings.numbering)
    .bind(settings.safety_factor)
    .bind(&settings.reminder_days)
    .bind(&settings.overdue_days)
    .bind(Json(&settings.issuer))
    .bind(settings.heuristic)
    .bind(&settings.heuristic_url)
    .bind(&settings.reports_url)
    .bind(settings.reports_max_age)
    .bind(Json(&settings.claims))
    .bind(Json(&settings.branding))
    .execute(on)
    .await?;
    Ok(())
}

/// Gives a client without settings the defaults, so that there is a row to allocate numbers from.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn ensure(on: impl PgExecutor<'_>, client_id: i32) -> Result<(), sqlx::Error> {
    sqlx::query("insert into client_settings (client_id) values ($1) on conflict do nothing")
        .bind(client_id)
        .execute(on)
        .await?;
    Ok(())
}
