//! Check digits, of ASCII digits.

/// Weights 2, 1, 2, … from the right, the digits of products summed. Finds every single wrong digit.
pub(super) fn mod10(digits: &[u8]) -> u8 {
    let mut sum = 0;
    let mut weight = 2;
    for digit in digits.iter().rev() {
        let product = (digit - b'0') as u32 * weight;
        sum += product / 10 + product % 10;
        weight = 3 - weight;
    }
    b'0' + ((10 - sum % 10) % 10) as u8
}

/// The check digit of a barcode, whose place (the fifth) is left out: weights 2 to 9 from the right, again and again.
pub(super) fn mod11(barcode: &[u8; 44]) -> u8 {
    let mut sum = 0;
    let mut weight = 2;
    for (at, digit) in barcode.iter().enumerate().rev() {
        if at == 4 {
            continue;
        }
        sum += u32::from(digit - b'0') * weight;
        weight = if weight == 9 { 2 } else { weight + 1 };
    }
    match 11 - sum % 11 {
        10 | 11 => b'1',
        check => b'0' + check as u8,
    }
}
