//! Texts in addresses and forms, which come with `%` escapes.

/// Why a text cannot be taken. It reads on from the name of what it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EscapeError {
    /// `%00`: no text of Postgres holds it.
    #[error("has a NUL character in it, which no text may have")]
    Nul,
    /// Escapes that are no text: replacing them would store what nobody sent.
    #[error("is not UTF-8")]
    NotUtf8,
}

/// Looks at a path, a query or a form as it came.
///
/// # Errors
/// When what it stands for is no text, or one that Postgres does not hold.
pub fn check(escaped: &str) -> Result<(), EscapeError> {
    let bytes = escaped.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |n: usize| bytes.get(at + n).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    if plain.contains(&0) {
        return Err(EscapeError::Nul);
    }
    std::str::from_utf8(&plain).map(drop).map_err(|_| EscapeError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_pass() {
        for good in ["", "/v1/jobs", "a=b&c=%C3%A9+%2B", "100%", "%", "%2", "%2500", "%zz00", "é", "%25%30%30"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for nul in ["%00", "a%00", "%%00", "%2%00", "x=%C3%A9%00&y", "\0"] {
            assert_eq!(check(nul), Err(EscapeError::Nul), "{nul}");
        }
        for bytes in ["%ff", "%C3", "%ED%A0%80", "a=%80"] {
            assert_eq!(check(bytes), Err(EscapeError::NotUtf8), "{bytes}");
        }
    }
}
