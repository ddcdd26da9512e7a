//! Lines of JSON, cut anywhere, into chunks of any size, of any kind: always what `serde_json` says of each line.

use gristmill_pipelines::{
    Format, Kind, Limits, Oversize, Owner, ParsedChunk, Place, ReasonCode, Rules, SplitLimits, places,
};
use proptest::prelude::*;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::oracle;

const OWNER: Owner = Owner { client_id: 7, upload_id: Uuid::from_u128(1) };

/// Pieces of lines in which everything that matters is frequent.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let value = prop::sample::select(vec![
        "1",
        "\"a\"",
        "\"2024-04-29T02:08:29Z\"",
        "null",
        "\"\"",
        "-1.5",
        "\"\\u00e9\\n\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "true",
        "[1,{\"id\":2}]",
        "{}",
        "\"x, \\\" y\"",
        "\" padded \"",
        "\"é\"",
        "01",
        "\"\\u0000\"",
    ]);
    let name = prop::sample::select(vec!["id", "timestamp", "text", "report_id", "Text", "other", "i\\u0064", ""]);
    let field = (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    let whole = Just("{\"id\":\"i\",\"timestamp\":\"2024-04-29T02:08:29Z\",\"text\":\"a \\t b\"}".to_owned());
    let object = prop::collection::vec(field, 0..5).prop_map(|fields| format!("{{{}}}", fields.join(", ")));
    let junk = prop::sample::select(vec!["", " ", "{", "}", "\"", "[1]", "{} {}", "{\"id\":1,}", "null"]);
    let line = prop_oneof![3 => object.prop_map(String::into_bytes), 3 => whole.prop_map(String::into_bytes),
        1 => junk.prop_map(|junk| junk.as_bytes().to_vec()), 1 => Just(b"{\"text\":\"\xff\"}".to_vec())];
    let end = prop_oneof![3 => Just(&b"\n"[..]), 2 => Just(&b"\r\n"[..]), 1 => Just(&b"\r"[..])];
    let lines = prop::collection::vec((line, end), 0..30);
    let start = prop_oneof![3 => Just(&b""[..]), 1 => Just(&b"\xef\xbb\xbf"[..]), 1 => Just(&b"\r\n\n"[..])];
    (start, lines, any::<bool>()).prop_map(|(start, lines, ended)| {
        let lines: Vec<u8> = lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat()).collect();
        [start, b"{}\n", &lines, if ended { b"" } else { b"{\"id\":7" }].concat()
    })
}

/// The lines of a file that are not empty, with their numbers, in one pass.
fn lines(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut found = Vec::new();
    let (mut line, mut open, mut at) = (1, Vec::new(), 0);
    while at < text.len() {
        match text[at] {
            byte @ (b'\n' | b'\r') => {
                found.push((line, std::mem::take(&mut open)));
                line += 1;
                at += usize::from(byte == b'\r' && text.get(at + 1) == Some(&b'\n'));
            }
            byte => open.push(byte),
        }
        at += 1;
    }
    found.push((line, open));
    found.retain(|(_, line)| !line.is_empty());
    found
}

/// What `serde_json` says of a line: each field as a text; the code, where something is wrong with it.
fn expected(kind: Kind, line: &[u8]) -> Result<Vec<Option<String>>, ReasonCode> {
    if std::str::from_utf8(line).is_err() {
        return Err(ReasonCode::NotUtf8);
    }
    // escapes of what nobody reads are not looked at
    let read = String::from_utf8_lossy(line)
        .replace("\"other\":\"\\ud800\"", "\"other\":1")
        .replace("\"\":\"\\ud800\"", "\"\":1");
    let object: Map<String, Value> = serde_json::from_str(&read).map_err(|_| ReasonCode::BadJson)?;
    kind.columns()
        .iter()
        .map(|column| match object.iter().find(|(name, _)| column.eq_ignore_ascii_case(name)).map(|(_, value)| value) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(ReasonCode::BadJson),
        })
        .collect()
}

/// The same record as CSV, where that can say it.
fn as_csv(kind: Kind, fields: &[Option<String>], line: u64) -> ParsedChunk {
    let header = kind.columns().join(",");
    let layout = kind.read_header(header.as_bytes(), &Limits::default()).unwrap();
    let quoted = |field: &Option<String>| format!("\"{}\"", field.as_deref().unwrap_or_default().replace('"', "\"\""));
    let record: Vec<String> = fields.iter().map(quoted).collect();
    kind.parse(record.join(",").as_bytes(), line, &layout, &OWNER, &Rules::default())
}

