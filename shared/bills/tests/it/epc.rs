use gristmill_bills::rails::{
    Epc, RailError, SettingsError,
    epc::{EpcSettings, Iban, reference},
};
use proptest::prelude::*;

fn epc(bic: Option<&str>, name: &str) -> Result<Epc, SettingsError> {
    let iban = "DE89 3704 0044 0532 0130 00".parse().unwrap();
    EpcSettings { iban, name: name.to_owned(), bic: bic.map(str::to_owned) }.try_into()
}

#[test]
fn a_bills_code() {
    let lines = "BCD\n002\n1\nSCT\nCOBADEFFXXX\nAguas GmbH\nDE89370400440532013000\nEUR1240.20\n\nRF541234";
    assert_eq!(epc(Some("COBADEFFXXX"), "Águas GmbH").unwrap().code(1234, 124_020).unwrap(), lines);
    let lines = "BCD\n002\n1\nSCT\n\nAguas GmbH\nDE89370400440532013000\nEUR0.05\n\nRF541234";
    assert_eq!(epc(None, "Águas GmbH").unwrap().code(1234, 5).unwrap(), lines);
}

#[test]
fn references_of_iso_11649() {
    assert_eq!(reference(539_007_547_034), "RF18539007547034");
}

#[test]
fn accounts() {
    for iban in [
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "PT50000201231234567890154",
        "ES9121000418450200051332",
    ] {
        assert!(iban.parse::<Iban>().is_ok(), "{iban}");
    }
    for iban in [
        "",
        "DE88370400440532013000",
        "DE89370400440532013001",
        "de89370400440532013000",
        "DE",
        "1289370400440532013000",
    ] {
        assert_eq!(iban.parse::<Iban>(), Err(SettingsError::Iban(iban.to_owned())), "{iban}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for minor in [-1, 0, 100_000_000_000] {
        assert_eq!(
            epc(None, "n").unwrap().code(1, minor),
            Err(RailError::Amount { rail: "epc", minor, most: 99_999_999_999 })
        );
    }
    for name in ["", " ", "東京"] {
        assert!(epc(None, name).is_err(), "{name}");
    }
    let code = epc(None, &"ã\n".repeat(71)).unwrap().code(1, 1).unwrap();
    assert_eq!(code.lines().nth(5), Some(["a"; 35].join(" ").as_str()));
    for bic in ["", "COBADEFF1", "cobadeff", "C0BADEFF", "COBAÉFF"] {
        assert!(epc(Some(bic), "n").is_err(), "{bic}");
    }
}

proptest! {
    #[test]
    fn a_reference_has_right_check_digits(number: u64) {
        // letters as two digits behind the number, modulo 97: 1
        let reference = reference(number);
        let rest = format!("{}2715{}", &reference[4..], &reference[2..4]).bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
        prop_assert_eq!(rest, 1);
        prop_assert!(reference.len() <= 25);
    }
}
