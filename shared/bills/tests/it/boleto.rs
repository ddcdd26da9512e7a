use gristmill_bills::rails::{
    Boleto, CodeError, Payment, Rail as _, RailError, SettingsError,
    boleto::{Barcode, BoletoSettings, LAYOUT, Line, SUPPORTED},
};
use jiff::{ToSpan, civil::date};
use proptest::prelude::*;

use crate::support::{BARCODE, DUE, LINE, NUMBER, facts};

fn account() -> BoletoSettings {
    BoletoSettings {
        bank: "237".to_owned(),
        bank_name: None,
        agency: "448".to_owned(),
        account: "110580".to_owned(),
        wallet: "05".to_owned(),
        layout: None,
    }
}

fn boleto() -> Boleto {
    account().try_into().unwrap()
}

#[test]
fn the_example_is_made_and_read() {
    let barcode = boleto().barcode(NUMBER, 124_020, DUE).unwrap();
    assert_eq!(barcode.as_str(), BARCODE);
    assert_eq!(barcode.line().as_str(), LINE);
    assert_eq!(barcode.line().to_string(), "23790.44809 56168.623793 36011.058009 7 40430000124020");

    let line: Line = "23790.44809 56168.623793 36011.058009 7 40430000124020".parse().unwrap();
    assert_eq!(line.barcode().as_str(), BARCODE);
    assert_eq!(line.barcode().bank(), "237");
    assert_eq!(line.barcode().amount_minor(), 124_020);
    assert_eq!(line.barcode().free_field(), "0448056168623793601105800");
    assert_eq!(line.barcode().due_on(date(2008, 10, 15)), Some(DUE));
}

#[test]
fn the_factor_comes_round() {
    let factor = |due| boleto().barcode(1, 100, due).map(|barcode| barcode.as_str()[5..9].to_owned());
    for (due, wanted) in [
        (date(2000, 7, 3), "1000"),
        (date(2012, 4, 27), "5316"),
        (date(2025, 2, 21), "9999"),
        (date(2025, 2, 22), "1000"),
        (date(2049, 10, 13), "9999"),
    ] {
        assert_eq!(factor(due).unwrap(), wanted, "{due}");
    }
    for due in [date(2000, 7, 2), date(2049, 10, 14)] {
        assert_eq!(factor(due), Err(RailError::DueDate(due)));
    }
}

#[test]
fn a_factor_is_read_by_the_day_of_reading() {
    let read = |due, reference| boleto().barcode(1, 100, due).unwrap().due_on(reference);
    let rollover = date(2025, 2, 22);
    assert_eq!(read(rollover, date(2025, 1, 1)), Some(rollover));
    assert_eq!(read(rollover, date(2001, 1, 1)), Some(date(2000, 7, 3)));
    assert_eq!(read(date(2025, 2, 21), date(2025, 3, 1)), Some(date(2025, 2, 21)));
    // neither overdue for up to 3000 days nor due within 5500
    assert_eq!(read(rollover, rollover + 3001.days()), None);
    // before the first day of all
    assert_eq!(read(date(2025, 2, 20), date(2000, 7, 3)), None);
}

#[test]
fn a_boleto_without_a_due_date_says_so() {
    // the example with the factor 0000, and the one check digit that goes with it
    let barcode = (0..10).find_map(|check| format!("2379{check}0000{}", &BARCODE[9..]).parse::<Barcode>().ok());
    assert_eq!(barcode.unwrap().due_on(DUE), None);
}

#[test]
fn what_does_not_fit_is_refused() {
    let boleto = boleto();
    for minor in [-1, 0, 10_000_000_000] {
        assert_eq!(
            boleto.barcode(1, minor, DUE),
            Err(RailError::Amount { rail: "boleto", minor, most: 9_999_999_999 })
        );
    }
    assert!(boleto.barcode(99_999_999_999, 9_999_999_999, DUE).is_ok());
    let number = 100_000_000_000;
    assert_eq!(boleto.barcode(number, 1, DUE), Err(RailError::Number { number, digits: 11 }));
}

