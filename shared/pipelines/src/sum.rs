//! What many amounts add up to.

use std::fmt;

/// In a currency's minor unit. Wider than an amount, as `numeric` is: millions of the largest amounts fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Sum(pub i128);

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
