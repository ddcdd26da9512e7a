//! Numbers and times for people, as the board writes them, and what only the product has.

pub(super) use gristmill_board::format::*;

/// A share of 1 with two decimals.
pub(super) fn score(score: impl Real) -> String {
    format!("{:.2}", score.real())
}

/// A number in hundredths as an amount.
pub(super) fn money(minor: impl Whole, currency: &str) -> String {
    let minor = minor.whole();
    let sign = if minor < 0 { "−" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02} {currency}", count(u64::try_from(minor / 100).unwrap_or(u64::MAX)), minor % 100)
}

/// What became of a mail: one that went nowhere is not called sent.
pub(super) fn mail_state(mail: &gristmill_mail::read::Mail) -> String {
    if mail.went_nowhere() { "kept".to_owned() } else { mail.state.to_string() }
}

/// What a state means for its colour: the product's own words, else as the board has it.
pub(super) fn tone(state: impl ToString) -> &'static str {
    match state.to_string().as_str() {
        "delivered" | "sent" | "paid" => "good",
        "held" | "overdue" | "suppressed" => "warn",
        "receiving" | "processing" | "sending" | "pending" | "queued" => "live",
        other => gristmill_board::format::tone(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_shares_for_people() {
        assert_eq!([money(-123_456, "BRL"), money(5, "EUR")], ["−1,234.56 BRL", "0.05 EUR"]);
        assert_eq!([score(0.927_523_26_f32), score(1.0_f64)], ["0.93", "1.00"]);
        assert_eq!(["paid", "dead", "held", "queued", "kept"].map(tone), ["good", "bad", "warn", "live", "calm"]);
    }
}
