//! Numbers for people.

/// `1100000` → `1,100,000`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number that is an estimate: `1234567` → `about 1.2 million`, `12345` → `about 12,000`.
#[must_use]
pub fn about(number: u64) -> String {
    // Two digits are known of it, at best.
    let unit = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
    let rounded = number.saturating_add(unit / 2) / unit * unit;
    let (size, word) = match rounded {
        1_000_000_000.. => (1_000_000_000, "billion"),
        1_000_000.. => (1_000_000, "million"),
        _ => return format!("about {}", count(rounded)),
    };
    let tenths = rounded / (size / 10);
    let tenth = if tenths < 100 && !tenths.is_multiple_of(10) { format!(".{}", tenths % 10) } else { String::new() };
    format!("about {}{tenth} {word}", count(tenths / 10))
}

/// Whether a character is obeyed or hidden where text is shown: a control (C0, C1), a format character of Unicode, a
/// separator of lines or a tag.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `104600000` → `104.6 MB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if number < 1000 {
        return format!("{number} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = number as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_has_two_digits() {
        let numbers = [0, 7, 10_001, 12_345, 999_999, 1_234_567, 9_960_000, 23_400_000, 5_000_000_000];
        let told = [
            "about 0",
            "about 7",
            "about 10,000",
            "about 12,000",
            "about 1 million",
            "about 1.2 million",
            "about 10 million",
            "about 23 million",
            "about 5 billion",
        ];
        assert_eq!(numbers.map(about), told);
        assert!(about(u64::MAX).ends_with(" billion"));
    }
}
