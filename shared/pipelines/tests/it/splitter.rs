use gristmill_pipelines::{
    Chunk, Delimiter, Format, Kind, Limits, Oversize, Piece, SplitLimits, Splitter, Start, records::Records,
};

use crate::oracle::{sort_out, split, split_at};

const LIMITS: SplitLimits = SplitLimits { chunk_bytes: 8, max_record_bytes: 1 << 20 };

fn chunk(first_line: u64, first_byte: u64, data: &[u8]) -> Chunk {
    Chunk { first_line, first_byte, bytes: data.len() as u64, data: data.to_vec(), oversize: vec![] }
}

#[test]
fn chunks_end_with_the_first_record_that_ends_at_or_behind_the_size() {
    let (header, chunks) = sort_out(split(b"a,b\n1,2\n3,4\n5,6\n7,8", LIMITS, &[]));
    assert_eq!(header, Some((b"a,b".to_vec(), 4)));
    assert_eq!(chunks, [chunk(2, 4, b"1,2\n3,4\n"), chunk(4, 12, b"5,6\n7,8")]);
}

#[test]
fn quoted_line_ends_are_not_record_ends_and_count_as_lines() {
    let (_, chunks) = sort_out(split(b"a\r\n\"1\r\n2\r\n3\r\n4\"\r\nx\r\ny,y,y,y\r\n", LIMITS, &[5, 6, 7, 18, 19]));
    assert_eq!(chunks, [chunk(2, 3, b"\"1\r\n2\r\n3\r\n4\"\r\n"), chunk(6, 17, b"x\r\ny,y,y,y\r\n")]);
}

#[test]
fn lone_carriage_returns_end_records_and_lines() {
    let (header, chunks) = sort_out(split(b"a\r1234567\r89\r", LIMITS, &[2, 10]));
    assert_eq!(header, Some((b"a".to_vec(), 2)));
    assert_eq!(chunks, [chunk(2, 2, b"1234567\r"), chunk(3, 10, b"89\r")]);
}

#[test]
fn byte_order_mark_and_leading_empty_lines_belong_to_the_header() {
    let (header, chunks) = sort_out(split(b"\xef\xbb\xbf\r\n\n\"a\"\nx", LIMITS, &[1, 2, 4]));
    assert_eq!(header, Some((b"\"a\"".to_vec(), 10)));
    assert_eq!(chunks, [chunk(4, 10, b"x")]);
}

#[test]
fn what_stands_before_the_records_belongs_to_the_header() {
    let file = b"\xef\xbb\xbfBanco \"Exemplo\r\nsep=;\r\n\r\n\"a\";b\n\"1\n2\";,\n{";
    let start = Start { format: Format::Csv(Delimiter::Semicolon), skip: 26 };
    for cuts in [vec![], (0..file.len()).collect::<Vec<_>>()] {
        let (header, chunks) = sort_out(split_at(file, start, LIMITS, &cuts));
        assert_eq!(header, Some((b"\"a\";b".to_vec(), 34)));
        assert_eq!(chunks, [chunk(5, 34, b"\"1\n2\";,\n"), chunk(7, 42, b"{")]);
        let (header, chunks) = sort_out(split_at(file, Start { skip: 42, ..start }, LIMITS, &cuts));
        assert_eq!((header, chunks), (Some((b"{".to_vec(), 43)), vec![]), "what is said is not found out");
        assert_eq!(split_at(file, Start { skip: 43, ..start }, LIMITS, &cuts), []);
        assert_eq!(split_at(file, Start { skip: 1000, ..start }, LIMITS, &cuts), []);
        let json = Start { format: Format::Ndjson, skip: 0 };
        let (header, chunks) = sort_out(split_at(b"\n[1]\n \n{}", json, LIMITS, &cuts));
        assert_eq!((header, chunks), (Some((vec![], 1)), vec![chunk(2, 1, b"[1]\n \n{}")]));
    }
}

#[test]
fn files_without_records() {
    for file in [&b""[..], b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n"] {
        assert_eq!(split(file, LIMITS, &[1]), [], "{file:?}");
    }
    assert_eq!(split(b"a,b", LIMITS, &[1]), [Piece::Header { raw: b"a,b".to_vec(), bytes: 3 }]);
    assert_eq!(split(b"a,b\n", LIMITS, &[1]), [Piece::Header { raw: b"a,b".to_vec(), bytes: 4 }]);
}

