//! Medians, percentiles and ratios, and how they are written.

use std::{fmt, time::Duration};

/// The middle one; of an even number the larger of both middle ones.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The middle one of numbers.
pub(crate) fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The one below which so many percent lie.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A number of a table with its thousands apart.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = if first > 0 { vec![&digits[..first]] } else { vec![] };
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(",")
}

/// How many times as long.
pub(crate) fn times(time: Duration, other: Duration) -> f64 {
    time.as_secs_f64() / other.as_secs_f64()
}

/// What a figure must not exceed, or must reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, number) = match self {
            Self::AtMost(most) => ("≤", *most),
            Self::AtLeast(least) => ("≥", *least),
        };
        if number >= 1_000.0 { write!(f, "{sign} {}", thousands(number)) } else { write!(f, "{sign} {number}") }
    }
}

/// The number that stands before this word in a text, the first time that it does.
pub(crate) fn number_before(text: &str, word: &str) -> Option<f64> {
    let before = text[..text.find(word)?].trim_end();
    before.rsplit(|c: char| c.is_whitespace() || c == '(').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let times: Vec<Duration> = [5, 1, 4, 2, 3].map(Duration::from_secs).to_vec();
        assert_eq!(median(times.clone()), Duration::from_secs(3));
        assert_eq!(percentile(&mut times.clone(), 0), Duration::from_secs(1));
        assert_eq!(percentile(&mut times.clone(), 99), Duration::from_secs(5));
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn goals_say_whether_they_are_met() {
        assert!(Goal::AtMost(0.35).is_met(0.35) && !Goal::AtMost(0.35).is_met(0.36));
        assert!(Goal::AtLeast(200.0).is_met(200.0) && !Goal::AtLeast(200.0).is_met(199.0));
        assert_eq!(Goal::AtLeast(40_000.0).to_string(), "≥ 40,000");
        assert_eq!(Goal::AtMost(0.35).to_string(), "≤ 0.35");
    }

    #[test]
    fn numbers_are_found_in_what_an_example_prints() {
        let text = "20000 deliveries to 10 endpoints: 4270 a second\npage      1164 a second\n";
        assert_eq!(number_before(text, "a second"), Some(4270.0));
        assert_eq!(number_before("credits, 2 thread(s): 11.20 million", "million"), Some(11.2));
        assert_eq!(number_before(text, "an hour"), None);
    }
}
