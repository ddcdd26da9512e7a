use std::collections::HashSet;

use gristmill_pipelines::{
    Kind, Limits, Owner, ParsedChunk, ReasonCode, Rules,
    claims::{Grouping, Line, Options, RULES, Switches, check},
};
use uuid::Uuid;

const ROWS: &str = "3/28/18 0:00,D0180,,GRP-1000,3730189502,1497775530,$100.00 ,$100.00 ,$0.00 ,$0.00 \n\
                    3/28/18 0:00,D0210,,GRP-1000,3730189502,1497775530,$108.00 ,$108.00 ,$0.00 ,$0.00 \n\
                    3/28/18 0:00,D4346,,GRP-1000,3730189502,1497775530,$130.00 ,$65.00 ,$16.25 ,$0.00 \n\
                    3/28/18 0:00,D4211,UR,GRP-1000,3730189502,1497775530,$178.00 ,$178.00 ,$35.60 ,$0.00 \n";

fn parse(records: &str, claims: Options) -> ParsedChunk {
    let layout = Kind::Claims.read_header(Kind::Claims.samples().header.as_bytes(), &Limits::default()).unwrap();
    let owner = Owner { client_id: 1, upload_id: Uuid::from_u128(7) };
    Kind::Claims.parse(records.as_bytes(), 2, &layout, &owner, &Rules { claims, ..Rules::default() })
}