#[test]
fn a_record_too_long_ends_its_chunk_and_is_not_kept() {
    let limits = SplitLimits { chunk_bytes: 100, max_record_bytes: 5 };
    let (_, chunks) = sort_out(split(b"a\n12345\n\"2\n4\",\"7\"\n12345\nlonger", limits, &[9, 10]));
    let first = Chunk {
        bytes: 16,
        oversize: vec![Oversize { line: 3, lines: 2, bytes: 9, head: b"\"2\n4\",".to_vec() }],
        ..chunk(2, 2, b"12345\n")
    };
    let second = Chunk {
        bytes: 12,
        oversize: vec![Oversize { line: 6, lines: 1, bytes: 6, head: b"longer".to_vec() }],
        ..chunk(5, 18, b"12345\n")
    };
    assert_eq!(chunks, [first, second]);
}

#[test]
fn ten_megabytes_in_one_line_are_never_held() {
    for line in [vec![b'x'; 10 << 20], [&b"\"y\","[..], &vec![b'x'; 10 << 20]].concat()] {
        let file = [&b"a\n1\n"[..], &line].concat();
        let mut splitter = Splitter::new(SplitLimits::default());
        let mut pieces = Vec::new();
        for part in file.chunks(100_000) {
            splitter.push(part, |piece| pieces.push(piece));
        }
        splitter.finish(|piece| pieces.push(piece));
        let (_, chunks) = sort_out(pieces);
        let [chunk] = &chunks[..] else { panic!("one chunk, not {}", chunks.len()) };
        assert_eq!(chunk.data, b"1\n");
        assert!(chunk.data.capacity() < 4 << 20);
        assert_eq!(chunk.bytes, line.len() as u64 + 2);
        assert_eq!(
            chunk.oversize,
            [Oversize { line: 3, lines: 1, bytes: line.len() as u64, head: line[..1024].to_vec() }]
        );
    }
}

#[test]
fn a_quote_that_is_never_closed_holds_no_more_than_a_record() {
    let lines = b"x,y\n".repeat(3 << 20);
    let file = [&b"a\n1\n\""[..], &lines].concat();
    let mut splitter = Splitter::new(SplitLimits { chunk_bytes: 1 << 20, max_record_bytes: 1 << 20 });
    let mut chunks = Vec::new();
    for part in file.chunks(100_000) {
        splitter.push(part, |piece| chunks.push(piece));
    }
    splitter.finish(|piece| chunks.push(piece));
    let (_, chunks) = sort_out(chunks);
    assert!(chunks.iter().all(|chunk| chunk.oversize.is_empty() && chunk.data.len() <= (1 << 20) + 4));
    assert!(chunks.iter().all(|chunk| chunk.data.capacity() < 3 << 20));
    assert_eq!(chunks.iter().map(|chunk| chunk.data.len()).sum::<usize>(), file.len() - 2);
}

/// A record may be too long for the blanks behind its last quote, and the one on its second line is not.
#[test]
fn a_record_too_long_by_its_last_blanks_says_nothing_of_the_next() {
    for (blanks, max) in [(1, 13), (5, 13), (5, 15), (9, 14)] {
        let file = format!("h\na,\"b\nc\",\"d\",\"e\"{}\n", " ".repeat(blanks));
        let (_, chunks) = sort_out(split(file.as_bytes(), SplitLimits { chunk_bytes: 8, max_record_bytes: max }, &[]));
        let mut lines = Vec::new();
        for chunk in chunks {
            let mut records = Records::new(&chunk.data, chunk.first_line).at_most(max);
            while let Some(record) = records.next_record() {
                lines.push((record.line, record.is_broken()));
            }
        }
        let whole = file.len() - 3 <= max;
        let two = [(2, true), (3, false)];
        let expected = if whole {
            &[(2, false)][..]
        } else if 9 + blanks <= max {
            &two
        } else {
            &two[..1]
        };
        assert_eq!(lines, expected, "{blanks} blanks, {max} bytes");
    }
}

