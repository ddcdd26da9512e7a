//! Amounts of money, exact, and as people read them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Language;

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// In the currency's minor unit.
    pub minor: i64,
    /// Its currency.
    pub currency: Currency,
}

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// Not three capital letters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no currency: it takes three capital letters")]
pub struct NotACurrency(pub String);

impl Money {
    /// An amount in reais.
    pub const fn brl(centavos: i64) -> Self {
        Self { minor: centavos, currency: Currency::BRL }
    }

    /// An amount in euro.
    pub const fn eur(cents: i64) -> Self {
        Self { minor: cents, currency: Currency::EUR }
    }

    /// As people read it: `R$ 1.240,20`, `R$1,240.20`, `1.240,20 R$`, with a space that does not break.
    pub fn read(self, language: Language) -> String {
        let (group, point) = match language {
            Language::English => (',', '.'),
            Language::Portuguese | Language::Spanish => ('.', ','),
        };
        let sign = if self.minor < 0 { "-" } else { "" };
        let number = number(self.minor.unsigned_abs(), self.currency.decimals(), group, point);
        let symbol = self.currency.symbol();
        let space = if symbol.ends_with(char::is_alphabetic) { "\u{a0}" } else { "" };
        match language {
            Language::Portuguese => format!("{sign}{symbol}\u{a0}{number}"),
            Language::English => format!("{sign}{symbol}{space}{number}"),
            Language::Spanish => format!("{sign}{number}\u{a0}{symbol}"),
        }
    }
}

fn number(minor: u64, decimals: u32, group: char, point: char) -> String {
    let unit = 10_u64.pow(decimals);
    let whole = (minor / unit).to_string();
    let mut text = String::with_capacity(whole.len() * 2 + 4);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(group);
        }
        text.push(digit);
    }
    if decimals > 0 {
        text.push(point);
        text.push_str(&format!("{:0width$}", minor % unit, width = decimals as usize));
    }
    text
}

impl Currency {
    /// The Brazilian real.
    pub const BRL: Self = Self(*b"BRL");
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");
    /// The dollar of the United States.
    pub const USD: Self = Self(*b"USD");

    /// Its ISO 4217 code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("capital letters")
    }

    /// Decimal places of its minor unit: none to four.
    pub fn decimals(&self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX"
            | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }

    /// What stands before or behind an amount: the code, unless no one would take the symbol for another currency's.
    fn symbol(&self) -> &str {
        match &self.0 {
            b"BRL" => "R$",
            b"EUR" => "€",
            b"USD" => "US$",
            b"GBP" => "£",
            _ => self.code(),
        }
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(code: &str) -> Result<Self, NotACurrency> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(letters @ [b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'Z']) => Ok(Self(letters)),
            _ => Err(NotACurrency(code.to_owned())),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = NotACurrency;

    fn try_from(code: String) -> Result<Self, NotACurrency> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}
