//! What holds for any file.

use gristmill_pipelines::{
    Chunk, DateOrder, Kind, Limits, Said, Sample, Sampled,
    charset::{Charset, Decode, Sayer},
};
use proptest::prelude::*;

use super::read::read;

/// How amounts or dates are written.
type Write<T> = fn(T) -> String;

fn grouped(units: u64, mark: &str) -> String {
    let digits = units.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(mark)
}

const AMOUNTS: [Write<u64>; 8] = [
    |minor| format!("{}.{:02}", minor / 100, minor % 100),
    |minor| format!("{},{:02}", minor / 100, minor % 100),
    |minor| format!("{}.{:02}", grouped(minor / 100, ","), minor % 100),
    |minor| format!("R$ {},{:02}", grouped(minor / 100, "."), minor % 100),
    // no decimals where there are none
    |minor| if minor % 100 == 0 { grouped(minor / 100, ".") } else { AMOUNTS[3](minor) },
    |minor| if minor % 100 == 0 { grouped(minor / 100, ",") } else { AMOUNTS[2](minor) },
    // three decimals, as databases pad them
    |minor| format!("{}.{:02}0", minor / 100, minor % 100),
    |minor| format!("{},{:02}0", minor / 100, minor % 100),
];

type Day = (u32, u32, u32);

const DATES: [Write<Day>; 7] = [
    |(y, m, d)| format!("{y}-{m:02}-{d:02}"),
    |(y, m, d)| format!("{d:02}/{m:02}/{y}"),
    |(y, m, d)| format!("{m}/{d}/{y}"),
    |(y, m, d)| format!("{y}/{m:02}/{d:02}"),
    |(y, m, d)| format!("{d}.{m}.{y}"),
    |(y, m, d)| format!("{d:02}/{m:02}/{:02}", y % 100),
    |(y, m, d)| format!("{:02}-{m:02}-{d:02}", y % 100),
];

fn file(rows: &[(u64, Day)], amount: Write<u64>, date: Write<Day>) -> String {
    let mut text = "name;governmentId;email;debtAmount;debtDueDate;debtId\n".to_owned();
    for (n, (minor, day)) in rows.iter().enumerate() {
        let (amount, date) = (amount(*minor), date(*day));
        text += &format!("Ana;1;a@b.c;{amount};{date};00000000-0000-4000-8000-{n:012}\n");
    }
    text
}

fn sampled(text: &str) -> Option<Sampled> {
    let (header, rows) = text.split_once('\n').unwrap();
    let reading = gristmill_pipelines::Reading { delimiter: "semicolon".parse().unwrap(), ..Default::default() };
    let layout = Kind::Debts.read_header_as(header.as_bytes(), &reading, &Limits::default()).unwrap();
    let mut sample = Sample::new(Kind::Debts, &layout, 1 << 20);
    let (data, oversize) = (rows.as_bytes().to_vec(), Vec::new());
    sample.push(&Chunk { first_line: 2, first_byte: 0, bytes: data.len() as u64, data, oversize });
    sample.verdict(&Said::default()).ok()
}

fn rows() -> impl Strategy<Value = Vec<(u64, Day)>> {
    // few digits, so that amounts and days that mean two things are many
    let minor = prop_oneof![1..2_000_u64, (1..2_000_u64).prop_map(|units| units * 100), 1..999_999_999_999_u64];
    let day = (2001..2032_u32, 1..=12_u32, prop_oneof![1..=12_u32, 1..=28_u32]);
    prop::collection::vec((minor, day), 1..12)
}

/// Whether it is one day, whichever of its parts is the month.
fn is_same(date: &str) -> bool {
    let mut parts = date.split(['/', '.', '-']).map(|part| part.trim_start_matches('0'));
    parts.next() == parts.next()
}

