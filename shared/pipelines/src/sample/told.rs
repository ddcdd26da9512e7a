//! The questions, as sentences.

use super::words::words;
use crate::{
    DateOrder, Decimal, Example, Question,
    fields::{day_in_order, open},
};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// There are values of both ways, and one that has two meanings, or rows behind them that may have.
pub(super) fn two_ways(
    what: &str,
    parameter: &'static str,
    [one, other]: [Example; 2],
    open: Option<Example>,
    choices: &[&str],
) -> Question {
    let unclear = match &open {
        Some(open) => format!("{} on line {} has two meanings", open.value, open.line),
        None => "others further down may have two meanings".to_owned(),
    };
    let sentence = format!(
        "{what} are written in two ways: {} on line {} and {} on line {}, so {unclear}. Send {parameter}={}.",
        one.value,
        one.line,
        other.value,
        other.line,
        choices.join(&format!(" or {parameter}=")),
    );
    let examples = [one, other].into_iter().chain(open).collect();
    question(parameter, choices, examples, sentence)
}

/// Nothing says what the mark of an amount is.
pub(super) fn open_amount(column: &str, example: &Example) -> Option<Question> {
    let (units, mark, behind) = open(example.value.as_bytes())?;
    let (thousands, decimals) = match mark {
        Decimal::Point => ("comma", "point"),
        Decimal::Comma => ("point", "comma"),
    };
    let (value, line) = (&example.value, example.line);
    let number = format!("{units}{behind}");
    let sentence = format!(
        "{column} is {value} on line {line}: {}, or {units} and {} thousandths? In no row is it clear. Send \
         decimal={thousands} ({number}.00) or decimal={decimals}.",
        words(number.parse().ok()?),
        behind.trim_start_matches('0').parse().unwrap_or(0),
    );
    Some(question("decimal", &[thousands, decimals], vec![example.clone()], sentence))
}

/// Nothing says in which order a date is.
pub(super) fn open_date(column: &str, example: &Example) -> Option<Question> {
    let day = |order| {
        let days = day_in_order(example.value.split([' ', 'T']).next()?.as_bytes(), order, |year| 2000 + year);
        days.and_then(|_| parts(&example.value))
    };
    let ((first, second), _) = (day(DateOrder::Dmy)?, day(DateOrder::Mdy)?);
    let (value, line) = (&example.value, example.line);
    let sentence = format!(
        "{column} is {value} on line {line}: {first} {} or {second} {}? In no row is it clear. Send dates=dmy or dates=mdy.",
        MONTHS.get(second - 1)?,
        MONTHS.get(first - 1)?,
    );
    Some(question("dates", &["dmy", "mdy"], vec![example.clone()], sentence))
}

/// Nothing says which part of a date is its year.
pub(super) fn short_year(example: &Example) -> Question {
    let sentence = format!(
        "The year of {} on line {} has two digits. Send dates=dmy, dates=mdy or dates=ymd.",
        example.value, example.line
    );
    question("dates", &["dmy", "mdy", "ymd"], vec![example.clone()], sentence)
}

/// The first two numbers of a date.
fn parts(date: &str) -> Option<(usize, usize)> {
    let mut parts = date.split(['/', '-', '.']).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn question(parameter: &'static str, choices: &[&str], examples: Vec<Example>, sentence: String) -> Question {
    let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
    Question { parameter, choices, examples, sentence }
}
