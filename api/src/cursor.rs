//! Opaque cursors: where the next page of a list begins.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use uuid::Uuid;

/// A cursor of a list that is ordered by id. Clients hand it back as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor<const LIST: char>(u128);

/// The cursor of `GET /v1/uploads`.
pub(crate) type Uploads = Cursor<'u'>;
/// The cursor of `GET /v1/debts`.
pub(crate) type Debts = Cursor<'d'>;
/// The cursor of `GET /v1/debts` of one upload.
pub(crate) type UploadDebts = Cursor<'p'>;
/// The cursor of `GET /v1/mail`.
pub(crate) type Mails = Cursor<'m'>;
/// The cursor of a webhook's deliveries.
pub(crate) type Deliveries = Cursor<'w'>;
/// The cursor of an upload's rejects.
pub(crate) type Rejects = Cursor<'r'>;
/// The cursor of `GET /v1/jobs`.
pub(crate) type Jobs = Cursor<'j'>;
/// The cursor of `GET /v1/groups`.
pub(crate) type Groups = Cursor<'g'>;
/// The cursor of a schedule's ticks.
pub(crate) type Ticks = Cursor<'t'>;

/// The cursor of `GET /v1/transactions`.
pub(crate) type Transactions = Cursor<'T'>;
/// The cursor of `GET /v1/normalizations`.
pub(crate) type Normalizations = Cursor<'n'>;

/// The cursor of `GET /v1/reports`.
pub(crate) type Reports = TextCursor<'R'>;
/// The cursor of `GET /v1/profiles`.
pub(crate) type Profiles = TextCursor<'P'>;
/// The cursor of `GET /v1/usage`.
pub(crate) type Usage = TextCursor<'U'>;
/// The cursor of `GET /v1/claims`.
pub(crate) type Claims = Cursor<'c'>;
/// The cursor of `GET /v1/plan-accounts`.
pub(crate) type PlanAccounts = Cursor<'a'>;

/// The cursor of `GET /v1/bills`.
pub(crate) type Bills = Cursor<'b'>;
/// The cursor of `GET /v1/billing-runs`.
pub(crate) type BillingRuns = Cursor<'B'>;

/// Not a cursor of this list.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list: pass `next_cursor` of the page before, or leave it out for the first page")]
pub(crate) struct BadCursor;

impl<const LIST: char> Cursor<LIST> {
    pub(crate) fn of(number: u128) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u128 {
        self.0
    }

    pub(crate) fn after_id(id: Uuid) -> Self {
        Self(id.as_u128())
    }

    pub(crate) fn id(self) -> Uuid {
        Uuid::from_u128(self.0)
    }

    pub(crate) fn after_line(line: i64) -> Self {
        Self(u128::from(line.unsigned_abs()))
    }

    pub(crate) fn line(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(crate) fn page<T>(found: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> Self) -> (Vec<T>, Option<String>) {
        page(found, limit, cursor)
    }
}

/// The page as it is shown, of one item more than were asked for: that one tells that there is a next page.
pub(crate) fn page<T, C: Display>(
    mut found: Vec<T>,
    limit: u32,
    cursor: impl FnOnce(&T) -> C,
) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| cursor(last).to_string());
    (found, next)
}

/// A cursor of a list that is ordered by a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextCursor<const LIST: char>(String);

impl<const LIST: char> TextCursor<LIST> {
    pub(crate) fn after(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn text(self) -> String {
        self.0
    }
}

impl<const LIST: char> Display for TextCursor<LIST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LIST}")?;
        self.0.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const LIST: char> FromStr for TextCursor<LIST> {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let digits = text.strip_prefix(LIST).ok_or(BadCursor)?;
        let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        let text = bytes.filter(|_| odd.is_empty()).and_then(|bytes| String::from_utf8(bytes).ok());
        text.filter(|text| !text.contains('\0')).map(Self).ok_or(BadCursor)
    }
}

impl<const LIST: char> std::fmt::Display for Cursor<LIST> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{LIST}{:x}", self.0)
    }
}

impl<const LIST: char> FromStr for Cursor<LIST> {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let digits = text.strip_prefix(LIST).ok_or(BadCursor)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadCursor);
        }
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| BadCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_went() {
        let id = Uuid::now_v7();
        let there = Uploads::after_id(id).to_string();
        assert_eq!(there.parse::<Uploads>().unwrap().id(), id);
        assert_eq!(there.parse::<Debts>(), Err(BadCursor));
        assert_eq!(Rejects::after_line(7).to_string().parse::<Rejects>().unwrap().line(), 7);
        for bad in ["", "u", "u+1", "uxyz", "ü1", &format!("u{}", "f".repeat(33))] {
            assert_eq!(bad.parse::<Uploads>(), Err(BadCursor), "{bad}");
        }
    }

    #[test]
    fn texts_come_back_as_they_went() {
        for text in ["", "5392", "-1 relatório/é"] {
            assert_eq!(Reports::after(text.to_owned()).to_string().parse::<Reports>().unwrap().text(), text);
        }
        assert_eq!(Reports::after("5".to_owned()).to_string().parse::<Usage>(), Err(BadCursor));
        for bad in ["", "R1", "R+1", "Rff", "R00", "Rü1"] {
            assert_eq!(bad.parse::<Reports>(), Err(BadCursor), "{bad}");
        }
    }

    #[test]
    fn a_page_knows_whether_another_follows() {
        let page = |n: i64, limit| Rejects::page((1..=n).collect(), limit, |line| Rejects::after_line(*line));
        assert_eq!(page(2, 2), (vec![1, 2], None));
        assert_eq!(page(3, 2), (vec![1, 2], Some("r2".to_owned())));
        assert_eq!(page(0, 2), (vec![], None));
    }
}