/// A name twice in an object is a reject of ours; `serde_json` takes the last one.
fn repeats(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).replace("i\\u0064", "id").to_lowercase();
    ["id", "timestamp", "text", "report_id"].iter().any(|name| text.matches(&format!("\"{name}\":")).count() > 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere_it_is_one_pass_over_the_lines(
        file in file(),
        chunk_bytes in prop_oneof![1..200_usize, Just(1 << 20)],
        max_record_bytes in prop_oneof![10..60_usize, Just(1 << 20)],
        cuts in prop_oneof![prop::collection::vec(any::<usize>(), 0..20), Just((0..3000).collect::<Vec<usize>>())],
    ) {
        let kind = Kind::Messages;
        let limits = SplitLimits { chunk_bytes, max_record_bytes };
        let pieces = oracle::split(&file, limits, &cuts);
        prop_assert_eq!(&pieces, &oracle::split(&file, limits, &[]), "the same however it is pushed");
        let (header, chunks) = oracle::sort_out(pieces);
        let (raw, mut next_byte) = header.unwrap();
        prop_assert_eq!(&raw, b"");
        let layout = kind.read_header(&raw, &Limits::default()).unwrap();

        let (mut found, mut parsed, mut oversize) = (Vec::new(), Vec::new(), Vec::<Oversize>::new());
        for chunk in chunks {
            prop_assert_eq!(chunk.first_byte, next_byte);
            next_byte += chunk.bytes;
            for Place { line, bytes } in places(&chunk.data, chunk.first_line, Format::Ndjson, usize::MAX) {
                found.push((line, chunk.data[bytes].to_vec()));
            }
            parsed.push(kind.parse(&chunk.data, chunk.first_line, &layout, &OWNER, &Rules::default()));
            oversize.extend(chunk.oversize);
        }
        prop_assert_eq!(next_byte, file.len() as u64, "every byte is accounted for");
        let (long, short): (Vec<_>, Vec<_>) = lines(&file).into_iter().partition(|(_, line)| line.len() > max_record_bytes);
        prop_assert_eq!(&found, &short);
        prop_assert_eq!(
            oversize.iter().map(|long| (long.line, long.bytes)).collect::<Vec<_>>(),
            long.iter().map(|(line, bytes)| (*line, bytes.len() as u64)).collect::<Vec<_>>()
        );

        let (blank, short): (Vec<_>, Vec<_>) = short.into_iter().partition(|(_, line)| line.trim_ascii().is_empty());
        prop_assert_eq!(parsed.iter().map(|parsed| parsed.blank).sum::<u64>(), blank.len() as u64);
        prop_assert_eq!(parsed.iter().map(|parsed| parsed.read).sum::<u64>(), short.len() as u64);
        for (line, raw) in &short {
            let row = parsed.iter().find_map(|parsed| Some((parsed, parsed.rows.iter().find(|row| row.line == *line)?)));
            let reject = parsed.iter().flat_map(|parsed| &parsed.rejects).find(|reject| reject.line == *line);
            match (expected(kind, raw), row, reject) {
                (_, None, Some(reject)) if repeats(raw) => prop_assert_eq!(&reject.raw, raw),
                (Err(code), None, Some(reject)) => prop_assert_eq!((reject.code, &reject.raw), (code, raw)),
                (Ok(fields), None, Some(reject)) => {
                    let csv = as_csv(kind, &fields, *line);
                    let fault = csv.rejects.first().map(|csv| (csv.code, csv.column));
                    // A text may be empty, which is all that CSV can say; but it must be there. The report comes behind it.
                    let missing = fields[2].is_none() && fault.is_none_or(|(_, column)| column == Some("report_id"));
                    // As CSV a record of nothing is a blank line.
                    let fault = if csv.blank > 0 { Some((ReasonCode::MissingField, Some("id"))) } else { fault };
                    let fault = if missing && csv.blank == 0 { Some((ReasonCode::MissingField, Some("text"))) } else { fault };
                    prop_assert_eq!(Some((reject.code, reject.column)), fault);
                }
                (Ok(fields), Some((parsed, row)), None) => {
                    let tuple = &parsed.tuples[row.start as usize..][..row.len as usize];
                    prop_assert_eq!(tuple, &as_csv(kind, &fields, *line).tuples[..]);
                }
                (expected, row, reject) => prop_assert!(false, "line {line}: {expected:?} {:?} {reject:?}", row.map(|(_, row)| row)),
            }
        }
    }
}

