//! Files of every kind, separated by each of the delimiters.

use gristmill_pipelines::{
    Delimiter, Format, HeaderError, Kind, Layout, Limits, Owner, ParsedChunk, Reading, ReasonCode, Rules,
    records::Records,
};
use uuid::Uuid;

const OWNER: Owner = Owner { client_id: 42, upload_id: Uuid::from_u128(7) };

fn reading(delimiter: Delimiter) -> Reading {
    Reading { delimiter, ..Reading::default() }
}

fn layout(kind: Kind, delimiter: Delimiter) -> Layout {
    let header = kind.columns().join(&char::from(delimiter.byte()).to_string());
    kind.read_header_as(header.as_bytes(), &reading(delimiter), &Limits::default()).unwrap()
}

fn parse(kind: Kind, record: &[u8], delimiter: Delimiter) -> ParsedChunk {
    kind.parse(record, 3, &layout(kind, delimiter), &OWNER, &Rules::default())
}

/// The record with another delimiter, all of its fields in quotes; `None`: it is no record.
fn rewritten(record: &[u8], delimiter: Delimiter) -> Option<Vec<u8>> {
    let mut records = Records::new(record, 1);
    let record = records.next_record().filter(|record| !record.is_broken())?;
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter.byte())
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    writer.write_record(record.fields()).unwrap();
    Some(writer.into_inner().unwrap().trim_ascii_end().to_vec())
}

#[test]
fn every_kind_reads_every_delimiter() {
    for &kind in Kind::ALL {
        for &delimiter in Delimiter::ALL {
            assert_eq!(layout(kind, delimiter).format(), Format::Csv(delimiter));
            for good in kind.samples().good {
                let record = rewritten(good.as_bytes(), delimiter).unwrap();
                let parsed = parse(kind, &record, delimiter);
                assert_eq!(parsed.rejects, [], "{kind} {delimiter}: {good}");
                assert_eq!(parsed.tuples, parse(kind, good.as_bytes(), Delimiter::Comma).tuples, "{kind}: {good}");
            }
            for bad in kind.samples().bad {
                let Some(record) = rewritten(bad.record, delimiter) else { continue };
                let reject = &parse(kind, &record, delimiter).rejects[0];
                assert_eq!((reject.code, reject.column), (bad.code, bad.column), "{kind} {delimiter}: {bad:?}");
            }
        }
    }
}

#[test]
fn a_tab_is_a_blank_unless_it_separates() {
    let record = "Ana\t1\t\"a@b.c\"\t 1\t\"2024-01-19\" \t00000000-0000-4000-8000-000000000001";
    assert_eq!(parse(Kind::Debts, record.as_bytes(), Delimiter::Tab).rejects, []);
    let record = "2021-04-01\tx\t1\t\t\"t-1\"";
    assert_eq!(parse(Kind::Transactions, record.as_bytes(), Delimiter::Tab).rejects, [], "an empty field is one");
    let record = "\tAna;\t\"1\"\t;a@b.c\t;1;2024-01-19;00000000-0000-4000-8000-000000000001";
    assert_eq!(parse(Kind::Debts, record.as_bytes(), Delimiter::Semicolon).rejects, []);
}

#[test]
fn what_is_said_of_a_record_names_its_delimiter() {
    let said = |record: &str, delimiter| {
        let reject = parse(Kind::Debts, record.as_bytes(), delimiter).rejects.remove(0);
        (reject.code, reject.message)
    };
    let (code, message) = said("A;B;C;D;E;F;G", Delimiter::Semicolon);
    assert_eq!(code, ReasonCode::TooManyColumns);
    assert_eq!(message, "7 columns found, the header has 6; a field with a semicolon in it must stand in quotes");
    let (code, message) = said("\"A\"x\t", Delimiter::Tab);
    assert_eq!(code, ReasonCode::BadQuoting);
    assert!(message.starts_with("a closing quote is followed by \"x\" instead of a tab or the end"), "{message}");
}

#[test]
fn what_is_said_of_a_header_names_its_delimiter() {
    let read = |header: &str, delimiter| {
        Kind::Debts.read_header_as(header.as_bytes(), &reading(delimiter), &Limits::default()).unwrap_err().to_string()
    };
    let said = read("name,governmentId,email,debtAmount,debtDueDate,debtId", Delimiter::Semicolon);
    assert!(said.contains("debtId, separated by semicolons, each once"), "{said}");
    let said = read("\"name\"x|governmentId", Delimiter::Pipe);
    assert!(said.contains("something else than a pipe follows"), "{said}");
}

fn placed(kind: Kind, header: &str, places: &[Option<usize>]) -> Result<Layout, HeaderError> {
    let reading = Reading { delimiter: Delimiter::Semicolon, places: Some(places.to_vec()), ..Reading::default() };
    kind.read_header_as(header.as_bytes(), &reading, &Limits::default())
}

#[test]
fn columns_are_where_they_are_said_to_be() {
    let header = "Código;Sacado;CPF;Contato;Valor;Vencimento;name";
    let places = [1, 2, 3, 4, 5, 0].map(Some);
    let layout = placed(Kind::Debts, header, &places).unwrap();
    assert_eq!(layout.width(), 7);
    let parse = |record: &str| Kind::Debts.parse(record.as_bytes(), 3, &layout, &OWNER, &Rules::default());
    let parsed = parse("00000000-0000-4000-8000-000000000001;Ana;1;a@b.c;1;2024-01-19;x");
    let plain = "Ana,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000001";
    assert_eq!(parsed.tuples, self::parse(Kind::Debts, plain.as_bytes(), Delimiter::Comma).tuples);
    assert_eq!(parse(header).rejects[0].code, ReasonCode::HeaderAgain);
    let error = placed(Kind::Debts, header, &[Some(1), Some(2), None, Some(4), Some(7)]).unwrap_err();
    assert_eq!(error.missing, ["email", "debtDueDate", "debtId"], "those that are not said or not there");
    let three = placed(Kind::Transactions, "a;b;c;currency", &[2, 1, 0].map(Some)).unwrap();
    let parsed = Kind::Transactions.parse(b"-4.5;x;2024-01-19;?", 3, &three, &OWNER, &Rules::default());
    assert_eq!(parsed.rejects, [], "what is not said is not looked for");
}
