use proptest::prelude::*;

use super::*;
use crate::{
    DateOrder, Decimal, Delimiter, ReasonCode,
    generate::{self, Counts, Options},
};

const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId\n";

fn check_as(kind: Kind, said: Said, file: &[u8], by: usize) -> Result<Checked, IntakeError> {
    let mut check = Check::new(kind, said, Limits::default(), Rules::default());
    for bytes in file.chunks(by) {
        check.push(bytes)?;
    }
    check.finish()
}

fn check(kind: Kind, file: &[u8]) -> Checked {
    check_as(kind, Said::default(), file, 1000).unwrap()
}

fn debt(key: u128, amount: &str, email: &str) -> String {
    format!("Ana Lima,9558,{email},{amount},2030-01-31,{}\n", Uuid::from_u128(key))
}

fn dirty(kind: Kind, options: &Options) -> (Counts, Vec<u8>) {
    let mut file = Vec::new();
    let counts = match kind {
        Kind::Debts => generate::debts(options, &mut file),
        Kind::Claims => generate::claims(options, &mut file),
        Kind::Transactions => generate::transactions(options, &mut file),
        Kind::Messages => generate::messages(options, &mut file),
    };
    (counts.unwrap(), file)
}

#[test]
fn a_file_is_told_whole() {
    let rows = [
        debt(1, "10", "a@b.co"),
        debt(2, "x", "none"),
        ",,,,,\n".to_owned(),
        debt(1, "11", "a@b.co"),
        debt(3, "x", "a@b.co"),
        "a,b\n".to_owned(),
    ];
    let file = format!("{HEADER}{}", rows.concat());
    let checked = check(Kind::Debts, file.as_bytes());
    let Checked { read, good, rejected, blank, duplicate_in_file, lines, bytes, .. } = checked;
    assert_eq!((read, good, rejected, blank, duplicate_in_file), (5, 2, 3, 1, Some(1)));
    assert_eq!((lines, bytes, checked.is_good()), (7, file.len() as u64, false));
    let reasons: Vec<_> =
        checked.reasons.iter().map(|reason| (reason.code, reason.column, reason.rows, reason.first_line)).collect();
    let told: u64 = reasons.iter().map(|(_, _, rows, _)| rows).sum();
    assert_eq!(told, 3, "{reasons:?}");
    assert!(reasons.contains(&(ReasonCode::TooFewColumns, None, 1, 7)), "{reasons:?}");
    assert_eq!(checked.rejects.iter().map(|reject| reject.line).collect::<Vec<_>>(), [3, 6, 7]);
    assert_eq!(checked.rejects[0].faults.len(), 2, "{:?}", checked.rejects[0]);
    assert_eq!(checked.rejects[2].raw, "a,b");
    assert_eq!(checked.sample.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(checked.sample[1].fields[3], ("debtAmount", "11".to_owned()));
}

#[test]
fn it_is_read_as_it_is_written() {
    let text = "sep=;\nname;governmentId;email;debtAmount;debtDueDate;debtId\n\"Jo\u{e3}o; e filho\";9558;a@b.co;\"1.234,50\";31/12/2030;\
                00000000-0000-0000-0000-000000000001\n";
    let latin: Vec<u8> = text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    let checked = check(Kind::Debts, &latin);
    assert_eq!((checked.good, checked.is_good()), (1, true), "{checked:?}");
    let dialect = &checked.dialect;
    assert_eq!(
        (dialect.delimiter, dialect.decimal, dialect.dates),
        (Some(Delimiter::Semicolon), Some(Decimal::Comma), Some(DateOrder::Dmy))
    );
    assert_eq!(checked.sample[0].fields[0], ("name", "João; e filho".to_owned()));
    assert_eq!(checked.bytes, latin.len() as u64);
    let lines = b"{\"id\":7,\"text\":\"hello\",\"timestamp\":\"2026-01-31T09:12:44Z\"}\n";
    let checked = check(Kind::Messages, lines);
    assert_eq!(checked.sample[0].fields[0], ("id", "7".to_owned()), "{checked:?}");
    assert_eq!(checked.sample[0].fields.len(), 3, "it has no report");
}

#[test]
fn what_is_no_file_of_its_kind_is_refused() {
    let refused = |file: &[u8]| check_as(Kind::Debts, Said::default(), file, 7).unwrap_err();
    assert!(matches!(refused(b""), IntakeError::Empty));
    assert!(matches!(refused(b"a,b\n1,2\n"), IntakeError::Header(_)));
    assert!(matches!(refused(b"%PDF-1.7 and more of it, and more\n"), IntakeError::Foreign(_)));
    let open = [1, 2, 3].map(|key| debt(key, "10", "a@b.co").replace("2030-01-31", "01/02/2030"));
    let open = format!("{HEADER}{}", open.concat());
    assert!(matches!(refused(open.as_bytes()), IntakeError::Asks(_)));
    let said = Said { dates: Some(DateOrder::Mdy), ..Said::default() };
    assert_eq!(check_as(Kind::Debts, said, open.as_bytes(), 7).unwrap().good, 3);
}

#[test]
fn a_record_too_long_is_a_reject() {
    let limits = Limits { max_record_bytes: 2000, ..Limits::default() };
    let mut check = Check::new(Kind::Debts, Said::default(), limits, Rules::default());
    let long = debt(2, "10", &"x".repeat(3000));
    check.push([HEADER, &debt(1, "10", "a@b.co"), &long, &debt(3, "10", "a@b.co")].concat().as_bytes()).unwrap();
    let checked = check.finish().unwrap();
    assert_eq!((checked.read, checked.good, checked.rejected), (3, 2, 1));
    assert_eq!((checked.reasons[0].code, checked.reasons[0].first_line), (ReasonCode::RecordTooLong, 3));
}

#[test]
fn it_is_json() {
    let checked = check(Kind::Debts, format!("{HEADER}{}", debt(1, "10", "a@b.co")).as_bytes());
    let json = serde_json::to_value(&checked).unwrap();
    assert_eq!(
        (&json["good"], &json["duplicate_in_file"], &json["dialect"]["delimiter"]),
        (&1.into(), &0.into(), &",".into())
    );
    assert_eq!(json["sample"][0]["fields"]["debtAmount"], "10");
}

#[test]
fn it_may_be_read_by_another_thread() {
    fn may<T: Send + 'static>() {}
    may::<Check>();
}

#[test]
fn too_many_keys_are_not_compared() {
    let mut all = Part { keys: Some(vec![0; MOST_KEYS]), ..Part::default() };
    all.append(Part { keys: Some(Vec::new()), ..Part::default() });
    assert!(all.keys.is_some());
    all.append(Part { keys: Some(vec![1]), ..Part::default() });
    assert!(all.keys.is_none());
    all.append(Part { keys: Some(Vec::new()), ..Part::default() });
    assert!(all.keys.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The counts are those of a parser that reads the file in one piece, and of the file's maker.
    #[test]
    fn counts_are_those_of_a_load(
        n in 0..Kind::ALL.len(),
        rows in 1_u64..20_000,
        bad in 0.0..0.3,
        duplicates in 0.0..0.3,
        seed: u64,
        by in 1_usize..200_000,
    ) {
        let kind = Kind::ALL[n];
        let duplicates = if kind == Kind::Claims { 0.0 } else { duplicates };
        let (counts, file) = dirty(kind, &Options { rows, bad, duplicates, seed, ..Options::default() });
        let checked = check_as(kind, Said::default(), &file, by.max(file.len() / 2000)).unwrap();
        let end = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let layout = kind.read_header(&file[..end - 1], &Limits::default()).unwrap();
        let owner = Owner { client_id: 7, upload_id: Uuid::from_u128(9) };
        let parsed = kind.parse(&file[end..], 2, &layout, &owner, &Rules::default());
        let (good, rejected) = (parsed.rows.len() as u64, parsed.rejects.len() as u64);
        prop_assert_eq!((checked.read, checked.good, checked.rejected), (parsed.read, good, rejected));
        prop_assert_eq!((checked.blank, checked.lines, checked.bytes), (parsed.blank, parsed.lines + 1, counts.bytes));
        prop_assert_eq!(checked.duplicate_in_file, Some(counts.duplicate));
        prop_assert_eq!((checked.rejected, checked.good - counts.duplicate), (counts.rejected, counts.accepted));
        prop_assert_eq!(checked.reasons.iter().map(|reason| reason.rows).sum::<u64>(), rejected);
        let first = parsed.rejects.iter().take(100).map(|reject| (reject.line, reject.told()));
        let told = checked.rejects.iter().map(|reject| (reject.line, reject.message.clone()));
        prop_assert!(first.eq(told));
        prop_assert!(parsed.rows.iter().take(20).map(|row| row.line).eq(checked.sample.iter().map(|row| row.line)));
    }
}
