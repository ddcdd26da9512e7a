//! What every kind must keep: a new kind is tested by bringing its samples.

use std::collections::HashSet;

use gristmill_pipelines::{
    COPY_HEADER, COPY_TRAILER, Kind, Layout, Limits, Owner, ParsedChunk, ReasonCode, Rules, records::Records,
};
use uuid::Uuid;

const OWNER: Owner = Owner { client_id: 42, upload_id: Uuid::from_u128(7) };

fn layout(kind: Kind) -> Layout {
    kind.read_header(kind.samples().header.as_bytes(), &Limits::default()).unwrap()
}

fn parse(kind: Kind, chunk: &[u8], line: u64) -> ParsedChunk {
    kind.parse(chunk, line, &layout(kind), &OWNER, &Rules::default())
}

/// The fields of a tuple.
fn fields(mut tuple: &[u8]) -> Vec<Vec<u8>> {
    let count = i16::from_be_bytes(*tuple.split_first_chunk::<2>().unwrap().0);
    tuple = &tuple[2..];
    let fields = (0..count).map(|_| {
        let (len, rest) = tuple.split_first_chunk::<4>().unwrap();
        // null has no bytes and the length −1
        let (field, rest) = rest.split_at(usize::try_from(i32::from_be_bytes(*len)).unwrap_or_default());
        tuple = rest;
        field.to_vec()
    });
    let fields = fields.collect();
    assert!(tuple.is_empty());
    fields
}

#[test]
fn names_are_stable() {
    for kind in Kind::ALL {
        assert_eq!(<&str>::from(kind).parse(), Ok(*kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), <&str>::from(kind));
        assert_eq!(kind.to_string(), <&str>::from(kind));
    }
    let error = "nothing".parse::<Kind>().unwrap_err().to_string();
    for kind in Kind::ALL {
        assert!(error.contains(<&str>::from(kind)), "{error}");
    }
}

#[test]
fn good_samples_become_rows() {
    for &kind in Kind::ALL {
        let samples = kind.samples();
        let chunk = samples.good.join("\n");
        let parsed = parse(kind, chunk.as_bytes(), 2);
        assert_eq!(parsed.rejects, [], "{kind}");
        assert_eq!((parsed.read, parsed.rows.len()), (samples.good.len() as u64, samples.good.len()));
        let keys: HashSet<u128> = parsed.rows.iter().map(|row| row.key).collect();
        assert_eq!(keys.len(), samples.good.len(), "{kind}: keys differ");
        for (row, record) in parsed.rows.iter().zip(samples.good) {
            let tuple = fields(&parsed.tuples[row.start as usize..][..row.len as usize]);
            assert_eq!(tuple.len(), kind.table().columns.len(), "{kind}");
            assert_eq!(chunk[row.raw_start as usize..][..row.raw_len as usize], **record);
            let at = |name| &tuple[kind.table().columns.iter().position(|column| *column == name).unwrap()];
            assert_eq!(at(kind.table().key)[..], row.key.to_be_bytes());
            assert_eq!(at("client_id")[..], 42_i32.to_be_bytes());
            assert_eq!(at("upload_id")[..], *OWNER.upload_id.as_bytes());
            assert_eq!(at("line")[..], row.line.to_be_bytes());
        }
    }
}

#[test]
fn bad_samples_become_rejects() {
    for &kind in Kind::ALL {
        for bad in kind.samples().bad {
            let parsed = parse(kind, bad.record, 9);
            let shown = String::from_utf8_lossy(bad.record);
            let [reject] = &parsed.rejects[..] else { panic!("{kind}: {shown:?} is accepted") };
            assert_eq!((reject.code, reject.column), (bad.code, bad.column), "{kind}: {shown:?}");
            assert_eq!((reject.line, &reject.raw[..]), (9, bad.record));
            assert!(!reject.message.contains('\0') && reject.message.len() < 2000, "{}", reject.message);
            assert!(parsed.rows.is_empty() && parsed.tuples.is_empty());
            assert!(bad.column.is_none_or(|column| kind.columns().contains(&column)));
        }
    }
}

#[test]
fn a_bad_row_never_costs_a_good_one() {
    for &kind in Kind::ALL {
        let samples = kind.samples();
        let mut chunk = Vec::new();
        for (bad, good) in samples.bad.iter().zip(samples.good.iter().cycle()) {
            chunk.extend_from_slice(&[bad.record, b"\r\n", good.as_bytes(), b"\n\n"].concat());
        }
        let parsed = parse(kind, &chunk, 1);
        assert_eq!((parsed.rows.len(), parsed.rejects.len()), (samples.bad.len(), samples.bad.len()));
    }
}

