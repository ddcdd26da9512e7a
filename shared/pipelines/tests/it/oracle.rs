//! What the `csv` crate and a slow reader make of a whole file, and what splitter and record reader make of it.

use gristmill_pipelines::{
    Chunk, Delimiter, Oversize, Piece, SplitLimits, Splitter, Start,
    records::{Record, Records},
};

/// A record with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) line: u64,
    pub(crate) byte: u64,
    pub(crate) raw: Vec<u8>,
    pub(crate) fields: Vec<Vec<u8>>,
}

/// One pass of a reader that looks at one byte after the other and knows the whole file: the law for quotes. `fields` of a
/// record whose quotes are not in their places are none. The second is whether there is such a record, or a quoted field
/// with blanks around it, of which the `csv` crate thinks otherwise. The records begin at `from`, or behind the byte order mark.
pub(crate) fn slow_records(file: &[u8], delimiter: Delimiter, from: usize, max: usize) -> (Vec<Seen>, bool) {
    let mut at = from.max(if file.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 });
    let (mut all, mut special) = (Vec::new(), false);
    while at < file.len() {
        if matches!(file[at], b'\n' | b'\r') {
            at += 1;
            continue;
        }
        let start = at;
        let (end, fields) = match slow_record(file, delimiter.byte(), start, max, &mut special) {
            Some(read) => read,
            None => {
                special = true;
                (start + file[start..].iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count(), Vec::new())
            }
        };
        all.push(Seen { line: line_of(file, start), byte: start as u64, raw: file[start..end].to_vec(), fields });
        at = end + 1;
    }
    (all, special)
}

/// Where the record ends, and its fields; none where a quoted field has no valid end within `max` bytes of the record.
fn slow_record(
    file: &[u8],
    delimiter: u8,
    start: usize,
    max: usize,
    special: &mut bool,
) -> Option<(usize, Vec<Vec<u8>>)> {
    let separates = |at: usize| file.get(at) == Some(&delimiter);
    let is_blank = |at: usize| matches!(file.get(at), Some(b' ' | b'\t')) && !separates(at);
    let ends = |at: usize| separates(at) || matches!(file.get(at), None | Some(b'\n' | b'\r'));
    let (mut at, mut fields) = (start, Vec::new());
    loop {
        let mut opening = at;
        while is_blank(opening) {
            opening += 1;
        }
        let mut field = Vec::new();
        if file.get(opening) == Some(&b'"') && opening < start + max {
            let mut here = opening + 1;
            loop {
                match file.get(here) {
                    _ if here >= start + max => return None,
                    None => return None,
                    Some(b'"') if file.get(here + 1) == Some(&b'"') => {
                        field.push(b'"');
                        here += 2;
                    }
                    Some(b'"') => break,
                    Some(byte) => {
                        field.push(*byte);
                        here += 1;
                    }
                }
            }
            let mut behind = here + 1;
            while is_blank(behind) && behind < start + max {
                behind += 1;
            }
            if !ends(behind) {
                return None;
            }
            *special |= opening > at || behind > here + 1;
            at = behind;
        } else {
            while !ends(at) {
                field.push(file[at]);
                at += 1;
            }
        }
        fields.push(field);
        if !separates(at) {
            return Some((at, fields));
        }
        at += 1;
    }
}

fn csv_reader(file: &[u8], delimiter: Delimiter) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter.byte()).flexible(true).has_headers(false).from_reader(file)
}

