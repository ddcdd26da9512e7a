use std::collections::{HashMap, HashSet};

use gristmill_pipelines::{
    Kind, Limits, Owner, ReasonCode, Rules, SplitLimits,
    charset::{Charset, Decode},
    claims, generate,
};
use uuid::Uuid;

use crate::oracle::{sort_out, split};

#[test]
fn files_hold_what_they_promise() {
    let options = generate::Options {
        rows: 20_000,
        bad: 0.05,
        duplicates: 0.1,
        seed: 11,
        check_government_id: true,
        max_record_bytes: Some(2000),
    };
    let mut file = Vec::new();
    let counts = generate::debts(&options, &mut file).unwrap();
    assert_eq!((counts.read(), counts.bytes), (20_000, file.len() as u64));

    let rules = Rules { check_government_id: true, max_record_bytes: 2000, ..Rules::default() };
    let (header, chunks) = sort_out(split(&file, SplitLimits { chunk_bytes: 50_000, max_record_bytes: 2000 }, &[]));
    let layout = Kind::Debts.read_header(&header.unwrap().0, &Limits::default()).unwrap();
    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    let (mut keys, mut duplicates, mut codes) = (HashSet::new(), 0, HashMap::new());
    for chunk in chunks {
        let parsed = Kind::Debts.parse(&chunk.data, chunk.first_line, &layout, &owner, &rules);
        for row in &parsed.rows {
            duplicates += u64::from(!keys.insert(row.key));
        }
        for code in parsed.rejects.iter().map(|reject| reject.code) {
            *codes.entry(code).or_insert(0_u64) += 1;
        }
        *codes.entry(ReasonCode::RecordTooLong).or_default() += chunk.oversize.len() as u64;
    }
    assert_eq!((keys.len() as u64, duplicates), (counts.accepted, counts.duplicate));
    assert_eq!(codes.values().sum::<u64>(), counts.rejected);
    assert!((800..1200).contains(&counts.rejected) && (1800..2200).contains(&counts.duplicate), "{counts:?}");
    let by_sample = Kind::Debts.samples().bad.iter().map(|bad| bad.code);
    let possible = by_sample.chain([ReasonCode::BadGovernmentId, ReasonCode::RecordTooLong]);
    let fewest = possible.map(|code| codes.get(&code).copied().unwrap_or_default()).min();
    assert!(fewest >= Some(counts.rejected / 12), "each in turn: {codes:?}");
}

#[test]
fn files_never_change() {
    let mut file = Vec::new();
    let options = generate::Options { rows: 12, bad: 0.2, duplicates: 0.2, seed: 1, ..Default::default() };
    generate::debts(&options, &mut file).unwrap();
    insta::assert_snapshot!(file.escape_ascii().to_string().replace("\\n", "\n"));
}

#[test]
fn rows_are_as_long_as_real_ones() {
    let counts = generate::debts(&generate::Options { rows: 10_000, ..Default::default() }, std::io::sink()).unwrap();
    let mean = counts.bytes as f64 / 10_000.0;
    assert!((94.0..96.5).contains(&mean), "{mean}");
    assert_eq!(counts.accepted, 10_000);
}

#[test]
fn transactions_hold_what_they_promise() {
    let options = generate::Options { rows: 3_000, bad: 0.05, duplicates: 0.1, seed: 3, ..Default::default() };
    let mut file = Vec::new();
    let counts = generate::transactions(&options, &mut file).unwrap();
    assert_eq!((counts.read(), counts.bytes), (3_000, file.len() as u64));
    let (header, records) = file.split_at(file.iter().position(|byte| *byte == b'\n').unwrap());
    let layout = Kind::Transactions.read_header(header, &Limits::default()).unwrap();
    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    let parsed = Kind::Transactions.parse(&records[1..], 2, &layout, &owner, &Rules::default());
    let keys: HashSet<u128> = parsed.rows.iter().map(|row| row.key).collect();
    assert_eq!((keys.len() as u64, parsed.rejects.len() as u64), (counts.accepted, counts.rejected));
    assert_eq!(parsed.rows.len() as u64, counts.accepted + counts.duplicate);
}

#[test]
fn messages_hold_what_they_promise() {
    let options = generate::Options { rows: 3_000, bad: 0.05, duplicates: 0.1, seed: 3, ..Default::default() };
    let mut file = Vec::new();
    let counts = generate::messages(&options, &mut file).unwrap();
    assert_eq!((counts.read(), counts.bytes), (3_000, file.len() as u64));
    let (header, records) = file.split_at(file.iter().position(|byte| *byte == b'\n').unwrap());
    let layout = Kind::Messages.read_header(header, &Limits::default()).unwrap();
    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    let parsed = Kind::Messages.parse(&records[1..], 2, &layout, &owner, &Rules::default());
    let keys: HashSet<u128> = parsed.rows.iter().map(|row| row.key).collect();
    assert_eq!((keys.len() as u64, parsed.rejects.len() as u64), (counts.accepted, counts.rejected));
    assert_eq!(parsed.rows.len() as u64, counts.accepted + counts.duplicate);
    assert!((50..=500).contains(&parsed.mentions.len()), "reports: {:?}", parsed.mentions);
}

#[test]
fn claims_hold_what_they_promise() {
    let options = generate::Options { rows: 3_000, bad: 0.05, seed: 3, ..Default::default() };
    let mut file = Vec::new();
    let counts = generate::claims(&options, &mut file).unwrap();
    assert_eq!((counts.read(), counts.bytes), (3_000, file.len() as u64));
    let (header, records) = file.split_at(file.iter().position(|byte| *byte == b'\n').unwrap());
    let layout = Kind::Claims.read_header(header, &Limits::default()).unwrap();
    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    let every = claims::RULES.iter().filter(|rule| rule.optional).map(|rule| rule.name);
    let claims = claims::Options { switches: claims::Switches::on(every).unwrap(), ..Default::default() };
    let rules = Rules { claims, ..Rules::default() };
    let parsed = Kind::Claims.parse(&records[1..], 2, &layout, &owner, &rules);
    assert_eq!((parsed.rows.len() as u64, parsed.rejects.len() as u64), (counts.accepted, counts.rejected));
    assert!(parsed.rejects.iter().all(|reject| reject.code == ReasonCode::BadNpi) && counts.rejected > 100);
}

#[test]
fn a_file_with_damaged_letters_is_one_of_utf_8_however_small() {
    for seed in 0..200 {
        let mut file = Vec::new();
        let options = generate::Options { rows: 40, bad: 0.5, seed, ..Default::default() };
        generate::debts(&options, &mut file).unwrap();
        let mut decode = Decode::new(None);
        decode.push(&file, |_| ()).unwrap();
        assert_eq!(decode.finish(|_| ()).unwrap().charset, Charset::Utf8, "seed {seed}");
    }
}