#[test]
fn every_kind_reads_lines_of_json() {
    for &kind in Kind::ALL {
        let header = kind.samples().header.as_bytes();
        let layout = kind.read_header(header, &Limits::default()).unwrap();
        let ndjson = kind.read_header(b"", &Limits::default()).unwrap();
        for good in kind.samples().good {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(good.as_bytes());
            let fields = reader.records().next().unwrap().unwrap();
            let object: Map<String, Value> = kind
                .columns()
                .iter()
                .zip(&fields)
                .map(|(name, text)| ((*name).to_owned(), Value::from(text)))
                .collect();
            let json = serde_json::to_vec(&object).unwrap();
            let parsed = kind.parse(&json, 3, &ndjson, &OWNER, &Rules::default());
            assert_eq!(parsed.rejects, [], "{kind}: {good}");
            assert_eq!(
                parsed.tuples,
                kind.parse(good.as_bytes(), 3, &layout, &OWNER, &Rules::default()).tuples,
                "{kind}: {good}"
            );
        }
    }
}

#[test]
fn a_name_twice_is_refused_whatever_it_says() {
    let kind = Kind::Messages;
    let layout = kind.read_header(b"", &Limits::default()).unwrap();
    for pair in ["1,\"id\":2", "1,\"ID\":null", "null,\"i\\u0064\":1", "null,\"id\":null"] {
        let line = format!("{{\"id\":{pair},\"timestamp\":\"2024-04-29T02:08:29Z\",\"text\":\"a\"}}");
        let parsed = kind.parse(line.as_bytes(), 1, &layout, &OWNER, &Rules::default());
        let reject = &parsed.rejects[0];
        assert_eq!(
            (reject.code, reject.message.as_str()),
            (ReasonCode::BadJson, "id stands in the object twice"),
            "{line}"
        );
    }
}

#[test]
fn numbers_with_an_exponent_are_exact_amounts() {
    for (kind, line) in [
        (
            Kind::Debts,
            r#"{"name":"A","governmentId":"1","email":"a@b.c","debtAmount":AMOUNT,"debtDueDate":"2030-01-01","debtId":"29f7f568-5350-4e8e-bc1c-a22e56826dce"}"#,
        ),
        (Kind::Transactions, r#"{"date":"2030-01-01","description":"x","amount":AMOUNT,"id":"1"}"#),
        (
            Kind::Claims,
            r#"{"service date":"2024-01-01","submitted procedure":"D0180","Plan/Group #":"G","Subscriber#":"1","Provider NPI":"1497775530","provider fees":AMOUNT,"Allowed fees":1,"member coinsurance":0,"member copay":0}"#,
        ),
    ] {
        let layout = kind.read_header(b"", &Limits::default()).unwrap();
        let parse = |amount: &str| {
            let line = line.replace("AMOUNT", amount);
            kind.parse(line.as_bytes(), 1, &layout, &OWNER, &Rules::default())
        };
        for (number, plain) in [
            ("1E2", "100"),
            ("1.2345e3", "1234.50"),
            ("19990e-3", "19.99"),
            ("1e0", "1"),
            ("1.000", "1"),
            ("10.500", "10.50"),
        ] {
            let parsed = parse(number);
            assert_eq!(parsed.rejects, [], "{kind}: {number}");
            assert_eq!(parsed.tuples, parse(plain).tuples, "{kind}: {number}");
        }
        for number in ["1e-3", "1e10", "1e400", "0.30000000000000004", "\"1E2\"", "\"1.000\""] {
            assert_eq!(parse(number).rejects[0].code, ReasonCode::BadAmount, "{kind}: {number}");
        }
    }
    // an id is no amount: how it was shortened is not known
    let layout = Kind::Transactions.read_header(b"", &Limits::default()).unwrap();
    let line = br#"{"date":"2030-01-01","description":"x","amount":1,"id":1E2}"#;
    let parsed = Kind::Transactions.parse(line, 1, &layout, &OWNER, &Rules::default());
    assert!(!parsed.tuples.windows(3).any(|bytes| bytes == b"100"));
}