/// One pass of the `csv` crate.
pub(crate) fn csv_records(file: &[u8], delimiter: Delimiter) -> Vec<Seen> {
    let mut reader = csv_reader(file, delimiter);
    let mut record = csv::ByteRecord::new();
    let mut all = Vec::new();
    while reader.read_byte_record(&mut record).unwrap() {
        // csv's position is behind the first byte of the line end before: it has not skipped `\n` and empty lines yet
        let from = record.position().unwrap();
        let bom = if from.byte() == 0 && file.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let from_byte = from.byte() as usize;
        let skipped = file[from_byte + bom..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let start = from_byte + bom + skipped;
        if !file.contains(&b'\r') {
            assert_eq!(from.line() + skipped as u64, line_of(file, start), "csv agrees on lines");
        }
        let mut end = reader.position().byte() as usize;
        if end < file.len() || ends_with_line_end(file, delimiter) {
            end -= 1;
        }
        all.push(Seen {
            line: line_of(file, start),
            byte: start as u64,
            raw: file[start..end].to_vec(),
            fields: record.iter().map(<[u8]>::to_vec).collect(),
        });
    }
    all
}

/// Whether the last record is ended by a line end: then a delimiter behind it starts another one.
fn ends_with_line_end(file: &[u8], delimiter: Delimiter) -> bool {
    let count = |bytes: &[u8]| csv_reader(bytes, delimiter).into_byte_records().count();
    count(&[file, &[delimiter.byte()]].concat()) > count(file)
}

/// 1 + the line ends before a byte.
pub(crate) fn line_of(file: &[u8], byte: usize) -> u64 {
    let mut lines = 1;
    for (at, here) in file[..byte].iter().enumerate() {
        lines += u64::from(*here == b'\n' || (*here == b'\r' && file.get(at + 1) != Some(&b'\n')));
    }
    lines
}

/// Pushes a file cut at these places.
pub(crate) fn split(file: &[u8], limits: SplitLimits, cuts: &[usize]) -> Vec<Piece> {
    push(Splitter::new(limits), file, cuts)
}

/// The same for a file whose beginning is known.
pub(crate) fn split_at(file: &[u8], start: Start, limits: SplitLimits, cuts: &[usize]) -> Vec<Piece> {
    push(Splitter::at(limits, start), file, cuts)
}

fn push(mut splitter: Splitter, file: &[u8], cuts: &[usize]) -> Vec<Piece> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (file.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(file.len());
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in cuts {
        splitter.push(&file[from..cut], |piece| pieces.push(piece));
        from = cut;
    }
    splitter.finish(|piece| pieces.push(piece));
    pieces
}

/// The header and the chunks, in order.
pub(crate) fn sort_out(pieces: Vec<Piece>) -> (Option<(Vec<u8>, u64)>, Vec<Chunk>) {
    let mut pieces = pieces.into_iter();
    let header = match pieces.next() {
        Some(Piece::Header { raw, bytes }) => Some((raw, bytes)),
        Some(Piece::Chunk(chunk)) => panic!("a chunk before the header: {chunk:?}"),
        None => None,
    };
    let chunks = pieces.map(|piece| match piece {
        Piece::Chunk(chunk) => chunk,
        Piece::Header { .. } => panic!("two headers"),
    });
    (header, chunks.collect())
}

/// The records of a chunk.
pub(crate) fn chunk_records(chunk: &Chunk, delimiter: Delimiter, max: usize) -> Vec<Seen> {
    let mut records = Records::new(&chunk.data, chunk.first_line).delimited_by(delimiter).at_most(max);
    let mut all = Vec::new();
    while let Some(record) = records.next_record() {
        all.push(Seen {
            line: record.line,
            byte: chunk.first_byte + record.start as u64,
            raw: record.raw.to_vec(),
            fields: fields(&record),
        });
    }
    all
}

/// How many lines a chunk's records and empty lines are, by the reader.
pub(crate) fn chunk_lines(chunk: &Chunk, delimiter: Delimiter, max: usize) -> u64 {
    let mut records = Records::new(&chunk.data, 1).delimited_by(delimiter).at_most(max);
    while records.next_record().is_some() {}
    records.lines()
}

/// The fields of a record; of one whose quotes are not in their places none.
pub(crate) fn fields(record: &Record<'_>) -> Vec<Vec<u8>> {
    match record.is_broken() {
        true => Vec::new(),
        false => record.fields().map(<[u8]>::to_vec).collect(),
    }
}

/// How many lines a record is.
pub(crate) fn lines(raw: &[u8]) -> u64 {
    line_of(raw, raw.len())
}

/// What becomes of a record that is longer than `max`.
pub(crate) fn oversize(record: &Seen, max: usize) -> Oversize {
    let head = record.raw[..record.raw.len().min(max + 1).min(1024)].to_vec();
    Oversize { line: record.line, lines: lines(&record.raw), bytes: record.raw.len() as u64, head }
}
