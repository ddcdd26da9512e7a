//! What a message costs by its text, in twentieths of a credit: every part of the price is a multiple of that.
//!
//! A character is a Unicode scalar value. A word is a run of letters (`char::is_alphabetic`), apostrophes (`'`) and hyphens
//! (`-`), of these two alone as well. A vowel is one of `aeiou`, in either case and without an accent. All words of a text
//! without words differ from each other. A palindrome reads the same in both directions when each character is put in
//! lower case and all but letters and digits (`char::is_alphanumeric`) are left out; one without any of them is none.

mod fold;
mod seen;
mod words;

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use self::{
    fold::{is_palindrome, is_palindrome_ascii},
    seen::Seen,
    words::edges,
};

/// Twentieths of a credit in one.
const ONE: i64 = 20;
const CHARACTER: i64 = 1;
const VOWEL: i64 = 6;
/// Of a text longer than this many characters.
const LONG_TEXT_CHARS: usize = 100;
const LENGTH: i64 = 100;
const UNIQUE: i64 = 40;

/// An amount of credits, exactly: in twentieths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credits(i64);

/// What a message with this text costs that names no report.
///
/// 1, and 0.05 a character; a word of 1–3 characters 0.1, of 4–7 0.2, of more 0.3; each third character that is a vowel
/// 0.3; more than 100 characters 5. All words different: 2 less, but not less than 1. A palindrome: twice that.
pub fn credits(text: &str) -> Credits {
    let (parts, palindrome) = if text.is_ascii() {
        (ascii(text.as_bytes()), is_palindrome_ascii(text.as_bytes()))
    } else {
        (unicode(text), is_palindrome(text))
    };
    let Parts { characters, words, vowels, unique } = parts;
    let mut sum = ONE + CHARACTER * whole(characters) + words + VOWEL * whole(vowels);
    if characters > LONG_TEXT_CHARS {
        sum += LENGTH;
    }
    if unique {
        sum = (sum - UNIQUE).max(ONE);
    }
    Credits(if palindrome { 2 * sum } else { sum })
}

/// What the price is made of.
struct Parts {
    characters: usize,
    /// What the words cost.
    words: i64,
    /// Third characters that are vowels.
    vowels: usize,
    /// No word comes twice.
    unique: bool,
}

/// What a word of so many characters costs. A table, as which one comes next nobody can foresee, the processor neither.
fn word(characters: usize) -> i64 {
    const PRICES: [i64; 9] = [0, 2, 2, 2, 4, 4, 4, 4, 6];
    PRICES[characters.min(8)]
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).expect("a text is shorter than 2⁶³ bytes")
}

fn ascii(text: &[u8]) -> Parts {
    let (mut seen, mut words, mut start) = (Seen::new(text), 0, None);
    edges(text, |at| match start.take() {
        None => start = Some(at),
        Some(from) => {
            words += word(at - from);
            seen.add(from, at);
        }
    });
    let vowels = text.chunks_exact(3).map(|three| usize::from(VOWELS[usize::from(three[2])])).sum();
    Parts { characters: text.len(), words, vowels, unique: seen.unique() }
}

fn unicode(text: &str) -> Parts {
    let mut parts = Parts { characters: 0, words: 0, vowels: 0, unique: true };
    let (mut seen, mut start, mut length) = (Seen::new(text.as_bytes()), 0, 0);
    let mut end_word = |start, end, length| {
        if length > 0 {
            seen.add(start, end);
            parts.words += word(length);
        }
    };
    for (at, char) in text.char_indices() {
        parts.characters += 1;
        if parts.characters.is_multiple_of(3) && u8::try_from(char).is_ok_and(|byte| VOWELS[usize::from(byte)] == 1) {
            parts.vowels += 1;
        }
        if char.is_alphabetic() || matches!(char, '\'' | '-') {
            if length == 0 {
                start = at;
            }
            length += 1;
        } else {
            end_word(start, at, length);
            length = 0;
        }
    }
    end_word(start, text.len(), length);
    parts.unique = seen.unique();
    parts
}

/// 1 where a byte is a vowel.
const VOWELS: [u8; 256] = {
    let mut table = [0; 256];
    let vowels = b"aeiouAEIOU";
    let mut n = 0;
    while n < vowels.len() {
        table[vowels[n] as usize] = 1;
        n += 1;
    }
    table
};

/// Not an amount of credits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredits {
    /// Not a plain decimal number.
    #[error("is not a number from 0 to 1000000 with at most two decimals, such as 12.5")]
    NotANumber,
    /// Not a multiple of a twentieth.
    #[error("is not a multiple of 0.05: credits have no smaller part")]
    TooFine,
}

impl Credits {
    /// The most that a report may cost.
    const MOST: i64 = 1_000_000 * ONE;

    /// So many twentieths of a credit.
    pub const fn from_twentieths(twentieths: i64) -> Self {
        Self(twentieths)
    }

    /// In twentieths of a credit.
    pub const fn twentieths(self) -> i64 {
        self.0
    }
}

/// A decimal number without an exponent, as JSON writes it. Decimals beyond the second may only be zeros.
impl FromStr for Credits {
    type Err = BadCredits;

    fn from_str(text: &str) -> Result<Self, BadCredits> {
        let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(units) || !digits(decimals) || units.len() > 7 || decimals.trim_end_matches('0').len() > 2 {
            return Err(BadCredits::NotANumber);
        }
        let hundredths = format!("{units}{decimals:0<2.2}").parse::<i64>().map_err(|_| BadCredits::NotANumber)?;
        match (hundredths / 5, hundredths % 5) {
            (twentieths, _) if twentieths > Self::MOST => Err(BadCredits::NotANumber),
            (twentieths, 0) => Ok(Self(twentieths)),
            _ => Err(BadCredits::TooFine),
        }
    }
}

/// The shortest decimal number that it is.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (units, hundredths) = (self.0.unsigned_abs() / 20, self.0.unsigned_abs() % 20 * 5);
        match (hundredths, hundredths % 10) {
            (0, _) => write!(f, "{sign}{units}"),
            (tenths, 0) => write!(f, "{sign}{units}.{}", tenths / 10),
            (hundredths, _) => write!(f, "{sign}{units}.{hundredths:02}"),
        }
    }
}

/// As a number with exactly these digits, in JSON.
impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
