//! Any bytes, cut anywhere, into chunks of any size: always what a slow reader sees in one pass over the whole, which is
//! what the `csv` crate sees wherever quotes are in their places.

use gristmill_pipelines::{
    Delimiter, Format, Kind, Limits, LineCount, Oversize, Owner, ParsedChunk, Place, Reading, Rules, SplitLimits,
    Start, generate, places, records::Records,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::oracle::{self, Seen};

fn delimiter() -> impl Strategy<Value = Delimiter> {
    prop::sample::select(Delimiter::ALL)
}

/// The same with the delimiter wherever a comma stands, and the other way round.
fn delimited(mut file: Vec<u8>, delimiter: Delimiter) -> Vec<u8> {
    for byte in &mut file {
        *byte = match *byte {
            b',' => delimiter.byte(),
            other if other == delimiter.byte() => b',',
            other => other,
        };
    }
    file
}

/// Bytes in which everything that matters is frequent, and by what they are cut.
fn file() -> impl Strategy<Value = (Delimiter, Vec<u8>)> {
    let token = prop_oneof![
        4 => Just(&b","[..]),
        5 => Just(&b"\""[..]),
        2 => Just(&b"\"\""[..]),
        2 => Just(&b"\",\""[..]),
        3 => Just(&b"\n"[..]),
        2 => Just(&b"\r"[..]),
        2 => Just(&b"\r\n"[..]),
        1 => Just(&b"\xef\xbb\xbf"[..]),
        2 => Just(&b" "[..]),
        1 => Just(&b"\", \""[..]),
        1 => Just(&b"\"\n"[..]),
        4 => Just(&b"a"[..]),
        1 => Just(&b"\xff"[..]),
        1 => prop::sample::select(vec![&b"\t"[..], b";", b"|"]),
        1 => Just(&b"bcdefghijklmnopqrstuvwxyz0123456789"[..]),
    ];
    let bom = prop_oneof![3 => Just(&b""[..]), 1 => Just(&b"\xef\xbb\xbf"[..]), 1 => Just(&b"\xef\xbb"[..])];
    let file = (bom, prop::collection::vec(token, 0..120)).prop_map(|(bom, tokens)| [bom, &tokens.concat()].concat());
    (delimiter(), file).prop_map(|(delimiter, file)| (delimiter, delimited(file, delimiter)))
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![prop::collection::vec(any::<usize>(), 0..20), Just((0..3000).collect())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_record_reader_is_the_slow_one_and_the_csv_crate(
        (delimiter, file) in file(),
        max in prop_oneof![0..60_usize, Just(usize::MAX >> 1)],
    ) {
        let bom = if file.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut records = Records::new(&file[bom..], 1).delimited_by(delimiter).at_most(max);
        let mut seen = Vec::new();
        while let Some(record) = records.next_record() {
            seen.push(Seen {
                line: record.line,
                byte: (bom + record.start) as u64,
                raw: record.raw.to_vec(),
                fields: oracle::fields(&record),
            });
        }
        let (slow, special) = oracle::slow_records(&file, delimiter, 0, max);
        prop_assert_eq!(&seen, &slow);
        if !special && max > file.len() {
            prop_assert_eq!(seen, oracle::csv_records(&file, delimiter));
        }
    }

    #[test]
    fn records_stand_where_the_reader_finds_them(
        (delimiter, file) in file(),
        max in prop_oneof![0..60_usize, Just(usize::MAX >> 1)],
    ) {
        let mut records = Records::new(&file, 3).delimited_by(delimiter).at_most(max);
        let mut read = Vec::new();
        while let Some(record) = records.next_record() {
            read.push(Place { line: record.line, bytes: record.start..record.start + record.raw.len() });
        }
        prop_assert_eq!(places(&file, 3, Format::Csv(delimiter), max), read);
    }

    #[test]
    fn splitting_is_one_pass_of_the_slow_reader(
        (delimiter, file) in file(),
        chunk_bytes in prop_oneof![0..8_usize, 8..200_usize, Just(1 << 20)],
        max_record_bytes in prop_oneof![0..6_usize, 6..60_usize, Just(1 << 20)],
        preamble in prop::option::of(any::<prop::sample::Index>()),
        cuts in cuts(),
    ) {
        let limits = SplitLimits { chunk_bytes, max_record_bytes };
        let starts: Vec<usize> =
            (0..=file.len()).filter(|at| *at == 0 || matches!(file[at - 1], b'\n' | b'\r')).collect();
        let skip = preamble.map_or(0, |of| *of.get(&starts));
        let start = Start { format: Format::Csv(delimiter), skip: skip as u64 };
        let pieces = oracle::split_at(&file, start, limits, &cuts);
        prop_assert_eq!(&pieces, &oracle::split_at(&file, start, limits, &[]), "the same however it is pushed");
        if delimiter == Delimiter::Comma && skip == 0 {
            prop_assert_eq!(&pieces, &oracle::split(&file, limits, &cuts), "commas need not be said");
        }
        let (header, chunks) = oracle::sort_out(pieces);

        let (expected, _) = oracle::slow_records(&file, delimiter, skip, max_record_bytes);
        let Some((raw, header_bytes)) = header else {
            prop_assert!(expected.is_empty() && chunks.is_empty());
            return Ok(());
        };
        let kept = expected[0].raw.len().min(max_record_bytes + 1);
        prop_assert_eq!(&raw, &expected[0].raw[..kept]);

        let mut next_byte = header_bytes;
        let mut records = Vec::new();
        let mut oversize: Vec<Oversize> = Vec::new();
        let last = chunks.len().saturating_sub(1);
        let first_line = chunks.first().map(|chunk| chunk.first_line);
        let mut lines = None;
        for (no, chunk) in chunks.into_iter().enumerate() {
            let counted = oracle::chunk_lines(&chunk, delimiter, max_record_bytes);
            *lines.get_or_insert(0) += counted + chunk.oversize.iter().map(|long| long.lines).sum::<u64>();
            prop_assert_eq!(chunk.first_byte, next_byte);
            next_byte += chunk.bytes;
            let header_goes_on = no == 0 && raw.len() > max_record_bytes;
            if !header_goes_on {
                prop_assert_eq!(chunk.first_line, oracle::line_of(&file, chunk.first_byte as usize));
            }
            let seen = oracle::chunk_records(&chunk, delimiter, max_record_bytes);
            if let Some(record) = seen.last() {
                let start = record.byte - chunk.first_byte;
                prop_assert!(start == 0 || start < chunk_bytes as u64, "cut at the first place possible");
            }
            if chunk.oversize.is_empty() && !header_goes_on {
                prop_assert_eq!(chunk.bytes, chunk.data.len() as u64);
                prop_assert!(no == last || chunk.data.len() >= chunk_bytes);
            }
            prop_assert!(chunk.oversize.len() <= 1);
            records.extend(seen);
            oversize.extend(chunk.oversize);
        }
        prop_assert_eq!(next_byte, file.len() as u64, "every byte is accounted for");
        let mut count = LineCount::default();
        count.push(&file);
        if raw.len() <= max_record_bytes {
            prop_assert_eq!(lines, first_line.map(|first| count.lines() + 1 - first), "and every line");
        }

        let (long, short): (Vec<_>, Vec<_>) =
            expected[1..].iter().cloned().partition(|record| record.raw.len() > max_record_bytes);
        prop_assert_eq!(records, short);
        prop_assert_eq!(oversize, long.iter().map(|record| oracle::oversize(record, max_record_bytes)).collect::<Vec<_>>());
    }
}

const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId";
const OWNER: Owner = Owner { client_id: 7, upload_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001) };

/// What comes out of a file, as far as it must not depend on how it was cut.
fn outcome(file: &[u8], delimiter: Delimiter, limits: SplitLimits, cuts: &[usize]) -> (Vec<Loaded>, ParsedChunk) {
    let start = Start { format: Format::Csv(delimiter), skip: 0 };
    let (header, chunks) = oracle::sort_out(oracle::split_at(file, start, limits, cuts));
    let (raw, _) = header.unwrap();
    let reading = Reading { delimiter, ..Reading::default() };
    let layout = Kind::Debts.read_header_as(&raw, &reading, &Limits::default()).unwrap();
    let mut rows = Vec::new();
    let mut all = ParsedChunk::default();
    for chunk in chunks {
        let parsed = Kind::Debts.parse(&chunk.data, chunk.first_line, &layout, &OWNER, &Rules::default());
        assert_eq!(parsed.read, (parsed.rows.len() + parsed.rejects.len()) as u64);
        for row in &parsed.rows {
            let raw = chunk.data[row.raw_start as usize..][..row.raw_len as usize].to_vec();
            let tuple = parsed.tuples[row.start as usize..][..row.len as usize].to_vec();
            let again = Kind::Debts.parse(&raw, row.line, &layout, &OWNER, &Rules::default());
            assert_eq!((again.read, &again.tuples), (1, &tuple), "a record by itself gives the same row");
            rows.push(Loaded { key: row.key, line: row.line, tuple, raw });
        }
        for reject in &parsed.rejects {
            let again = Kind::Debts.parse(&reject.raw, reject.line, &layout, &OWNER, &Rules::default());
            assert_eq!(again.rejects, std::slice::from_ref(reject), "a record by itself gives the same reject");
        }
        let tuples: usize = parsed.rows.iter().map(|row| row.len as usize).sum();
        assert_eq!(tuples, parsed.tuples.len(), "tuples hold the rows and nothing else");
        all.rejects.extend(parsed.rejects);
        all.read += parsed.read;
        all.lines += parsed.lines + chunk.oversize.iter().map(|long| long.lines).sum::<u64>();
    }
    (rows, all)
}

#[derive(Debug, PartialEq)]
struct Loaded {
    key: u128,
    line: u64,
    tuple: Vec<u8>,
    raw: Vec<u8>,
}

fn debts_file() -> impl Strategy<Value = Vec<u8>> {
    let samples = Kind::Debts.samples();
    let records: Vec<&[u8]> = samples
        .good
        .iter()
        .map(|good| good.as_bytes())
        .chain(samples.bad.iter().map(|bad| bad.record))
        .chain([&b""[..], b" ", b"\"", b"\"\"", b"\"unclosed, 1,\r"])
        .collect();
    let end = prop_oneof![3 => Just(&b"\n"[..]), 2 => Just(&b"\r\n"[..]), 1 => Just(&b"\r"[..])];
    let line = (prop::sample::select(records), end).prop_map(|(record, end)| [record, end].concat());
    prop::collection::vec(line, 0..60).prop_map(|lines| [HEADER.as_bytes(), b"\n", &lines.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splitting_never_changes_rows_and_rejects(
        file in debts_file(),
        delimiter in delimiter(),
        chunk_bytes in 1..2000_usize,
        cuts in cuts(),
    ) {
        let file = delimited(file, delimiter);
        let whole = outcome(&file, delimiter, SplitLimits { chunk_bytes: usize::MAX >> 1, max_record_bytes: 1 << 20 }, &[]);
        let cut = outcome(&file, delimiter, SplitLimits { chunk_bytes, max_record_bytes: 1 << 20 }, &cuts);
        prop_assert_eq!(whole, cut);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of a file of good rows, some of which have line ends in quotes, one line gets a quote somewhere.
    #[test]
    fn a_stray_quote_changes_the_outcome_of_its_record_alone(
        rows in 2..40_usize,
        of in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        delimiter in delimiter(),
        chunk_bytes in 1..2000_usize,
        cuts in cuts(),
    ) {
        let row = |n: usize| match n % 5 {
            0 => format!("\"Ana \"\"A\"\" {n}\",{n},a@b.c,1,2024-01-19,00000000-0000-4000-8000-{n:012}"),
            _ => format!("Ana {n},{n},a@b.c,1,2024-01-19,00000000-0000-4000-8000-{n:012}"),
        };
        let mut lines: Vec<String> = (0..rows).map(row).collect();
        let of = of.index(rows);
        let at = at.index(lines[of].len());
        lines[of].insert(at, '"');
        let file = delimited([HEADER, "\n", &lines.join("\n")].concat().into_bytes(), delimiter);
        let limits = SplitLimits { chunk_bytes, max_record_bytes: 1 << 20 };
        let (loaded, parsed) = outcome(&file, delimiter, limits, &cuts);
        let others = |line: u64| line != of as u64 + 2;
        let kept: Vec<u64> = loaded.iter().map(|row| row.line).filter(|line| others(*line)).collect();
        prop_assert_eq!(kept, (2..rows as u64 + 2).filter(|line| others(*line)).collect::<Vec<_>>());
        prop_assert!(parsed.rejects.iter().all(|reject| !others(reject.line)));
        prop_assert_eq!((parsed.read, parsed.lines), (rows as u64, rows as u64));
    }
}

#[test]
fn parsing_in_parallel_never_changes_rows_and_rejects() {
    let mut generated = Vec::new();
    let options = generate::Options { rows: 8000, bad: 0.02, duplicates: 0.02, seed: 3, ..Default::default() };
    generate::debts(&options, &mut generated).unwrap();
    let samples = Kind::Debts.samples();
    let mut file = format!("{}\r\n", samples.header).into_bytes();
    for (no, line) in generated.split(|byte| *byte == b'\n').skip(1).enumerate() {
        match no % 7 {
            0 => file.extend_from_slice(samples.good[no / 7 % samples.good.len()].as_bytes()),
            1 => file.extend_from_slice(samples.bad[no / 7 % samples.bad.len()].record),
            _ => file.extend_from_slice(line),
        }
        file.extend_from_slice([&b"\n"[..], b"\r\n", b"\r", b"\n\n"][no / 3 % 4]);
    }
    let one = outcome(&file, Delimiter::Comma, SplitLimits { chunk_bytes: 1 << 30, max_record_bytes: 1 << 20 }, &[]);
    let many = outcome(&file, Delimiter::Comma, SplitLimits { chunk_bytes: 5_000, max_record_bytes: 1 << 20 }, &[]);
    assert!(one.0.len() > 6000 && one.1.rejects.len() > 1000);
    assert_eq!(one, many);
}
