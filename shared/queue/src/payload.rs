//! What a payload may be: JSON that Postgres' `jsonb` holds and any worker can read. Looked at before the ledger is
//! asked, because a statement that Postgres refuses ends the caller's whole transaction.

use crate::QueueError;

/// Levels of arrays and objects: `serde_json` reads as many.
const MAX_DEPTH: usize = 127;
/// Digits of a `numeric` before and after its point.
const MAX_INTEGER_DIGITS: i64 = 131_072;
const MAX_FRACTION_DIGITS: i64 = 16_383;

/// Why a payload cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// No text of Postgres holds a NUL.
    #[error("has a NUL character (\\u0000) in it, which the ledger cannot hold: leave it out")]
    Nul,
    /// Half a character of UTF-16.
    #[error("has half a surrogate pair (\\ud800 to \\udfff) in it, which is no character: send whole ones")]
    Surrogate,
    /// More digits than a `numeric` has.
    #[error("has a number of more digits than the ledger can hold: send it as a text")]
    Number,
    /// Arrays and objects in each other.
    #[error("is nested deeper than {MAX_DEPTH} levels: make it flatter")]
    Deep,
    /// As encrypted, but not as it says.
    #[error(
        "says that it is encrypted (`$encrypted`), and does not decrypt as one of this job: send it as it is, and it is encrypted here"
    )]
    Encrypted,
    /// In bytes, when it is encrypted: a third more than it has.
    #[error(
        "has {bytes} bytes when it is encrypted, and {limit} is the most (`QueueConfig::payload_limit`): send an id, and keep the content elsewhere"
    )]
    TooLargeEncrypted {
        /// As JSON.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// In bytes.
    #[error(
        "has {bytes} bytes, and {limit} is the most (`QueueConfig::payload_limit`): send an id, and keep the content elsewhere"
    )]
    TooLarge {
        /// As JSON.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
}

/// `json`, the well-formed payload of job `name`, can be kept.
pub(crate) fn check(name: &str, json: &str, limit: usize) -> Result<(), QueueError> {
    let problem = if json.len() > limit {
        Err(PayloadError::TooLarge { bytes: json.len(), limit })
    } else {
        storable(json.as_bytes())
    };
    problem.map_err(|problem| QueueError::Payload { name: name.into(), problem })
}

/// What Postgres would refuse of this well-formed JSON.
pub(crate) fn storable(json: &[u8]) -> Result<(), PayloadError> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = json.get(at) {
        at = match byte {
            b'"' => text(json, at + 1)?,
            b'-' | b'0'..=b'9' => {
                let end = json[at..].iter().position(|byte| !b"+-.eE0123456789".contains(byte));
                let end = end.map_or(json.len(), |length| at + length);
                number(&json[at..end])?;
                end
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(PayloadError::Deep);
                }
                at + 1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => at + 1,
        };
    }
    Ok(())
}

/// Reads a text from behind its first quote to behind its last one.
fn text(json: &[u8], mut at: usize) -> Result<usize, PayloadError> {
    loop {
        match json.get(at) {
            None => return Ok(at),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match unit(json, at) {
                Some(0) => return Err(PayloadError::Nul),
                Some(0xd800..=0xdbff) if matches!(unit(json, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
                Some(0xd800..=0xdfff) => return Err(PayloadError::Surrogate),
                _ => at += 2,
            },
            Some(_) => at += 1,
        }
    }
}

/// The unit of UTF-16 that is escaped here, if one is.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn number(digits: &[u8]) -> Result<(), PayloadError> {
    let split = digits.iter().position(|byte| b"eE".contains(byte));
    let (mantissa, exponent) = digits.split_at(split.unwrap_or(digits.len()));
    let exponent = match exponent {
        [] => 0,
        [_, power @ ..] => {
            let power = std::str::from_utf8(power).ok().and_then(|power| power.parse::<i32>().ok());
            i64::from(power.ok_or(PayloadError::Number)?)
        }
    };
    let mantissa = mantissa.strip_prefix(b"-").unwrap_or(mantissa);
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let whole = point.unwrap_or(mantissa.len()) as i64;
    let fraction = point.map_or(0, |point| mantissa.len() - point - 1) as i64;
    if whole + exponent > MAX_INTEGER_DIGITS || fraction - exponent > MAX_FRACTION_DIGITS {
        Err(PayloadError::Number)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgres_holds_is_let_in() {
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        for json in [
            "null",
            r#"{"a":[1,-2.5e3,1e131071,1E-16383,0.0],"b":"é\n\"\\","\\u0000":"\\\\u0000"}"#,
            r#""\ud83d\ude00 \\ud800 A""#,
            &deep,
        ] {
            assert_eq!(storable(json.as_bytes()), Ok(()), "{json}");
        }
    }

    #[test]
    fn what_it_does_not_hold_is_refused() {
        use PayloadError::{Deep, Nul, Number, Surrogate};
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        for (json, problem) in [
            (r#"{"a":"x\u0000y"}"#, Nul),
            (r#"{"\u0000":1}"#, Nul),
            (r#""\\\u0000""#, Nul),
            (r#""\ud800""#, Surrogate),
            (r#""\uDC00\ud800""#, Surrogate),
            (r#""\ud800\u0041""#, Surrogate),
            ("1e400000", Number),
            ("[-1.5E131072]", Number),
            ("1e-16384", Number),
            ("1e99999999999999999999", Number),
            (&*deep, Deep),
        ] {
            assert_eq!(storable(json.as_bytes()), Err(problem), "{json}");
        }
    }
}