/// A column of fixed width of each row: those before it have 4 bytes of length each.
fn column(parsed: &ParsedChunk, name: &str) -> Vec<Vec<u8>> {
    let place = Kind::Claims.table().columns.iter().position(|column| *column == name).unwrap();
    let rows = parsed.rows.iter().map(|row| {
        let mut tuple = &parsed.tuples[row.start as usize + 2..][..row.len as usize - 2];
        for n in 0.. {
            let (length, rest) = tuple.split_first_chunk::<4>().unwrap();
            let (field, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            if n == place {
                return field.to_vec();
            }
            tuple = rest;
        }
        unreachable!()
    });
    rows.collect()
}

fn net_fees(parsed: &ParsedChunk) -> Vec<i64> {
    column(parsed, "net_fee_minor").iter().map(|field| i64::from_be_bytes(field[..].try_into().unwrap())).collect()
}

#[test]
fn net_fees_are_exact() {
    let parsed = parse(ROWS, Options::default());
    assert_eq!(parsed.rejects, []);
    let fees = net_fees(&parsed);
    assert_eq!(fees, [0, 0, 8_125, 3_560]);
    assert_eq!(fees.iter().sum::<i64>(), 11_685);
    let negative = parse("3/28/18,D0180,,G,1,1497775530,$19.99,$20.00,0,(0.01)", Options::default());
    assert_eq!(net_fees(&negative), [-2]);
}

#[test]
fn lines_of_one_visit_are_a_claim() {
    let claims = |grouping| {
        let parsed = parse(ROWS, Options { grouping, ..Options::default() });
        column(&parsed, "claim_id").into_iter().collect::<HashSet<_>>().len()
    };
    assert_eq!((claims(Grouping::Visit), claims(Grouping::Line)), (1, 4));
    let apart =
        format!("{ROWS}3/29/18,D0180,,G,3730189502,1497775530,1,1,0,0\n3/28/18,D0180,,G,2,1497775530,1,1,0,0\n");
    let ids: HashSet<_> = column(&parse(&apart, Options::default()), "claim_id").into_iter().collect();
    assert_eq!(ids.len(), 3);
    // The same lines in another chunk, at another place of the file, are of the same claim.
    let (first, second) = ROWS.split_at(ROWS.find("3/28/18 0:00,D4346").unwrap());
    let ids = |records| column(&parse(records, Options::default()), "claim_id");
    assert_eq!(ids(first)[0], ids(second)[0]);
}

#[test]
fn optional_rules_are_checked_where_they_are_on() {
    let on = |rule: &str| Options { switches: Switches::on([rule]).unwrap(), ..Options::default() };
    for (rule, record, column, code) in [
        ("npi_luhn", "3/28/18,D0180,,G,1,1497775531,1,1,0,0", "Provider NPI", ReasonCode::BadNpi),
        ("quadrant_known", "3/28/18,D0180,XX,G,1,1497775530,1,1,0,0", "quadrant", ReasonCode::BadQuadrant),
        ("fees_not_negative", "3/28/18,D0180,,G,1,1497775530,1,1,0,-1", "member copay", ReasonCode::BadAmount),
        (
            "allowed_within_provider_fees",
            "3/28/18,D0180,,G,1,1497775530,1,2,0,0",
            "Allowed fees",
            ReasonCode::AmountsDisagree,
        ),
    ] {
        assert_eq!(parse(record, Options::default()).rejects, [], "{rule}");
        let rejects = parse(record, on(rule)).rejects;
        assert_eq!((rejects[0].column, rejects[0].code), (Some(column), code));
        assert!(rejects[0].message.ends_with(&format!("(rule {rule})")), "{}", rejects[0].message);
    }
    assert_eq!(RULES.iter().filter(|rule| rule.optional).count(), 4, "each is tried here");
}

#[test]
fn messages_name_column_and_rule() {
    let texts = Kind::Claims.samples().bad.iter().filter_map(|bad| std::str::from_utf8(bad.record).ok());
    let shown = texts.map(|record| {
        let parsed = parse(record, Options::default());
        let reject = &parsed.rejects[0];
        format!("{} {}: {}", reject.code, reject.column.unwrap_or("-"), reject.told())
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_fault_of_a_line_is_told() {
    let line = Line::new([b"yesterday", b"X1", b"", b"G", b"", b"12", b"1", b"1", b"a lot", b"0"], None);
    let broken = check(&line, Switches::default()).unwrap_err();
    let rules: Vec<_> = broken.iter().map(|broken| (broken.column, broken.rule)).collect();
    assert_eq!(
        rules,
        [
            ("Subscriber#", "required_except_quadrant"),
            ("service date", "service_date_is_a_date"),
            ("submitted procedure", "procedure_starts_with_d"),
            ("submitted procedure", "procedure_four_digits"),
            ("Provider NPI", "npi_ten_digits"),
            ("member coinsurance", "money_is_money"),
        ]
    );
    let good =
        Line::new([b"2018-03-28", b"D0180", b"", b"G", b"1", b"1497775530", b"130", b"65.00", b"16.25", b"0"], None);
    let values = check(&good, Switches::default()).unwrap();
    assert_eq!((values.day, values.net_fee()), (6_661, 8_125));
}

#[test]
fn no_service_is_after_the_day_on_which_it_came() {
    let today = gristmill_pipelines::values::days_of(2026, 11, 29);
    let rejects = |date: &str| {
        let parsed = parse(&format!("{date},D0180,,G,1,1497775530,1,1,0,0"), Options { today, ..Options::default() });
        parsed.rejects.into_iter().map(|reject| (reject.code, reject.message)).collect::<Vec<_>>()
    };
    for date in ["11/29/26 23:59", "2026-11-29", "1/1/27", "1/1/30", "1/1/68", "12/31/1999"] {
        assert_eq!(rejects(date), [], "{date}");
    }
    for date in ["11/30/26", "12/1/26", "2026-11-30", "1/1/2027", "9999-12-31"] {
        let [(code, message)] = &rejects(date)[..] else { panic!("{date}") };
        assert_eq!(*code, ReasonCode::BadDate, "{date}");
        let rule =
            "expected a day that is not after the one on which the claim came (rule service_date_not_in_the_future)";
        assert!(message.ends_with(rule), "{message}");
    }
}

#[test]
fn no_service_is_of_a_mistyped_century() {
    let today = gristmill_pipelines::values::days_of(2026, 11, 29);
    for date in ["0024-01-19", "1824-01-19", "1/19/1824", "1/19/0024", "1899-12-31", "2204-01-19", "1/19/2204"] {
        let parsed = parse(&format!("{date},D0180,,G,1,1497775530,1,1,0,0"), Options { today, ..Options::default() });
        let [reject] = &parsed.rejects[..] else { panic!("{date}") };
        assert_eq!((reject.code, reject.column), (ReasonCode::BadDate, Some("service date")), "{date}");
        let rule = if date.contains("2204") { "service_date_not_in_the_future" } else { "service_date_from_1900_on" };
        assert!(reject.message.contains(rule), "{}", reject.message);
    }
    let parsed = parse("1900-01-01,D0180,,G,1,1497775530,1,1,0,0", Options { today, ..Options::default() });
    assert_eq!(parsed.rejects.len(), 0);
}

#[test]
fn an_amount_that_reads_in_two_ways_is_asked_about() {
    let parsed = parse("3/28/18,D0180,,G,1,1497775530,($1.000),1,0,0", Options::default());
    let [reject] = &parsed.rejects[..] else { panic!("{parsed:?}") };
    assert_eq!(reject.code, ReasonCode::BadAmount);
    assert!(reject.message.contains("write -1000 or -1.00, whichever is meant"), "{}", reject.message);
    let parsed = parse("3/28/18,D0180,,G,1,1497775530,\"1,000\",\"1,000.000\",0,1.0000", Options::default());
    assert_eq!(parsed.rejects.len(), 0, "{parsed:?}");
}
