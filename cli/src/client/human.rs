//! Numbers for people.

use std::time::Duration;

pub(super) use gristmill_core::human::bytes;
use gristmill_uploads::UploadId;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

pub(crate) use super::table::table;

/// A string without its quotes, nothing for null, and anything else as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Prints a thing whole.
pub(super) fn pretty(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// `1100000` → `1,100,000`.
pub(super) fn count(number: impl TryInto<u64>) -> String {
    gristmill_core::human::count(number.try_into().unwrap_or_default())
}

/// `2.13 s`, `1 min 05 s`, `3 h 07 min`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_secs() {
        0 => format!("{seconds:.2} s"),
        1..=59 => format!("{seconds:.1} s"),
        whole @ 60..=3599 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `3s`, `12m`, `5h`, `8d`: since then.
pub(super) fn age(since: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// An id, as people give it.
pub(super) fn id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "an id looks like 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55".to_owned())
}

/// An upload's id, as people give it.
pub(super) fn upload(text: &str) -> Result<UploadId, String> {
    id(text).map(UploadId::from)
}

/// An amount as the API gives it: `1,234.50 BRL`.
pub(super) fn amount(value: &Value) -> String {
    format!("{} {}", thousands(&text(&value["decimal"])), text(&value["currency"])).trim_end().to_owned()
}

/// `-1234567.50` → `-1,234,567.50`.
fn thousands(decimal: &str) -> String {
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |digits| ("-", digits));
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    match whole.parse::<u64>() {
        Ok(whole) => format!("{sign}{}{rest}", count(whole)),
        Err(_) => decimal.to_owned(),
    }
}

/// At most so many characters, on one line.
pub(super) fn short(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most + 1).collect();
    if line.chars().count() <= most { line } else { line.chars().take(most - 1).chain(['…']).collect() }
}

/// How many a second; nothing while there is too little to tell.
pub(super) fn rate(number: u64, time: Duration) -> Option<u64> {
    let millis = u64::try_from(time.as_millis()).ok().filter(|millis| *millis > 0)?;
    Some(number.saturating_mul(1000) / millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0u64, 12, 999, 1000, 1_100_000].map(count).join(" "), "0 12 999 1,000 1,100,000");
        assert_eq!(
            [0, 999, 1000, 999_949, 999_950, 104_600_000].map(bytes).join("|"),
            "0 B|999 B|1.0 kB|999.9 kB|1.0 MB|104.6 MB"
        );
        let times = [0.25, 2.13, 65.0, 11_220.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(times.join("|"), "0.25 s|2.1 s|1 min 05 s|3 h 07 min");
        assert_eq!(rate(5, Duration::ZERO), None);
        assert_eq!(rate(1_100_000, Duration::from_millis(2100)), Some(523_809));
    }

    #[test]
    fn amounts_and_ids() {
        let of = |decimal: &str| amount(&serde_json::json!({ "decimal": decimal, "currency": "BRL" }));
        assert_eq!(
            [of("5928994365.00"), of("-1234.50"), of("7.00")],
            ["5,928,994,365.00 BRL", "-1,234.50 BRL", "7.00 BRL"]
        );
        assert!(id("foo").unwrap_err().starts_with("an id looks like"));
        assert!(id("0195b3a4-7c1e-7000-8000-2f6c3f1a9d55").is_ok());
    }

    #[test]
    fn ages_and_long_texts() {
        let ago = |seconds| age(Timestamp::now() - jiff::SignedDuration::from_secs(seconds));
        assert_eq!([90, 7_200, 864_000].map(ago).join(" "), "1m 2h 10d");
        let young = ago(3);
        let seconds = young.strip_suffix('s').and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| (3..60).contains(&seconds)), "{young}");
        assert_eq!((short("abc", 3), short("a\nbcd", 4)), ("abc".to_owned(), "a b…".to_owned()));
    }
}
