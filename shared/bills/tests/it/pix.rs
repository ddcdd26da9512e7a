use gristmill_bills::rails::{
    CodeError, Pix, RailError, SettingsError,
    pix::{PixCode, PixSettings},
};
use proptest::prelude::*;

/// The example of the central bank's manual.
const MANUAL: &str = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D";

fn pix(key: &str, name: &str, city: &str) -> Result<Pix, SettingsError> {
    PixSettings { key: key.to_owned(), name: name.to_owned(), city: city.to_owned() }.try_into()
}

#[test]
fn the_manuals_example() {
    let pix = pix("123e4567-e12b-12d1-a456-426655440000", "Fulano de Tal", "BRASILIA").unwrap();
    assert_eq!(pix.code(None, None).unwrap(), MANUAL);
    let read: PixCode = MANUAL.parse().unwrap();
    assert_eq!((read.amount_minor, read.id), (None, None));
    assert_eq!(read.key, "123e4567-e12b-12d1-a456-426655440000");
}

#[test]
fn a_bills_code() {
    let pix = pix("+5511999998888", "Companhia de Águas e Esgotos", "São João del-Rei").unwrap();
    let code = pix.code(Some(1234), Some(124_020)).unwrap();
    let body = "00020126360014br.gov.bcb.pix0114+551199999888852040000530398654071240.205802BR\
                5925Companhia de Aguas e Esgo6015Sao Joao del-Re620805041234";
    assert_eq!(code, format!("{body}6304{:04X}", crc_bit_by_bit(format!("{body}6304").as_bytes())));
    assert!(pix.code(Some(0), Some(5)).unwrap().contains("54040.0558"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = pix("k", "n", "c").unwrap();
    for minor in [-1, 0, 1_000_000_000_000] {
        assert_eq!(good.code(None, Some(minor)), Err(RailError::Amount { rail: "pix", minor, most: 999_999_999_999 }));
    }
    let fields = [("", "n", "c"), ("a b", "n", "c"), ("ç", "n", "c"), ("k", "東京", "c"), ("k", "n", " ")];
    for (key, name, city) in fields {
        assert!(matches!(pix(key, name, city), Err(SettingsError::Text { .. })), "{key} {name} {city}");
    }
    assert!(pix(&"k".repeat(77), "n", "c").is_ok() && pix(&"k".repeat(78), "n", "c").is_err());
}

#[test]
fn a_wrong_code_is_named() {
    let check = Err(CodeError::Check("the code's checksum"));
    assert_eq!(MANUAL.replace("Tal", "Tel").parse::<PixCode>(), check);
    for code in ["", "6304", "00020163041D3D é", &MANUAL[..20]] {
        assert!(code.parse::<PixCode>().is_err(), "{code}");
    }
}

/// The checksum as its definition has it, a bit at a time.
fn crc_bit_by_bit(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        let out = crc >> 15 != u16::from(bit);
        crc = crc << 1 ^ if out { 0x1021 } else { 0 };
    }
    crc
}

#[test]
fn the_checksums_own_vector() {
    assert_eq!(crc_bit_by_bit(b"123456789"), 0x29B1);
}

proptest! {
    #[test]
    fn made_and_read_again(key in "[!-~]{1,77}", name in "[a-zA-Z][a-zA-Z .]{0,22}[a-z]", city in "[A-Z]{1,15}", id: u64, amount in 1..1_000_000_000_000_i64) {
        let code = pix(&key, &name, &city).unwrap().code(Some(id), Some(amount)).unwrap();
        let (body, crc) = code.split_at(code.len() - 4);
        prop_assert_eq!(u16::from_str_radix(crc, 16).unwrap(), crc_bit_by_bit(body.as_bytes()));
        let read: PixCode = code.parse().unwrap();
        prop_assert_eq!(read.key, gristmill_bills::rails::pix::registered(&key).unwrap_or(key));
        prop_assert_eq!(read.name, name.split_whitespace().collect::<Vec<_>>().join(" "));
        prop_assert_eq!(read.city, city);
        prop_assert_eq!(read.amount_minor, Some(amount));
        prop_assert_eq!(read.id, Some(id.to_string()));
    }

    #[test]
    fn anything_is_read_or_refused(text in ".{0,200}") {
        let _ = text.parse::<PixCode>();
    }
}
