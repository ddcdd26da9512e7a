//! A transaction, as a client describes it.

use gristmill_normalization::requests::{MAX_DESCRIPTION, New};
use gristmill_pipelines::values;
use jiff::ToSpan as _;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::problem::{Code, FieldError, Problem, Result};

/// A transaction whose merchant is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNormalization {
    #[schema(format = Date, example = "2021-04-01")]
    date: String,
    /// As the statement shows it, at most 500 characters.
    #[schema(example = "Payment Netflix APRIL***")]
    description: String,
    /// In the currency's major unit, with at most two decimals: a number or a text.
    #[schema(value_type = f64, example = 12.99)]
    amount: serde_json::Value,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: Option<String>,
}

/// What all of them say, or everything that is wrong with them.
pub(super) fn check(given: &[NewNormalization]) -> Result<Vec<New>> {
    let mut errors = Vec::new();
    let mut checked = Vec::with_capacity(given.len());
    for (n, one) in given.iter().enumerate() {
        let place = if given.len() > 1 { format!("items[{n}].") } else { String::new() };
        match one.checked() {
            Ok(new) => checked.push(new),
            Err(faults) => errors.extend(
                faults
                    .into_iter()
                    .map(|(field, detail)| FieldError { field: format!("{place}{field}"), detail: detail.to_owned() }),
            ),
        }
    }
    match errors.first() {
        None => Ok(checked),
        Some(first) => {
            let detail = format!("{}: {}", first.field, first.detail);
            Err(Problem::new(Code::InvalidTransaction, detail).errors(errors))
        }
    }
}

impl NewNormalization {
    fn checked(&self) -> Result<New, Vec<(&'static str, &'static str)>> {
        let epoch = jiff::civil::date(2000, 1, 1);
        let date = values::day(&self.date).and_then(|days| epoch.checked_add(days.days()).ok());
        let amount_minor = match &self.amount {
            serde_json::Value::String(text) => values::amount(text),
            serde_json::Value::Number(number) => values::amount(&number.to_string()),
            _ => None,
        };
        let description = values::trim(&self.description);
        let length = description.chars().count();
        let described = (1..=MAX_DESCRIPTION).contains(&length) && !description.contains('\0');
        let currency = self.currency.as_deref().map(values::currency);
        match (date, amount_minor) {
            (Some(date), Some(amount_minor)) if described && currency != Some(None) => {
                let currency = currency.flatten().map(|code| String::from_utf8_lossy(&code).into_owned());
                Ok(New { date, description: description.to_owned(), amount_minor, currency })
            }
            _ => Err([
                (date.is_none(), "date", "is not a date of the calendar such as 2021-04-01"),
                (!described, "description", "is empty, longer than 500 characters, or has a NUL in it"),
                (
                    amount_minor.is_none(),
                    "amount",
                    "is not an amount up to 9999999999.99 with at most two decimals, such as 12.99 or \"12.99\"",
                ),
                (currency == Some(None), "currency", "is not three letters of ISO 4217, as BRL is"),
            ]
            .into_iter()
            .filter(|(wrong, ..)| *wrong)
            .map(|(_, field, detail)| (field, detail))
            .collect()),
        }
    }
}
