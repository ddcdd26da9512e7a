//! Amounts of money, as every answer shows them.

use gristmill_pipelines::{decimal, values};
use serde::Serialize;
use utoipa::ToSchema;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Money {
    /// In the currency's minor unit: exact.
    #[schema(example = 781150)]
    minor: i64,
    /// ISO 4217.
    #[schema(example = "BRL")]
    currency: String,
    /// The same for reading.
    #[schema(example = "7811.50")]
    decimal: String,
}

impl Money {
    /// Of a currency whose minor unit is a hundredth.
    pub(crate) fn of(minor: i64, currency: impl Into<String>) -> Self {
        Self { minor, currency: currency.into(), decimal: decimal(minor) }
    }

    /// For reading.
    pub(crate) fn decimal(&self) -> &str {
        &self.decimal
    }
}

/// What many amounts of money add up to: it may have more digits than a 64-bit number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MoneySum)]
pub(crate) struct Sum {
    /// In the currency's minor unit: exact.
    #[schema(example = 781150)]
    minor: i128,
    /// ISO 4217.
    #[schema(example = "BRL")]
    currency: String,
    /// The same for reading.
    #[schema(example = "7811.50")]
    decimal: String,
}

impl Sum {
    /// Of a currency whose minor unit is a hundredth.
    pub(crate) fn of(minor: i128, currency: impl Into<String>) -> Self {
        Self { minor, currency: currency.into(), decimal: decimal(minor) }
    }
}

/// An amount above nothing, in a currency's major unit, as files have it: in minor units, exactly.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_minor(text: &str) -> Result<i64, String> {
    values::amount(text).filter(|minor| *minor > 0).ok_or_else(|| {
        let wanted = values::unclear_amount(text)
            .unwrap_or_else(|| "an amount of 0.01 to 9999999999.99 with at most two decimals after a point".to_owned());
        format!("'{text}' is not {wanted}")
    })
}

#[cfg(test)]
mod tests {
    use gristmill_pipelines::MAX_AMOUNT_MINOR;

    use super::*;

    #[test]
    fn amounts_read_exactly() {
        let decimal = |minor| Money::of(minor, "BRL").decimal;
        let widest = Sum::of(i128::from(i64::MAX) + 1, "BRL");
        assert_eq!(
            serde_json::to_string(&widest).unwrap(),
            r#"{"minor":9223372036854775808,"currency":"BRL","decimal":"92233720368547758.08"}"#
        );
        assert_eq!([decimal(0), decimal(5), decimal(781_150), decimal(-7)], ["0.00", "0.05", "7811.50", "-0.07"]);
    }

    #[test]
    fn decimals_parse_exactly() {
        assert_eq!(parse_minor("19.99"), Ok(1_999));
        assert_eq!(parse_minor("100000.00"), Ok(10_000_000));
        assert_eq!((parse_minor("7"), parse_minor("0.5")), (Ok(700), Ok(50)));
        assert_eq!((parse_minor("10.0000"), parse_minor("+12.5")), (Ok(1_000), Ok(1_250)));
        assert_eq!(parse_minor("9999999999.99"), Ok(MAX_AMOUNT_MINOR));
        for bad in [
            "10000000000",
            "92233720368547758.07",
            "",
            "0",
            "0.00",
            "-1",
            "1.",
            ".5",
            "1.005",
            "1e3",
            "1,00",
            "99999999999999999999",
            "1.000",
        ] {
            assert!(parse_minor(bad).is_err(), "{bad}");
        }
        let asked = parse_minor("1.000").unwrap_err();
        assert!(
            asked.ends_with("an amount that reads in one way only: write 1000 or 1.00, whichever is meant"),
            "{asked}"
        );
    }
}