#[test]
fn columns_may_come_in_any_order_and_capitalisation_with_others_between() {
    for &kind in Kind::ALL {
        let samples = kind.samples();
        let dirty: Vec<String> = kind.columns().iter().rev().map(|name| format!(" {} ", name.to_uppercase())).collect();
        let header = format!("\u{feff}extra,{},,", dirty.join(",\"ignored, too\","));
        let layout = kind.read_header(header.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(layout.width(), 2 * kind.columns().len() + 2);
        for good in samples.good {
            let mut records = Records::new(good.as_bytes(), 1);
            let record = records.next_record().unwrap();
            let quoted = record.fields().map(|field| String::from_utf8_lossy(field).replace('"', "\"\""));
            let turned: Vec<String> = quoted.map(|field| format!("\"{field}\"")).collect();
            let turned: Vec<String> = turned.into_iter().rev().collect();
            let line = format!("x,{},\"\n\",", turned.join(",?,"));
            let parsed = kind.parse(line.as_bytes(), 5, &layout, &OWNER, &Rules::default());
            assert_eq!(parsed.tuples, parse(kind, good.as_bytes(), 5).tuples, "{kind}: {line}");
        }
    }
}

#[test]
fn rows_of_one_key_differ_in_what_their_records_say() {
    for &kind in Kind::ALL {
        let table = kind.table();
        let places: Vec<usize> = table
            .said
            .iter()
            .map(|(said, column)| {
                assert!(kind.columns().contains(column) && *column != kind.key_column(), "{kind}: {column}");
                table.columns.iter().position(|column| column == said).unwrap()
            })
            .collect();
        assert!(places.is_sorted(), "{kind}: in the order of the tuple");
        let samples = kind.samples().good;
        let tuples: Vec<Vec<u8>> = samples.iter().map(|sample| parse(kind, sample.as_bytes(), 2).tuples).collect();
        for one in &tuples {
            assert_eq!(table.said(one).count(), places.len());
            for other in &tuples {
                let (fields_of_one, fields_of_other) = (fields(one), fields(other));
                let mut expected: Vec<&str> = places
                    .iter()
                    .zip(table.said)
                    .filter(|(place, _)| fields_of_one[**place] != fields_of_other[**place])
                    .map(|(_, (_, column))| *column)
                    .collect();
                expected.sort_by_key(|differs| kind.columns().iter().position(|column| column == differs));
                assert_eq!(kind.differs(table.said(one), table.said(other)), expected, "{kind}");
            }
        }
    }
}

#[test]
fn what_a_text_says_is_compared_and_not_how_it_is_written() {
    let differs = |kind: Kind, one: &str, other: &str| {
        let tuple = |record: &str, line| parse(kind, record.as_bytes(), line).tuples;
        let (one, other) = (tuple(one, 2), tuple(other, 3));
        kind.differs(kind.table().said(&one), kind.table().said(&other))
    };
    let debt = "Ana,1,ana@b.co,1000.5,2026-01-19,8936d139-5493-474d-acf5-458f1e633171";
    for (other, columns) in [
        (" Ana ,1,ana@b.co,1000.50,2026-01-19,8936D139-5493-474D-ACF5-458F1E633171", &[][..]),
        ("Ana,1,ana@b.co,1000.51,2026-01-20,8936d139-5493-474d-acf5-458f1e633171", &["debtAmount", "debtDueDate"]),
        (
            "Eva,2,eva@b.co,7,2027-01-19,8936d139-5493-474d-acf5-458f1e633171",
            &["name", "governmentId", "email", "debtAmount", "debtDueDate"],
        ),
    ] {
        assert_eq!(differs(Kind::Debts, debt, other), columns, "{other}");
    }
    let spent = "2021-04-01,KFC,1,,t";
    assert_eq!(differs(Kind::Transactions, spent, "2021-04-01T00:00:00,KFC,+1.00,,t"), [""; 0]);
    assert_eq!(differs(Kind::Transactions, spent, "2021-04-01,KFC 2,1,USD,t"), ["description", "currency"]);
}

#[test]
fn records_too_long_are_rejected() {
    for &kind in Kind::ALL {
        let rules = Rules { max_record_bytes: 10, ..Rules::default() };
        let record = kind.samples().good[0].as_bytes();
        let parsed = kind.parse(record, 3, &layout(kind), &OWNER, &rules);
        assert_eq!(parsed.rejects[0].code, ReasonCode::RecordTooLong);
        assert_eq!(parsed.read, 1);
    }
}

#[test]
fn reason_codes_are_documented_words() {
    let mut words = HashSet::new();
    for code in ReasonCode::ALL {
        assert!(words.insert(code.as_str()));
        assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()));
        assert!(code.explanation().ends_with(['.', ')']) && !code.explanation().contains('\n'));
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
    let all: Vec<String> = ReasonCode::ALL.iter().map(|code| format!("{code}: {}", code.explanation())).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_page_of_reject_codes_lists_every_reason_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/reject-codes.md");
    let page = std::fs::read_to_string(path).unwrap();
    let lines = ReasonCode::ALL.iter().map(|code| format!("| `{code}` | {} |\n", code.explanation()));
    let table = format!("| code | what it means |\n|---|---|\n{}", lines.collect::<String>());
    assert!(page.contains(&table), "the table of reason codes in docs/reference/reject-codes.md must be:\n\n{table}");
}

