//! Cron expressions in words, where there are short ones.

use jiff::{ToSpan as _, civil::Date};

/// `every 10 minutes`, `Monday to Friday at 06:30`; none for what is better read as it is written.
pub(crate) fn words(cron: &str) -> Option<String> {
    if cron.trim_start().starts_with("@at ") {
        return Some("once".to_owned());
    }
    let named = match cron.trim().to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => Some("on 1 January at 00:00"),
        "@monthly" => Some("on day 1 of the month at 00:00"),
        "@weekly" => Some("Sunday at 00:00"),
        "@daily" | "@midnight" => Some("every day at 00:00"),
        "@hourly" => Some("every hour"),
        _ => None,
    };
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let (second, fields) = match fields[..] {
        [second, ref rest @ ..] if rest.len() == 5 => (second, rest),
        ref rest if rest.len() == 5 => ("0", rest),
        _ => return None,
    };
    let &[minute, hour, day, month, weekday] = fields else { return None };
    if (minute, hour, day, month, weekday) == ("*", "*", "*", "*", "*") && second != "0" {
        return every(second, "second");
    }
    if second != "0" {
        return None;
    }
    if (hour, day, month, weekday) == ("*", "*", "*", "*") {
        return match number(minute, 59) {
            Some(0) => Some("every hour".to_owned()),
            Some(minute) => Some(format!("every hour at minute {minute}")),
            None => every(minute, "minute"),
        };
    }
    let days = days(day, month, weekday)?;
    let minute = number(minute, 59)?;
    if let Some(every) = hour.starts_with("*/").then(|| every(hour, "hour")).flatten() {
        let at = if minute == 0 { String::new() } else { format!(", at minute {minute}") };
        return (days == "every day").then(|| format!("{every}{at}"));
    }
    let times: Option<Vec<String>> =
        hour.split(',').map(|hour| Some(format!("{:02}:{minute:02}", number(hour, 23)?))).collect();
    Some(format!("{days} at {}", listed(&times?)))
}

fn number(field: &str, most: u32) -> Option<u32> {
    field.parse().ok().filter(|number| *number <= most)
}

/// `*` and `*/n`.
fn every(field: &str, unit: &str) -> Option<String> {
    if field == "*" {
        return Some(format!("every {unit}"));
    }
    match field.strip_prefix("*/")?.parse::<u32>().ok()? {
        0 => None,
        1 => Some(format!("every {unit}")),
        n => Some(format!("every {n} {unit}s")),
    }
}

fn days(day: &str, month: &str, weekday: &str) -> Option<String> {
    match (day, month, weekday) {
        ("*", "*", "*") => Some("every day".to_owned()),
        ("*", "*", _) => {
            let parts: Option<Vec<String>> = weekday.split(',').map(span).collect();
            Some(listed(&parts?))
        }
        (_, "*", "*") => {
            let days: Option<Vec<String>> =
                day.split(',').map(|day| number(day, 31).map(|day| day.to_string())).collect();
            let days = days?;
            let noun = if days.len() == 1 { "day" } else { "days" };
            Some(format!("on {noun} {} of the month", listed(&days)))
        }
        (_, _, "*") => {
            let month = Date::new(2024, i8::try_from(number(month, 12)?).ok()?, 1).ok()?.strftime("%B");
            Some(format!("on {} {month}", number(day, 31)?))
        }
        _ => None,
    }
}

/// A weekday, or one to another.
fn span(part: &str) -> Option<String> {
    match part.split_once('-') {
        Some((from, to)) => Some(format!("{} to {}", weekday(from)?, weekday(to)?)),
        None => weekday(part),
    }
}

fn weekday(word: &str) -> Option<String> {
    const SUNDAY: Date = Date::constant(2024, 1, 7);
    let name = |number: u32| SUNDAY.saturating_add(i64::from(number).days()).strftime("%A").to_string();
    match number(word, 7) {
        Some(number) => Some(name(number)),
        None => (0..7).map(name).find(|day| word.len() == 3 && day[..3].eq_ignore_ascii_case(word)),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn common_expressions_have_words() {
        for (cron, said) in [
            ("* * * * *", "every minute"),
            ("*/10 * * * *", "every 10 minutes"),
            ("*/5 * * * * *", "every 5 seconds"),
            ("0 * * * *", "every hour"),
            ("17 * * * *", "every hour at minute 17"),
            ("30 */6 * * *", "every 6 hours, at minute 30"),
            ("0 3 * * *", "every day at 03:00"),
            ("0 0 3 * * *", "every day at 03:00"),
            ("15 8,12,18 * * *", "every day at 08:15, 12:15 and 18:15"),
            ("30 6 * * 1-5", "Monday to Friday at 06:30"),
            ("0 9 * * MON,thu", "Monday and Thursday at 09:00"),
            ("0 0 * * 7", "Sunday at 00:00"),
            ("0 0 * * 0", "Sunday at 00:00"),
            ("0 0 * * Sat,2", "Saturday and Tuesday at 00:00"),
            ("0 4 31 1 *", "on 31 January at 04:00"),
            ("0 4 1,15 * *", "on days 1 and 15 of the month at 04:00"),
            ("0 4 24 12 *", "on 24 December at 04:00"),
            ("@daily", "every day at 00:00"),
        ] {
            assert_eq!(words(cron).as_deref(), Some(said), "{cron}");
        }
    }

    #[test]
    fn what_is_not_known_for_certain_has_none() {
        for cron in [
            "",
            "* * *",
            "*/0 * * * *",
            "1-5 * * * *",
            "0 25 * * *",
            "0 3 L * *",
            "0 3 * * 1#2",
            "0 3 1 * 1",
            "0 3 1 0 *",
            "0 3 1 13 *",
            "0 3 * * 8",
            "0 3 * * xyz",
            "x",
        ] {
            assert_eq!(words(cron), None, "{cron}");
        }
    }
}
