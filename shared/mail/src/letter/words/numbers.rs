//! Amounts and dates as a language writes them.

use jiff::civil::Date;

use super::{Language, Money};

/// Currencies whose minor unit is the major one.
const WHOLE: [&str; 5] = ["CLP", "JPY", "KRW", "PYG", "UGX"];

pub(super) fn money(language: Language, money: &Money) -> String {
    let symbol = match money.currency.as_str() {
        "BRL" => "R$",
        "EUR" => "€",
        "USD" => "US$",
        other => other,
    };
    let sign = if money.minor < 0 { "-" } else { "" };
    let minor = money.minor.unsigned_abs();
    if WHOLE.contains(&money.currency.as_str()) {
        return format!("{sign}{symbol} {}", integer(language, minor));
    }
    let comma = if language == Language::En { '.' } else { ',' };
    format!("{sign}{symbol} {}{comma}{:02}", integer(language, minor / 100), minor % 100)
}

pub(super) fn integer(language: Language, number: u64) -> String {
    let separator = if language == Language::En { ',' } else { '.' };
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

pub(super) fn date(language: Language, date: Date) -> String {
    // In English the order of numbers is understood in two ways; a word is not.
    let form = if language == Language::En { "%-d %B %Y" } else { "%d/%m/%Y" };
    date.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_right() {
        let text = |language, minor, currency: &str| money(language, &Money { minor, currency: currency.into() });
        assert_eq!(text(Language::PtBr, 781_150, "BRL"), "R$ 7.811,50");
        assert_eq!(text(Language::En, 123_456_789, "EUR"), "€ 1,234,567.89");
        assert_eq!(text(Language::Es, -5, "USD"), "-US$ 0,05");
        assert_eq!(text(Language::Es, 1_000, "CLP"), "CLP 1.000");
    }

    #[test]
    fn dates_read_right() {
        let day = Date::constant(2026, 1, 9);
        assert_eq!(date(Language::PtBr, day), "09/01/2026");
        assert_eq!(date(Language::En, day), "9 January 2026");
    }
}
