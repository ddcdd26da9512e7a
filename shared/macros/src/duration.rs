//! `30s`, at compile time.

/// Milliseconds of a text such as `250ms`, `30s`, `10m`, `2h` or `7d`.
pub(crate) fn millis(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || format!("`{text}` is not a duration such as 250ms, 30s, 10m, 2h or 7d");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn what_is_a_duration() {
        for (text, expected) in
            [("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("2h", 7_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(millis(text), Ok(expected));
        }
        for text in ["", "30", "s", "1.5s", "-1s", "30 s", "99999999999999999d"] {
            assert!(millis(text).is_err(), "{text}");
        }
    }
}
