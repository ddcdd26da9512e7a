//! What a debt's fields must satisfy beyond their form.

use crate::{ReasonCode, fields::Field, reject::Fault};

/// Characters of a name.
pub(crate) const MAX_NAME: usize = 255;
/// Characters of a government id.
const MAX_GOVERNMENT_ID: usize = 32;

/// A short number in test data, a CPF or CNPJ in life; of those two the check digits are checked on demand. Stored as
/// it came.
pub(crate) fn government_id(field: Field<'_>, check: bool) -> Result<&[u8], Fault> {
    let id = field.identifier(MAX_GOVERNMENT_ID, ReasonCode::BadGovernmentId)?;
    if !check || plausible(id) {
        return Ok(id);
    }
    let expected =
        "a CPF of 11 or a CNPJ of 14 characters with right check digits: spreadsheets drop zeros at the front";
    Err(field.fault(ReasonCode::BadGovernmentId, expected))
}

/// Not an id of the length of a CPF (11) or CNPJ (14) with wrong check digits, and not one that has lost its first one or
/// two zeros. Points, dashes and slashes do not count.
fn plausible(text: &[u8]) -> bool {
    let mut id = [0; 14];
    let mut len = 0;
    for byte in text.iter().filter(|byte| !matches!(byte, b'.' | b'-' | b'/')) {
        let Some(place) = id.get_mut(len) else { return true };
        *place = byte.to_ascii_uppercase();
        len += 1;
    }
    match len {
        9 | 10 | 12 | 13 => !id[..len].iter().all(u8::is_ascii_digit),
        11 => cpf(&id[..11]),
        14 => cnpj(&id),
        _ => true,
    }
}

/// Two digits modulo 11, with weights 10..2 and 11..2; all digits the same is no CPF.
fn cpf(id: &[u8]) -> bool {
    let check = |digits: &[u8]| {
        let weights = (2..).take(digits.len());
        let sum: u32 = digits.iter().rev().zip(weights).map(|(byte, weight)| value(*byte) * weight).sum();
        sum * 10 % 11 % 10
    };
    id.iter().all(u8::is_ascii_digit)
        && id.iter().any(|byte| *byte != id[0])
        && check(&id[..9]) == value(id[9])
        && check(&id[..10]) == value(id[10])
}

/// Twelve digits or letters and two digits modulo 11, with weights 2..9 from the right, again and again.
fn cnpj(id: &[u8]) -> bool {
    let check = |digits: &[u8]| {
        let weights = (2..=9).cycle();
        let sum: u32 = digits.iter().rev().zip(weights).map(|(byte, weight)| value(*byte) * weight).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    id[..12].iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && id[12..].iter().all(u8::is_ascii_digit)
        && id.iter().any(|byte| *byte != id[0])
        && check(&id[..12]) == value(id[12])
        && check(&id[..13]) == value(id[13])
}

/// Of digits their number, of capital letters 17 to 42.
fn value(byte: u8) -> u32 {
    u32::from(byte - b'0')
}

#[cfg(test)]
pub(super) mod tests {
    use super::plausible;

    #[test]
    fn check_digits() {
        for id in [
            "52998224725",
            "529.982.247-25",
            "11144477735",
            "12ABC34501DE35",
            "12.ABC.345/01DE-35",
            "12abc34501de35",
            "11222333000181",
            "11.222.333/0001-81",
            "00000000000191",
            "9558",
            "12345678",
            "123456789012345",
            "some other id",
            "12A456789",
            "ção",
        ] {
            assert!(plausible(id.as_bytes()), "{id}");
        }
        for id in [
            "11111111111",
            "52998224724",
            "52998224735",
            "5299822472X",
            "00000000000",
            "12ABC34501DE36",
            "12ABC34501DE45",
            "12ABC34501DEA5",
            "00000000000000",
            "11222333000182",
            "12-ABC-34501@E35",
            "2345678909",
            "23456789-09",
            "000000000191",
            "1222333000181",
            "áéíóú2345",
        ] {
            assert!(!plausible(id.as_bytes()), "{id}");
        }
    }
}
