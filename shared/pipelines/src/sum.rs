//! What many amounts add up to.

use std::fmt;

/// In a currency's minor unit. Wider than an amount, as `numeric` is: millions of the largest amounts fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Sum(pub i128);

/// An amount or a sum in the major unit of a currency whose minor unit is a hundredth, of which `minor` has so many: `-0.05`.
#[must_use]
pub fn decimal(minor: impl Into<i128>) -> String {
    let minor = minor.into();
    let (sign, absolute) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    format!("{sign}{}.{:02}", absolute / 100, absolute % 100)
}

/// A sum is no whole number of minor units, or too large for anything.
#[derive(Debug, thiserror::Error)]
#[error("the sum {0} is no number of minor units")]
pub struct NoSum(String);

/// As Postgres writes a `numeric` as text.
impl TryFrom<String> for Sum {
    type Error = NoSum;

    fn try_from(text: String) -> Result<Self, NoSum> {
        text.parse().map(Self).map_err(|_| NoSum(text))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_has_two_decimals() {
        for (minor, text) in [(0_i64, "0.00"), (5, "0.05"), (-5, "-0.05"), (781_150, "7811.50"), (-100, "-1.00")] {
            assert_eq!(decimal(minor), text);
        }
        assert_eq!(decimal(i64::MIN), "-92233720368547758.08");
    }
}
