//! What a line must satisfy. A rule is a small function and an entry of [`RULES`]; a new one is nothing more.

use std::fmt;

use memchr::memchr;

use super::{record::*, values};
use crate::{DateOrder, Decimal, ReasonCode, dialect, fields::is_shortened};

/// A rule of a line.
pub struct Rule {
    /// What it is called, in rejects and in settings. Never renamed.
    pub name: &'static str,
    /// The reason that its rejects have.
    pub code: ReasonCode,
    /// Whether it is only checked for clients that switched it on.
    pub optional: bool,
    /// What it expects, for people.
    pub expects: &'static str,
    /// The columns whose fields must satisfy it.
    pub(super) columns: &'static [usize],
    /// Whether a field does, in its line. An empty field is only asked by rules whose reason is a missing one.
    pub(super) holds: fn(&[u8], &Line<'_>) -> bool,
}

/// Every rule, in the order in which they are checked: a reject names the first that is broken.
pub static RULES: &[Rule] = &[
    rule("required_except_quadrant", ReasonCode::MissingField, REQUIRED, is_there, "something"),
    rule("text_can_be_stored", ReasonCode::NotUtf8, TEXTS, text_can_be_stored, "text in UTF-8"),
    rule("text_of_64_characters", ReasonCode::FieldTooLong, TEXTS, text_of_64_characters, "at most 64 characters"),
    rule(
        "service_date_is_a_date",
        ReasonCode::BadDate,
        &[SERVICE_DATE],
        is_a_date,
        "a date of the calendar as M/D/YY, M/D/YYYY or YYYY-MM-DD, a time of day may follow, like 3/28/18 0:00",
    ),
    rule(
        "service_date_not_in_the_future",
        ReasonCode::BadDate,
        &[SERVICE_DATE],
        not_in_the_future,
        "a day that is not after the one on which the claim came",
    ),
    rule(
        "service_date_from_1900_on",
        ReasonCode::BadDate,
        &[SERVICE_DATE],
        from_1900_on,
        "a day from 1900-01-01 on: is its year mistyped?",
    ),
    rule(
        "procedure_starts_with_d",
        ReasonCode::BadProcedure,
        &[PROCEDURE],
        procedure_starts_with_d,
        "the letter D and four digits, like D0180",
    ),
    rule(
        "procedure_four_digits",
        ReasonCode::BadProcedure,
        &[PROCEDURE],
        procedure_four_digits,
        "four digits behind its first letter, like D0180",
    ),
    rule("ids_are_whole", ReasonCode::BadId, IDS, ids_are_whole, "an id with all its digits"),
    rule("npi_ten_digits", ReasonCode::BadNpi, &[PROVIDER], npi_ten_digits, "ten digits, like 1497775530"),
    rule(
        "money_is_money",
        ReasonCode::BadAmount,
        AMOUNTS,
        money_is_money,
        "dollars with at most two decimals, up to 9,999,999,999.99, like $1,234.50, -5, (5.00) or $(5.00)",
    ),
    optional(
        "npi_luhn",
        ReasonCode::BadNpi,
        &[PROVIDER],
        npi_luhn,
        "a National Provider Identifier whose check digit is right",
    ),
    optional(
        "quadrant_known",
        ReasonCode::BadQuadrant,
        &[QUADRANT],
        quadrant_known,
        "a quadrant of the mouth: UR, UL, LR or LL, or nothing",
    ),
    optional("fees_not_negative", ReasonCode::BadAmount, AMOUNTS, fees_not_negative, "no negative amount"),
    optional(
        "allowed_within_provider_fees",
        ReasonCode::AmountsDisagree,
        &[ALLOWED_FEES],
        allowed_within_provider_fees,
        "not more than the provider fees",
    ),
];

const fn rule(
    name: &'static str,
    code: ReasonCode,
    columns: &'static [usize],
    holds: fn(&[u8], &Line<'_>) -> bool,
    expects: &'static str,
) -> Rule {
    Rule { name, code, optional: false, expects, columns, holds }
}

const fn optional(
    name: &'static str,
    code: ReasonCode,
    columns: &'static [usize],
    holds: fn(&[u8], &Line<'_>) -> bool,
    expects: &'static str,
) -> Rule {
    Rule { optional: true, ..rule(name, code, columns, holds, expects) }
}

const REQUIRED: &[usize] =
    &[SERVICE_DATE, PROCEDURE, PLAN_GROUP, SUBSCRIBER, PROVIDER, PROVIDER_FEES, ALLOWED_FEES, COINSURANCE, COPAY];
/// Those of free form.
const TEXTS: &[usize] = &[QUADRANT, PLAN_GROUP, SUBSCRIBER];
/// Those that stand for somebody or something.
const IDS: &[usize] = &[PLAN_GROUP, SUBSCRIBER, PROVIDER];

fn is_there(field: &[u8], _: &Line<'_>) -> bool {
    !field.is_empty()
}

fn text_can_be_stored(field: &[u8], _: &Line<'_>) -> bool {
    memchr(0, field).is_none() && std::str::from_utf8(field).is_ok()
}

fn text_of_64_characters(field: &[u8], _: &Line<'_>) -> bool {
    field.len() <= 64 || String::from_utf8_lossy(field).chars().count() <= 64
}

fn is_a_date(field: &[u8], line: &Line<'_>) -> bool {
    line.day(field).is_some()
}

fn not_in_the_future(field: &[u8], line: &Line<'_>) -> bool {
    match (line.day(field), line.today()) {
        (Some(day), Some(today)) => day <= today,
        // What is no date breaks another rule.
        _ => true,
    }
}

fn from_1900_on(field: &[u8], line: &Line<'_>) -> bool {
    line.day(field).is_none_or(|day| day >= values::EARLIEST)
}

fn ids_are_whole(field: &[u8], _: &Line<'_>) -> bool {
    !is_shortened(field)
}

fn procedure_starts_with_d(field: &[u8], _: &Line<'_>) -> bool {
    field.first() == Some(&b'D')
}

fn procedure_four_digits(field: &[u8], _: &Line<'_>) -> bool {
    matches!(field, [_, digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit))
}

fn npi_ten_digits(field: &[u8], _: &Line<'_>) -> bool {
    field.len() == 10 && field.iter().all(u8::is_ascii_digit)
}

/// By Luhn's formula over 80840, which stands for health care in the United States, and the number.
fn npi_luhn(field: &[u8], _: &Line<'_>) -> bool {
    let digits = b"80840".iter().chain(field).rev().map(|byte| u32::from(byte.wrapping_sub(b'0')));
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits.enumerate().map(|(n, digit)| if n % 2 == 1 { doubled(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}

fn money_is_money(field: &[u8], line: &Line<'_>) -> bool {
    line.money(field).is_some()
}

fn quadrant_known(field: &[u8], _: &Line<'_>) -> bool {
    matches!(field, b"UR" | b"UL" | b"LR" | b"LL")
}

fn fees_not_negative(field: &[u8], line: &Line<'_>) -> bool {
    line.money(field).is_none_or(|cents| cents >= 0)
}

fn allowed_within_provider_fees(field: &[u8], line: &Line<'_>) -> bool {
    match (line.money(field), line.money(line.field(PROVIDER_FEES))) {
        (Some(allowed), Some(fees)) => allowed <= fees,
        // What is no money breaks another rule.
        _ => true,
    }
}

impl Rule {
    /// The columns that must satisfy it, by their names in files.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| COLUMNS[*column])
    }

    /// What it expects in a file whose amounts and dates are written so.
    pub(super) fn expected(&self, written: dialect::Values) -> &'static str {
        match (self.name, written.decimal, written.dates) {
            ("money_is_money", Some(Decimal::Comma), _) => {
                "an amount with at most two decimals after a comma, as the other amounts of the file, up to \
                 9.999.999.999,99, like 1.234,50, -5 or (5,00)"
            }
            ("service_date_is_a_date", _, Some(DateOrder::Dmy)) => {
                "a date of the calendar as D/M/YY, D/M/YYYY or YYYY-MM-DD, a time of day may follow, like 28/3/18 0:00"
            }
            ("service_date_is_a_date", _, Some(DateOrder::Ymd)) => {
                "a date of the calendar as YY/M/D, YYYY/M/D or YYYY-MM-DD, a time of day may follow, like 18/3/28 0:00"
            }
            _ => self.expects,
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The optional rules that are on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches(u64);

/// A word that names no optional rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no optional rule for claims; those are: {names}", names = optional_names())]
pub struct UnknownRule(pub String);

fn optional_names() -> String {
    let optional = RULES.iter().filter(|rule| rule.optional).map(|rule| rule.name);
    optional.collect::<Vec<_>>().join(", ")
}

impl Switches {
    /// Those of these names.
    pub fn on(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, UnknownRule> {
        let mut switches = Self::default();
        for name in names {
            let found = RULES.iter().position(|rule| rule.optional && rule.name == name.as_ref());
            switches.0 |= 1 << found.ok_or_else(|| UnknownRule(name.as_ref().to_owned()))?;
        }
        Ok(switches)
    }
}

/// Every rule that the line breaks, with the column it breaks it in.
pub(super) fn broken<'l>(
    line: &'l Line<'l>,
    switches: Switches,
) -> impl Iterator<Item = (&'static Rule, usize)> + use<'l> {
    let checked = RULES.iter().enumerate().filter(move |(n, rule)| !rule.optional || switches.0 & (1 << n) != 0);
    checked.flat_map(move |(_, rule)| {
        let columns = rule.columns.iter().copied();
        columns.map(move |column| (rule, column)).filter(move |(rule, column)| {
            let field = line.field(*column);
            (!field.is_empty() || rule.code == ReasonCode::MissingField) && !(rule.holds)(field, line)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Line<'static> = Line::new([b""; 10], None);

    #[test]
    fn npis_have_a_check_digit() {
        // The example of the standard, the same with a wrong digit, and one of a real file.
        for (npi, right) in [("1234567893", true), ("1234567890", false), ("1497775530", true)] {
            assert_eq!(npi_luhn(npi.as_bytes(), &NONE), right, "{npi}");
        }
    }

    #[test]
    fn names_are_words_that_differ() {
        assert!(RULES.len() <= 64, "a switch is a bit");
        for (n, rule) in RULES.iter().enumerate() {
            assert!(rule.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
            assert!(RULES[..n].iter().all(|other| other.name != rule.name), "{}", rule.name);
            assert!(rule.columns().count() > 0);
        }
        assert!(Switches::on(["npi_luhn"]).is_ok());
        let unknown = Switches::on(["npi_ten_digits"]).unwrap_err().to_string();
        assert!(unknown.contains("npi_luhn, quadrant_known"), "{unknown}");
    }
}
