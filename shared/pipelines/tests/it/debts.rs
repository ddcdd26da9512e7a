use gristmill_pipelines::{Kind, Limits, Owner, Parsed, ReasonCode, Rules};
use uuid::Uuid;

const HEADER: &[u8] = b"name,governmentId,email,debtAmount,debtDueDate,debtId";

fn parse(records: &str, rules: Rules) -> Parsed {
    let layout = Kind::Debts.read_header(HEADER, &Limits::default()).unwrap();
    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    Kind::Debts.parse(records.as_bytes(), 2, &layout, &owner, &rules)
}

#[test]
fn a_tuple_is_what_copy_expects() {
    let record =
        "John Doe,11111111111,johndoe@kanastra.com.br,1000000.00,2022-10-12,1ADB6ccf-ff16-467f-bea7-5f05d494280f ";
    let parsed = parse(record, Rules::default());
    let expected = [
        &[0, 9][..],
        &[0, 0, 0, 16],
        b"\x1a\xdb\x6c\xcf\xff\x16\x46\x7f\xbe\xa7\x5f\x05\xd4\x94\x28\x0f",
        &[0, 0, 0, 4, 0, 0, 0, 1],
        &[0, 0, 0, 16],
        &[0; 16],
        &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2],
        &[0, 0, 0, 8],
        &100_000_000_i64.to_be_bytes(),
        &[0, 0, 0, 4],
        &8320_i32.to_be_bytes(),
        &[0, 0, 0, 8],
        b"John Doe",
        &[0, 0, 0, 11],
        b"11111111111",
        &[0, 0, 0, 23],
        b"johndoe@kanastra.com.br",
    ];
    assert_eq!(parsed.tuples, expected.concat());
    assert_eq!(parsed.rows[0].key, 0x1adb_6ccf_ff16_467f_bea7_5f05_d494_280f);
}

#[test]
fn messages_say_what_was_found_and_what_is_expected() {
    let bad = Kind::Debts.samples().bad.iter().map(|bad| {
        let layout = Kind::Debts.read_header(HEADER, &Limits::default()).unwrap();
        let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
        let parsed = Kind::Debts.parse(bad.record, 2, &layout, &owner, &Rules::default());
        format!("{}: {}", parsed.rejects[0].code, parsed.rejects[0].message)
    });
    insta::assert_snapshot!(bad.collect::<Vec<_>>().join("\n"));
}

#[test]
fn check_digits_are_checked_on_demand() {
    let record = |id: &str| format!("A,{id},a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000");
    let strict = Rules { check_government_id: true, ..Rules::default() };
    for id in ["9558", "52998224725", "529.982.247-25", "12ABC34501DE35", "12.ABC.345/01DE-35"] {
        assert_eq!(parse(&record(id), strict.clone()).rejects, [], "{id}");
    }
    for id in ["11111111111", "52998224726", "12ABC34501DE36"] {
        assert_eq!(parse(&record(id), strict.clone()).rejects[0].code, ReasonCode::BadGovernmentId, "{id}");
        assert_eq!(parse(&record(id), Rules::default()).rejects, [], "{id}");
    }
}

#[test]
fn long_fields_are_cut_in_messages() {
    let long = "ü".repeat(256);
    let parsed = parse(&format!("{long},1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000"), Rules::default());
    assert_eq!((parsed.rejects[0].code, parsed.rejects[0].column), (ReasonCode::FieldTooLong, Some("name")));
    assert!(parsed.rejects[0].message.chars().count() < 120);
    let fits = "ü".repeat(255);
    let parsed = parse(&format!("{fits},1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000"), Rules::default());
    assert_eq!(parsed.rejects, []);
}

#[test]
fn empty_lines_are_no_records_and_blank_ones_are() {
    let parsed = parse("\n\r\n  \n\n", Rules::default());
    assert_eq!((parsed.read, parsed.rejects[0].line, parsed.rejects[0].code), (1, 4, ReasonCode::TooFewColumns));
    assert_eq!(parse("", Rules::default()), Parsed::default());
}

#[test]
fn an_unclosed_quote_swallows_the_rest_and_is_one_reject() {
    let parsed = parse("\"A,1,a@b.c\n1,2,3\n4,5,6\n", Rules::default());
    assert_eq!((parsed.read, parsed.rejects.len(), parsed.rejects[0].line), (1, 1, 2));
}