/// What is written like a file, and what is not.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"name;governmentId;email;debtAmount;debtDueDate;debtId\n".to_vec()),
        Just(b"nome,cpf,email,valor,vencimento,id\r\n".to_vec()),
        Just(b"sep=;\n".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        Just(b"\xff\xfe".to_vec()),
        Just(b"Ana;1;a@b.c;1.234;01/02/2024;00000000-0000-4000-8000-000000000001\r".to_vec()),
        Just(b"Jos\xe9,1,a@b.c,\"10,50\",31/12/24,00000000-0000-4000-8000-000000000002\n".to_vec()),
        Just("José|\t".as_bytes().to_vec()),
        Just(b"{\"name\":\"x\",\"debtAmount\":\"1,5\"}\n".to_vec()),
        Just(b"[".to_vec()),
        Just(b"{\"id\":1,\"data\":[{\"name\":\"x\"".to_vec()),
        Just(b"}, ]".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\"".to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_out_the_same_however_they_are_cut(file in bytes(), size in 1..40_usize, chunk_bytes in 1..200_usize) {
        // the first chunk is what amounts and dates are found in
        let whole = read("debts", &file, &[], usize::MAX, chunk_bytes);
        let cut = read("debts", &file, &[], size, chunk_bytes);
        // of two faults that refuse it, which is met first depends on the cuts
        prop_assert_eq!(cut.map_err(drop), whole.map_err(drop));
    }

    #[test]
    fn utf16_of_any_bytes_comes_out_the_same(file in bytes(), size in 1..40_usize) {
        let wide: Vec<u8> = file.iter().flat_map(|byte| [*byte, 0]).collect();
        let whole = read("debts", &wide, &[], usize::MAX, 64);
        prop_assert_eq!(read("debts", &wide, &[], size, 64).map_err(drop), whole.map_err(drop));
    }

    #[test]
    fn what_is_said_is_what_is_read(text in "[ -~\n\u{a1}-\u{ff}€“”]{0,60}", cut in 1..8_usize) {
        let western = |char| match char { '€' => 0x80, '“' => 0x93, '”' => 0x94, char => u8::try_from(char).unwrap() };
        let files: [(&str, Vec<u8>); 4] = [
            ("utf-16le", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("utf-16be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("windows-1252", text.chars().map(western).collect()),
            ("utf-8", text.clone().into_bytes()),
        ];
        for (label, file) in files {
            // what begins with a mark is what that says
            prop_assume!(!file.starts_with(b"\xff\xfe") && !file.starts_with(b"\xfe\xff"));
            let mut decode = Decode::new(Some((Charset::of_label(label).unwrap(), Sayer::Parameter)));
            let mut read = Vec::new();
            for bytes in file.chunks(cut) {
                decode.push(bytes, |piece| read.extend_from_slice(piece)).unwrap();
            }
            let decoded = decode.finish(|piece| read.extend_from_slice(piece)).unwrap();
            prop_assert_eq!(String::from_utf8(read).unwrap(), text.clone(), "{}", label);
            prop_assert_eq!(decoded.lines, text.split_terminator('\n').count() as u64);
        }
    }

    #[test]
    fn no_value_is_read_as_another(rows in rows(), amount in 0..AMOUNTS.len(), date in 0..DATES.len()) {
        let text = file(&rows, AMOUNTS[amount], DATES[date]);
        let plain = read("debts", file(&rows, AMOUNTS[0], DATES[0]).as_bytes(), &[], usize::MAX, 1 << 20).unwrap();
        if let Ok(found) = read("debts", text.as_bytes(), &[], usize::MAX, 1 << 20) {
            for row in &found.rows {
                prop_assert!(plain.rows.contains(row), "{text} line {}", row.0);
            }
        }
    }

    #[test]
    fn a_row_less_never_turns_the_verdict_around(rows in rows(), amount in 1..AMOUNTS.len(), date in 1..DATES.len(), gone in any::<prop::sample::Index>()) {
        let whole = sampled(&file(&rows, AMOUNTS[amount], DATES[date]));
        let mut fewer = rows.clone();
        fewer.remove(gone.index(rows.len()));
        let fewer = sampled(&file(&fewer, AMOUNTS[amount], DATES[date]));
        if let (Some(whole), Some(fewer)) = (whole, fewer) {
            let decimals = (whole.values.decimal, fewer.values.decimal);
            prop_assert!(!matches!(decimals, (Some(one), Some(other)) if one != other), "{decimals:?}");
            let turned = match (whole.values.dates, fewer.values.dates) {
                (Some(DateOrder::Mdy), Some(DateOrder::Dmy)) => !fewer.dates.as_ref().is_some_and(|shown| is_same(&shown.value)),
                (Some(DateOrder::Dmy), Some(DateOrder::Mdy)) => true,
                _ => false,
            };
            prop_assert!(!turned, "{:?}", fewer.dates);
        }
    }
}