#[test]
fn banks_lay_out_the_free_field() {
    let with = |layout: &str| Boleto::try_from(BoletoSettings { layout: Some(layout.to_owned()), ..account() });
    assert_eq!(with(LAYOUT).unwrap().barcode(NUMBER, 124_020, DUE).unwrap().as_str(), BARCODE, "Bradesco's");
    let field = |layout| with(layout).unwrap().barcode(42, 1, DUE).unwrap().free_field().to_owned();
    assert_eq!(field("000000CCCCCCCNNNNNNNNNNWW"), "0000000110580000000004205");
    assert_eq!(field("9NNNNNNNNNNNNNNNNNNNNNNNN"), "9000000000000000000000042");
    for layout in [
        "",
        "AAAAWWNNNNNNNNNNNCCCCCCC",
        "AAAAWWNNNNNNNNNNNCCCCCCCX",
        "AAAAWWNNNNN0NNNNNCCCCCCC0",
        "AAAAWW00000000000CCCCCCC0",
    ] {
        assert_eq!(with(layout), Err(SettingsError::Layout(layout.to_owned())), "{layout}");
    }
    let wrong = |settings: BoletoSettings| {
        assert!(matches!(Boleto::try_from(settings), Err(SettingsError::Digits { .. })));
    };
    wrong(BoletoSettings { bank: "23".to_owned(), ..account() });
    wrong(BoletoSettings { agency: "12345".to_owned(), ..account() });
    wrong(BoletoSettings { account: "11058-0".to_owned(), ..account() });
    wrong(BoletoSettings { wallet: String::new(), ..account() });
}

/// A bill's slip at a bank: its free field and our number.
fn slip(bank: &str, (agency, account_number, wallet): (&str, &str, &str), number: u64, year: i16) -> (String, String) {
    let settings = BoletoSettings {
        bank: bank.to_owned(),
        agency: agency.to_owned(),
        account: account_number.to_owned(),
        wallet: wallet.to_owned(),
        ..account()
    };
    let day = date(year, 6, 1);
    let facts = gristmill_bills::BillFacts { number, due_on: day, issued_on: day, ..facts() };
    match Boleto::try_from(settings).unwrap().payload(&facts).unwrap() {
        Payment::Boleto(slip) => (slip.barcode.free_field().to_owned(), slip.our_number),
        other => panic!("a boleto: {other:?}"),
    }
}

/// Examples of the banks' manuals and of public libraries' tests.
#[test]
fn the_large_banks_find_their_own_check_digits() {
    for (bank, account, number, year, field, ours) in [
        ("001", ("4042", "1238798", "18"), 7_777_700_168, 2008, "0000001238798777770016818", "12387987777700168"),
        ("033", ("0059", "1899775", "102"), 90_000_267, 2011, "9189977500009000026700102", "000090000267-0"),
        ("033", ("0059", "1899775", "102"), 90_002_720, 2012, "9189977500009000272070102", "000090002720-7"),
        ("033", ("0059", "282033", "101"), 566_612_457_800, 2012, "9028203356661245780020101", "566612457800-2"),
        ("104", ("1825", "245274", "14"), 1, 2014, "2452740000100040000000017", "14000000000000001-4"),
        ("237", ("0448", "110580", "05"), NUMBER, 2008, "0448056168623793601105800", "61686237936"),
        ("341", ("0057", "12345", "110"), 12_345_678, 2002, "1101234567880057123457000", "110/12345678-8"),
        ("341", ("0810", "53678", "175"), 12_345_678, 2009, "1751234567840810536789000", "175/12345678-4"),
        ("341", ("1248", "02124", "109"), 10_152, 2029, "1090001015271248021246000", "109/00010152-7"),
        ("748", ("123418", "12345", "31"), 13_871, 2012, "3112213871512341812345100", "12/213871-5"),
        ("756", ("0001", "19", "1"), 21, 2013, "1000101000001900000218001", "0000021-8"),
    ] {
        assert_eq!(slip(bank, account, number, year), (field.to_owned(), ours.to_owned()), "{bank} {number}");
    }
    let known: Vec<&str> = SUPPORTED.iter().map(|(code, _)| *code).collect();
    assert_eq!(known, ["001", "033", "104", "237", "341", "748", "756"]);
}