#[test]
fn copy_frame_is_that_of_postgres() {
    assert_eq!(COPY_HEADER, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    assert_eq!(COPY_HEADER.len(), 19);
    assert_eq!(COPY_TRAILER, [0xff, 0xff]);
}

#[test]
fn all_that_is_wrong_with_a_record_is_told_at_once() {
    let rejects = |kind: Kind, record: &str| parse(kind, record.as_bytes(), 2).rejects;
    let reject = &rejects(Kind::Debts, "Ana,1,not-mail,1.234,31/12/2030,8936d139-5493-474d-acf5-458f1e633171")[0];
    assert_eq!((reject.code, reject.column), (ReasonCode::BadEmail, Some("email")));
    assert!(reject.message.starts_with("email is \"not-mail\", expected"), "{}", reject.message);
    let others: Vec<_> = reject.others.iter().map(|fault| (fault.column, fault.code)).collect();
    assert_eq!(
        others,
        [(Some("debtAmount"), ReasonCode::BadAmount), (Some("debtDueDate"), ReasonCode::BadDate)],
        "{:?}",
        reject.others
    );
    let told = reject.told();
    assert!(told.starts_with(&format!("{}. Also: debtAmount is \"1.234\", expected", reject.message)), "{told}");
    assert!(told.contains("; debtDueDate is \"31/12/2030\", expected"), "{told}");
    let one = &rejects(Kind::Debts, "Ana,1,not-mail,1.23,2030-12-31,8936d139-5493-474d-acf5-458f1e633171")[0];
    assert_eq!((one.told(), &one.others[..]), (one.message.clone(), &[][..]));
    for (kind, record, others) in [
        (Kind::Transactions, "x,,free,R$,1.23E+10", ["description is empty", "amount is", "currency is", "id is"]),
        (
            Kind::Claims,
            "x,Y,,,1E+10,1,1,1,0,free",
            ["service date is", "Subscriber# is", "Provider NPI is", "member copay is"],
        ),
        (Kind::Messages, "1E+10,x,a\0b,1E+11", ["timestamp is", "text holds a NUL", "report_id is", ". Also: "]),
    ] {
        let reject = &rejects(kind, record)[0];
        let told = reject.told();
        assert!(others.iter().all(|other| told.contains(other)), "{kind}: {told}");
        let columns: Vec<_> = reject.others.iter().map(|fault| fault.column).chain([reject.column]).collect();
        let named = columns.iter().all(|column| column.is_some_and(|column| kind.columns().contains(&column)));
        assert!(columns.len() >= 4 && named, "{kind}: {columns:?}");
    }
}

#[test]
fn a_header_in_the_middle_of_a_file_is_told_as_one() {
    for &kind in Kind::ALL {
        let samples = kind.samples();
        for header in [samples.header.to_owned(), samples.header.to_uppercase()] {
            let reject = &parse(kind, header.as_bytes(), 9).rejects[0];
            assert_eq!((reject.code, reject.column, reject.line), (ReasonCode::HeaderAgain, None, 9), "{kind}");
            assert!(reject.message.starts_with("the line is the header again"), "{}", reject.message);
        }
    }
}
