//! How many jobs run at a time, and how many start: flags and words of it.

use clap::Args;
use serde_json::{Map, Value, json};

/// Limits that a queue has, and the jobs of one name.
#[derive(Args, Debug)]
pub(super) struct Limits {
    /// Jobs that run at a time
    #[arg(long, value_name = "N", help_heading = "Limits")]
    concurrency: Option<u32>,
    /// Starts a second
    #[arg(long, value_name = "N", help_heading = "Limits")]
    rate: Option<f64>,
    /// How many may start at once after a silence
    #[arg(long, value_name = "N", requires = "rate", help_heading = "Limits")]
    burst: Option<u32>,
}

impl Limits {
    /// As the API takes them; each key may have so many at a time.
    pub(super) fn body(&self, key_concurrency: Option<u32>) -> Map<String, Value> {
        let Self { concurrency, rate, burst } = self;
        let fields = [
            ("concurrency", json!(concurrency)),
            ("rate_per_second", json!(rate)),
            ("burst", json!(burst)),
            ("key_concurrency", json!(key_concurrency)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// In words; `key` is what a key stands for.
pub(super) fn said(limits: &gristmill_queue::Limits, key: &str) -> Vec<String> {
    let gristmill_queue::Limits { concurrency, rate_per_second, burst, key_concurrency } = limits;
    let said = [
        concurrency.map(|n| format!("{n} at a time")),
        rate_per_second.map(|n| format!("{n} starts a second")),
        burst.map(|n| format!("{n} at once after a silence")),
        key_concurrency.map(|n| format!("{n} of one {key} at a time")),
    ];
    said.into_iter().flatten().collect()
}