#[test]
fn a_banks_lengths_are_told() {
    let refused = |bank: &str, agency: &str, wallet: &str| {
        let (bank, agency, wallet) = (bank.to_owned(), agency.to_owned(), wallet.to_owned());
        let settings = BoletoSettings { bank, agency, account: "1".to_owned(), wallet, ..account() };
        Boleto::try_from(settings).unwrap_err().to_string()
    };
    assert_eq!(refused("1", "1", "17"), "bank: \"1\" is not made of 3 digits");
    assert_eq!(refused("341", "1", "09"), "wallet: \"09\" is not made of 3 digits");
    assert_eq!(refused("341", "12345", "109"), "agency: \"12345\" is not made of 1 to 4 digits");
    assert_eq!(refused("341", "1", "198"), "wallet: \"198\" cannot be used");
    assert_eq!(refused("341", "1", "168"), "wallet: \"168\" cannot be used");
    assert_eq!(refused("748", "1234", "11"), "agency: \"1234\" is not made of 6 digits");
    let sicredi = BoletoSettings {
        bank: "748".to_owned(),
        agency: "123418".to_owned(),
        account: "12345".to_owned(),
        wallet: "11".to_owned(),
        ..account()
    };
    let sicredi = Boleto::try_from(sicredi).unwrap();
    assert!(sicredi.barcode(799_999, 1, DUE).is_ok());
    assert_eq!(sicredi.barcode(800_000, 1, DUE), Err(RailError::Number { number: 800_000, digits: 6 }));
}

#[test]
fn a_wrong_code_is_named() {
    assert_eq!(BARCODE[1..].parse::<Barcode>(), Err(CodeError::Length { found: 43, wanted: 44 }));
    assert_eq!(format!("{LINE}0").parse::<Line>(), Err(CodeError::Length { found: 48, wanted: 47 }));
    assert_eq!("23790é".parse::<Line>(), Err(CodeError::NotADigit { at: 5 }));
    assert_eq!(
        BARCODE.replacen("7404", "8404", 1).parse::<Barcode>(),
        Err(CodeError::Check("the barcode's check digit"))
    );
}

proptest! {
    #[test]
    fn made_and_read_again(number in 0..100_000_000_000_u64, amount in 1..10_000_000_000_i64, days in 0..18_000_i64, back in -5500..=3000_i64) {
        let due = date(2000, 7, 3) + days.days();
        let barcode = boleto().barcode(number, amount, due).unwrap();
        prop_assert_eq!(barcode.amount_minor(), amount);
        prop_assert_eq!(barcode.free_field()[6..17].parse::<u64>().unwrap(), number);
        prop_assert_eq!(barcode.due_on(due + back.days()), Some(due));
        prop_assert_eq!(barcode.line().barcode(), barcode);
        prop_assert_eq!(barcode.as_str().parse::<Barcode>().unwrap(), barcode);
        prop_assert_eq!(barcode.line().to_string().parse::<Line>().unwrap(), barcode.line());
    }

    #[test]
    fn a_mistyped_digit_of_the_checked_fields_is_noticed(number in 0..100_000_000_000_u64, amount in 1..10_000_000_000_i64, at in 0..32_usize, by in 1..10_u8) {
        let mut line = boleto().barcode(number, amount, DUE).unwrap().line().as_str().as_bytes().to_vec();
        line[at] = b'0' + (line[at] - b'0' + by) % 10;
        let noticed = matches!(std::str::from_utf8(&line).unwrap().parse::<Line>(), Err(CodeError::Check(name)) if name.contains("field"));
        prop_assert!(noticed);
    }
}