/// If each of them were walked along to the record's limit, this would take days.
#[test]
fn lines_that_each_open_what_the_next_one_closes_cost_no_more_than_others() {
    for line in ["b\",\"\n", "b\",\"\nc\", \"\"\"\n", "\",\"b\n", "b,\"\n,\"b\n\"\",\"\n"] {
        let file = [&b"a\n"[..], &line.as_bytes().repeat(1 << 20)].concat();
        let (_, chunks) = sort_out(split(&file, SplitLimits::default(), &[]));
        let mut lines = 0;
        for chunk in chunks {
            let mut records = Records::new(&chunk.data, chunk.first_line).at_most(1 << 20);
            while records.next_record().is_some() {}
            lines += records.lines() + chunk.oversize.iter().map(|long| long.lines).sum::<u64>();
        }
        assert_eq!(lines, line.lines().count() as u64 * (1 << 20), "{line:?}");
    }
}

#[test]
fn a_header_too_long_goes_out_at_once() {
    let mut splitter = Splitter::new(SplitLimits { chunk_bytes: 100, max_record_bytes: 1000 });
    let mut header = None;
    for _ in 0..3 {
        splitter.push(&[b'x'; 500], |piece| header = Some(piece));
    }
    assert_eq!(header, Some(Piece::Header { raw: vec![b'x'; 1001], bytes: 1001 }));
}

#[test]
fn the_first_chunks_are_small_and_grow() {
    let record = [vec![b'x'; (64 << 10) - 1], vec![b'\n']].concat();
    let file: Vec<u8> = [b"a\n".as_slice(), &record.repeat(640)].concat();
    let limits = SplitLimits { chunk_bytes: 4 << 20, max_record_bytes: 1 << 20 };
    let (_, chunks) = sort_out(split(&file, limits, &[]));
    let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.data.len() >> 20).collect();
    assert_eq!(sizes, [1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 0]);
}

#[test]
fn a_file_that_begins_with_an_object_is_lines_of_json() {
    let (header, chunks) = sort_out(split(b"\n \t {}\n", LIMITS, &[1, 2, 3]));
    assert_eq!((header, chunks), (Some((vec![], 4)), vec![chunk(2, 4, b"{}\n")]));
    let file = b"\xef\xbb\xbf\r\n{\"a\":\"x,\"}\r\n\n{\"b\":\"\\\"\"}\r\"\n{}";
    for cuts in [&[][..], &[1, 4, 6, 12], &(0..40).collect::<Vec<_>>()] {
        let (header, chunks) = sort_out(split(file, LIMITS, cuts));
        assert_eq!(header, Some((vec![], 5)));
        let expected =
            [chunk(2, 5, b"{\"a\":\"x,\"}\r\n"), chunk(3, 17, b"\n{\"b\":\"\\\"\"}\r"), chunk(5, 29, b"\"\n{}")];
        assert_eq!(chunks, expected, "{cuts:?}");
    }
}

#[test]
fn a_brace_alone_is_no_line_of_json_however_the_file_is_cut() {
    for (file, header) in [
        ("{\n  \"id\": 1\n}\n", "{"),
        ("\u{feff}\n  {  \r\n  \"id\": 1\r\n}", "{  "),
        ("\t{\r\"id\": 1\r}", "{"),
        ("{", "{"),
    ] {
        for cuts in [vec![], (0..file.len()).collect::<Vec<_>>()] {
            let (found, _) = sort_out(split(file.as_bytes(), LIMITS, &cuts));
            let raw = found.unwrap().0;
            assert_eq!(raw, header.as_bytes(), "{file:?}");
            let said = Kind::Debts.read_header(&raw, &Limits::default()).unwrap_err().explained_by(file.as_bytes());
            let said = said.to_string();
            assert!(said.starts_with("this is one JSON object over several lines: send one object a line"), "{said}");
        }
    }
    let (found, chunks) = sort_out(split(b"{ \t{}\n", LIMITS, &[1, 2, 3]));
    assert_eq!((found.unwrap().0.len(), chunks.len()), (0, 1), "something stands behind the brace");
}
