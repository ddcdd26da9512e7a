//! Amounts and dates of whole records, in files of which is known how they are written.

use gristmill_pipelines::{
    DateOrder, Decimal, Delimiter, Kind, Limits, Owner, ParsedChunk, Reading, ReasonCode, Rules, Values,
};
use uuid::Uuid;

const OWNER: Owner = Owner { client_id: 42, upload_id: Uuid::from_u128(7) };
const BRAZIL: Values = Values { decimal: Some(Decimal::Comma), dates: Some(DateOrder::Dmy), ..Values::UNKNOWN };

/// The record, in a file with semicolons and the kind's columns.
fn parse(kind: Kind, record: &str, values: Values) -> ParsedChunk {
    let reading = Reading { delimiter: Delimiter::Semicolon, values, places: None };
    let layout = kind.read_header_as(kind.columns().join(";").as_bytes(), &reading, &Limits::default()).unwrap();
    assert_eq!(layout.values(), values);
    kind.parse(record.as_bytes(), 3, &layout, &OWNER, &Rules::default())
}

fn json(kind: Kind, line: &str, values: Values) -> ParsedChunk {
    let reading = Reading { values, ..Reading::default() };
    let layout = kind.read_header_as(b"", &reading, &Limits::default()).unwrap();
    kind.parse(line.as_bytes(), 3, &layout, &OWNER, &Rules::default())
}

const PLAIN: &[(Kind, &str)] = &[
    (Kind::Debts, "Ana;1;a@b.c;1234.56;2030-12-31;8936d139-5493-474d-acf5-458f1e633171"),
    (Kind::Transactions, "2030-12-31;x;-1234.56;BRL;t-1"),
    (Kind::Claims, "2018-03-28;D0180;UR;G;1;1497775530;1234.56;1000;5.5;0"),
];

#[test]
fn every_kind_reads_what_is_written_as_in_brazil() {
    for ((kind, plain), record) in PLAIN.iter().zip([
        "Ana;1;a@b.c;R$ 1.234,56;31/12/2030;8936d139-5493-474d-acf5-458f1e633171",
        "31/12/30;x;(1.234,56);BRL;t-1",
        "28/3/18 0:00;D0180;UR;G;1;1497775530;R$ 1.234,56;1.000;5,5;R$ -",
    ]) {
        let plain = parse(*kind, plain, Values::default());
        assert_eq!(plain.rejects, [], "{kind}");
        let parsed = parse(*kind, record, BRAZIL);
        assert_eq!(parsed.rejects, [], "{kind}");
        assert_eq!(parsed.tuples, plain.tuples, "{kind}");
        assert_eq!(parse(*kind, record, Values::default()).rejects.len(), 1, "{kind}: it must be known");
    }
}

#[test]
fn an_amount_that_reads_in_one_way_needs_no_mark() {
    let amount = |text: &str| {
        let record = format!("2030-12-31;x;{text};BRL;t-1");
        let parsed = parse(Kind::Transactions, &record, Values::default());
        parsed.rejects.first().map_or(Ok(parsed.tuples), |reject| Err(reject.code))
    };
    for (text, plain) in [
        ("R$ 900", "900"),
        ("900 €", "900"),
        ("EUR 45", "45"),
        ("1 234", "1234"),
        ("12'000", "12000"),
        ("(5)", "-5"),
        ("R$ -10", "-10"),
    ] {
        assert_eq!(amount(text), amount(plain), "{text}");
        assert!(amount(text).is_ok(), "{text}");
    }
    for text in ["R$ 1.234", "1,234", "R$ 10,50", "1 23", "R$", "12 34", "R$ 1e3", "1.234.567", "R$ 10.50"] {
        assert_eq!(amount(text), Err(ReasonCode::BadAmount), "{text}");
    }
}

#[test]
fn what_is_written_otherwise_is_never_another_number() {
    let reject = |kind, record, values| parse(kind, record, values).rejects.remove(0);
    for (kind, record) in PLAIN {
        assert_eq!(reject(*kind, record, BRAZIL).code, ReasonCode::BadAmount, "{kind}");
    }
    let mdy = Values { dates: Some(DateOrder::Mdy), ..BRAZIL };
    let record = "28/3/18;D0180;UR;G;1;1497775530;1;1;1;10.50";
    let reject = reject(Kind::Claims, record, mdy);
    assert_eq!(reject.code, ReasonCode::BadDate);
    assert!(reject.told().contains("expected an amount with at most two decimals after a comma"), "{}", reject.told());
    let dmy = Values { dates: Some(DateOrder::Dmy), ..Values::default() };
    let told = parse(Kind::Claims, "3/28/18;D0180;UR;G;1;1497775530;1;1;1;1", dmy).rejects[0].told();
    assert!(told.contains("D/M/YY, D/M/YYYY or YYYY-MM-DD"), "{told}");
}

#[test]
fn good_samples_are_the_same_where_their_way_is_said() {
    for &kind in Kind::ALL {
        for order in [None, Some(DateOrder::Mdy)] {
            let values = Values { decimal: Some(Decimal::Point), dates: order, ..Values::UNKNOWN };
            let header = kind.samples().header.as_bytes();
            let said = Reading { values, ..Reading::default() };
            let said = kind.read_header_as(header, &said, &Limits::default()).unwrap();
            let plain = kind.read_header(header, &Limits::default()).unwrap();
            for good in kind.samples().good {
                let parse = |layout| kind.parse(good.as_bytes(), 3, layout, &OWNER, &Rules::default());
                assert_eq!(parse(&said), parse(&plain), "{kind}: {good}");
            }
        }
    }
}

#[test]
fn numbers_of_json_have_points_and_texts_the_marks_of_the_file() {
    let line =
        |amount: &str, date: &str| format!(r#"{{"date":"{date}","description":"x","amount":{amount},"id":"t"}}"#);
    let read = |amount: &str, date: &str, values| json(Kind::Transactions, &line(amount, date), values);
    for (number, text) in [("1234.5", "1.234,50"), ("-10.500", "-10,5"), ("1.25e2", "125"), ("7", "7,00")] {
        let plain = read(number, "2024-12-31", Values::default());
        assert_eq!(plain.rejects, [], "{number}");
        assert_eq!(read(number, "31/12/2024", BRAZIL), plain, "{number}");
        assert_eq!(read(&format!("\"{text}\""), "31.12.2024", BRAZIL).tuples, plain.tuples, "{text}");
    }
    for amount in ["1.234", "\"10.50\"", "0.30000000000000004"] {
        assert_eq!(read(amount, "2024-12-31", BRAZIL).rejects[0].code, ReasonCode::BadAmount, "{amount}");
    }
}

#[test]
fn moments_are_those_of_databases_in_any_file() {
    let record = "m-1;2024-04-29T02:08:29Z;Olá;r";
    assert_eq!(parse(Kind::Messages, record, BRAZIL), parse(Kind::Messages, record, Values::default()));
}
