//! A transaction, as a client describes it.

use gristmill_normalization::requests::{MAX_DESCRIPTION, New};
use jiff::civil::Date;
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
        let date: Option<Date> = self.date.parse().ok().filter(|date: &Date| date.year() > 0);
        let amount_minor = match &self.amount {
            serde_json::Value::String(text) => minor(text.trim()),
            serde_json::Value::Number(number) => minor(&number.to_string()),
            _ => None,
        };
        let description = self.description.trim();
        let length = description.chars().count();
        let described = (1..=MAX_DESCRIPTION).contains(&length) && !description.contains('\0');
        let three = |code: &String| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        match (date, amount_minor) {
            (Some(date), Some(amount_minor)) if described && self.currency.as_ref().is_none_or(three) => {
                let (description, currency) = (description.to_owned(), self.currency.clone());
                Ok(New { date, description, amount_minor, currency })
            }
            _ => Err([
                (date.is_none(), "date", "is not a date of the calendar such as 2021-04-01"),
                (!described, "description", "is empty, longer than 500 characters, or has a NUL in it"),
                (
                    amount_minor.is_none(),
                    "amount",
                    "is not an amount with at most two decimals, such as 12.99 or \"12.99\"",
                ),
                (
                    !self.currency.as_ref().is_none_or(three),
                    "currency",
                    "is not three capital letters of ISO 4217, as BRL is",
                ),
            ]
            .into_iter()
            .filter(|(wrong, ..)| *wrong)
            .map(|(_, field, detail)| (field, detail))
            .collect()),
        }
    }
}

/// Of a decimal number with at most two decimals that are not 0.
fn minor(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (major, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    if !number(major)
        || !number(decimals)
        || decimals.get(2..).is_some_and(|rest| rest.bytes().any(|byte| byte != b'0'))
    {
        return None;
    }
    let cents: i64 = format!("{decimals:0<2}").get(..2)?.parse().ok()?;
    Some(sign * major.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)?)
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn amounts_are_exact() {
        for (text, cents) in
            [("12.99", 1299), ("-4.5", -450), ("7", 700), ("19.990", 1999), ("0", 0), ("1000.0", 100_000)]
        {
            assert_eq!(minor(text), Some(cents), "{text}");
        }
        for text in ["", "-", "1.999", "1e3", "1,000.00", ".5", "5.", "99999999999999999999", "+1"] {
            assert_eq!(minor(text), None, "{text}");
        }
    }
}
