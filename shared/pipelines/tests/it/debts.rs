use gristmill_pipelines::{Kind, Limits, Owner, ParsedChunk, ReasonCode, Rules};
use uuid::Uuid;

const OWNER: Owner = Owner { client_id: 1, upload_id: Uuid::nil() };

const HEADER: &[u8] = b"name,governmentId,email,debtAmount,debtDueDate,debtId";

fn parse(records: &str, rules: Rules) -> ParsedChunk {
    let layout = Kind::Debts.read_header(HEADER, &Limits::default()).unwrap();
    Kind::Debts.parse(records.as_bytes(), 2, &layout, &OWNER, &rules)
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
        let parsed = Kind::Debts.parse(bad.record, 2, &layout, &OWNER, &Rules::default());
        format!("{}: {}", parsed.rejects[0].code, parsed.rejects[0].told())
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
fn empty_lines_and_blank_records_are_skipped_and_counted() {
    let parsed = parse("\n\r\n  \n\n,,,,,\n , \t,\u{a0},,,\n\"\",\" \"\n", Rules::default());
    assert_eq!((parsed.read, parsed.blank, parsed.lines, &parsed.rejects[..]), (0, 4, 7, &[][..]));
    assert_eq!(parse("", Rules::default()), ParsedChunk::default());
}

#[test]
fn what_a_spreadsheet_leaves_behind_the_last_column_is_ignored() {
    let row = "A,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000";
    let parsed = parse(&format!("{row},,\n{row}, ,\u{a0}\n{row},,x\n"), Rules::default());
    assert_eq!((parsed.read, parsed.rows.len(), parsed.rejects[0].code), (3, 2, ReasonCode::TooManyColumns));
    let header = format!("{},,\u{feff} ,", Kind::Debts.samples().header);
    let layout = Kind::Debts.read_header(header.as_bytes(), &Limits::default()).unwrap();
    let file = format!("{row}\n{row},\n{row},x,y,z\n{row},,,\n{row},,,,\n{row},,,,x\nA,1,a@b.c,1,2024-01-19\n");
    let parsed = Kind::Debts.parse(file.as_bytes(), 2, &layout, &OWNER, &Rules::default());
    let codes: Vec<_> = parsed.rejects.iter().map(|reject| (reject.line, reject.code)).collect();
    assert_eq!(codes, [(7, ReasonCode::TooManyColumns), (8, ReasonCode::TooFewColumns)]);
}

#[test]
fn quotes_out_of_place_cost_their_line_and_no_other() {
    let row = "A,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000";
    let open = "the quote opened on line 3 is not closed";
    for (bad, message) in [
        ("\"A,1,a@b.c,1,2024-01-19,x", open),
        ("A,1,\"a@b.c,1,2024-01-19,x", open),
        ("A, \t\"1,a@b.c,1,2024-01-19,x", open),
        ("\"", open),
        ("\"\"\"", open),
        ("A,1,a@b.c,1,2024-01-19,\"", open),
        ("\"Maria \"Bia\" Souza\",1,a@b.c,1,2024-01-19,x", "followed by \"B\""),
        ("\"A\" x,1,a@b.c,1,2024-01-19,x", "followed by \"x\""),
        ("\"\"A,1,a@b.c,1,2024-01-19,x", "followed by \"A\""),
    ] {
        for end in ["\n", "\r\n", "\r"] {
            for rest in [row.to_owned(), String::new(), format!("{row}{end}\"B\"{}{end}{row}", &row[1..])] {
                let file = format!("{row}{end}{bad}{end}{rest}");
                let parsed = parse(&file, Rules::default());
                let [reject] = &parsed.rejects[..] else { panic!("{:?} of {file:?}", parsed.rejects) };
                assert_eq!(
                    (reject.line, reject.code, reject.raw.as_slice()),
                    (3, ReasonCode::BadQuoting, bad.as_bytes())
                );
                assert!(reject.message.contains(message), "{}", reject.message);
                assert_eq!(
                    parsed.rows.len(),
                    1 + rest.lines().flat_map(|line| line.split('\r')).filter(|line| !line.is_empty()).count()
                );
            }
        }
    }
    // Blanks around quotes are none of the field, and a quote inside a field without any is a character.
    let parsed = parse(
        " \"A\"\t,\"1\" , \"a@b.c\", \"1\",\"2024-01-19\", \"00000000-0000-4000-8000-000000000000\" \nA \"B\" C,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000001",
        Rules::default(),
    );
    assert_eq!((parsed.rows.len(), parsed.rejects), (2, vec![]));
}

#[test]
fn a_quote_that_is_closed_behind_the_limit_is_not_closed() {
    let rules = Rules { max_record_bytes: 100, ..Rules::default() };
    let row = "A,1,a@b.c,1,2024-01-19,00000000-0000-4000-8000-000000000000\n";
    let parsed = parse(&format!("\"A\n{}B\"{}", row.repeat(3), &row[1..]), rules);
    let rejects: Vec<_> = parsed.rejects.iter().map(|reject| (reject.line, reject.code)).collect();
    assert_eq!((parsed.rows.len(), rejects), (4, vec![(2, ReasonCode::BadQuoting)]));
}
