//! A BR Code read.

use std::str::FromStr;

use super::{GUI, crc::crc16};
use crate::rails::CodeError;

const FORM: CodeError = CodeError::Form("BR Code of PIX");

/// What a BR Code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixCode {
    /// The receiver's key.
    pub key: String,
    /// The receiver's name, as the code has it.
    pub name: String,
    /// The receiver's city, as the code has it.
    pub city: String,
    /// In centavos; `None` when the payer says how much.
    pub amount_minor: Option<i64>,
    /// `None` when it is `***`.
    pub id: Option<String>,
}

impl FromStr for PixCode {
    type Err = CodeError;

    fn from_str(code: &str) -> Result<Self, CodeError> {
        let (body, crc) = code.len().checked_sub(4).and_then(|at| code.split_at_checked(at)).ok_or(FORM)?;
        if !body.ends_with("6304") {
            return Err(FORM);
        }
        if u16::from_str_radix(crc, 16) != Ok(crc16(body.as_bytes())) {
            return Err(CodeError::Check("the code's checksum"));
        }
        let account = value(body, "26")?.ok_or(FORM)?;
        if value(account, "00")? != Some(GUI) {
            return Err(FORM);
        }
        let id = value(value(body, "62")?.ok_or(FORM)?, "05")?;
        Ok(Self {
            key: value(account, "01")?.ok_or(FORM)?.to_owned(),
            name: value(body, "59")?.ok_or(FORM)?.to_owned(),
            city: value(body, "60")?.ok_or(FORM)?.to_owned(),
            amount_minor: value(body, "54")?.map(amount).transpose()?,
            id: id.filter(|id| *id != "***").map(str::to_owned),
        })
    }
}

/// The value of a tag among tags, lengths and values.
fn value<'a>(mut fields: &'a str, wanted: &str) -> Result<Option<&'a str>, CodeError> {
    while fields.len() > 4 {
        let (tag, rest) = fields.split_at_checked(2).ok_or(FORM)?;
        let (length, rest) = rest.split_at_checked(2).ok_or(FORM)?;
        let length = length.parse().map_err(|_| FORM)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(FORM)?;
        if tag == wanted {
            return Ok(Some(value));
        }
        fields = rest;
    }
    Ok(None)
}

fn amount(text: &str) -> Result<i64, CodeError> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "00"));
    if whole.is_empty() || cents.len() != 2 || !whole.bytes().chain(cents.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    [whole, cents].concat().parse().map_err(|_| FORM)
}
