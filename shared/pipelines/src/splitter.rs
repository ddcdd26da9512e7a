//! Cutting a file into chunks of whole records while it arrives.

use crate::{
    Delimiter, Format,
    lines::{BYTE_ORDER_MARK, line_ends},
    scan::{Scan, Stop},
};

/// Bytes taken in and looked at at a time, while they are in the processor's cache.
const BLOCK_BYTES: usize = 64 * 1024;
/// The size of a file's first chunk, where chunks may be larger.
const FIRST_CHUNK_BYTES: usize = 1 << 20;
/// A chunk is as large as this share of what came before it, once that is more…
const GROWTH: u64 = 4;
/// …up to this size: enough for a file of a hundred megabytes, of which every worker is to have some chunks.
const MIDDLE_CHUNK_BYTES: usize = 4 << 20;
/// Behind so many bytes they grow again, so that ten gigabytes are hundreds of chunks and not thousands…
const LARGE_FILE_BYTES: u64 = 64 << 20;
/// …by this share of what came since.
const LARGE_GROWTH: u64 = 8;
/// How much of a record too long is kept.
pub(crate) const HEAD_BYTES: usize = 1024;

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitLimits {
    /// A chunk ends with the first record that ends at or behind this many bytes. Above 1 MiB, a file's first chunks are
    /// smaller, so that work begins early; they grow with what has arrived.
    pub chunk_bytes: usize,
    /// A record longer than this (without its line end) is not kept.
    pub max_record_bytes: usize,
}

impl Default for SplitLimits {
    fn default() -> Self {
        Self { chunk_bytes: 16 << 20, max_record_bytes: 1 << 20 }
    }
}

impl SplitLimits {
    /// The size of a file's first chunk, if the file is larger.
    pub fn first_chunk_bytes(&self) -> usize {
        self.chunk_bytes_at(0)
    }

    /// The size of the chunk that starts at this byte of the file.
    fn chunk_bytes_at(&self, byte: u64) -> usize {
        let share = |bytes: u64, of: u64| usize::try_from(bytes / of).unwrap_or(usize::MAX);
        let large = share(byte.saturating_sub(LARGE_FILE_BYTES), LARGE_GROWTH);
        let grown = share(byte, GROWTH).min(MIDDLE_CHUNK_BYTES).max(large);
        self.chunk_bytes.min(grown.max(FIRST_CHUNK_BYTES))
    }
}

/// What comes out of the [`Splitter`]: the header, then chunks. A file that begins with `{` has none: it is lines of
/// JSON, and its header is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The first record.
    Header {
        /// Without byte order mark and line end; empty: lines of JSON follow. One byte longer than allowed when it is too long.
        raw: Vec<u8>,
        /// Bytes of the file up to the end of its line: all that the chunks do not cover.
        bytes: u64,
    },
    /// A run of whole records.
    Chunk(Chunk),
}

/// A run of whole records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Line of the file that the chunk starts with, 1-based.
    pub first_line: u64,
    /// Where in the file it starts, 0-based.
    pub first_byte: u64,
    /// Bytes of the file that it covers: `data` and, if there is one, the record too long behind it.
    pub bytes: u64,
    /// The records. May be empty.
    pub data: Vec<u8>,
    /// A record too long, which ended the chunk; it comes behind `data`, and the next chunk starts behind it. So there
    /// is at most one, and lines inside a chunk need no correction.
    pub oversize: Vec<Oversize>,
}

/// A record too long to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversize {
    /// Line of its first byte.
    pub line: u64,
    /// How many lines it covers.
    pub lines: u64,
    /// Its length, without the line end.
    pub bytes: u64,
    /// Its first bytes, 1 KiB at most.
    pub head: Vec<u8>,
}

/// Where the records of a file begin whose beginning is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// How its records are cut. A file of records has a header first; lines of JSON have none.
    pub format: Format,
    /// So many bytes stand before that: whole lines, and the byte order mark. Like empty lines they belong to the header.
    pub skip: u64,
}

/// Cuts a stream of bytes at record ends. The same bytes give the same pieces, however they are pushed.
///
/// It holds one chunk and, beyond that, at most one record that may still become too long.
#[derive(Debug)]
pub struct Splitter {
    limits: SplitLimits,
    block_bytes: usize,
    format: Format,
    /// Whether the format is what was said, and not to be found out.
    is_known: bool,
    mode: Mode,
    /// Bytes before the first record that are still to be dropped.
    skip: u64,
    /// Bytes not given away yet.
    data: Vec<u8>,
    /// Line of the first of them.
    line: u64,
    /// Where in the file it stands.
    byte: u64,
    scan: Scan,
}

#[derive(Debug)]
enum Mode {
    Start,
    Header,
    Rows,
    /// Inside a record too long, which ends with its line: this chunk goes out then. A header too long is no `Oversize`.
    Skipping(Chunk),
}

impl Splitter {
    /// At the start of a file with commas between its fields, or of lines of JSON, which is found out.
    pub fn new(limits: SplitLimits) -> Self {
        Self { is_known: false, ..Self::at(limits, Start { format: Format::Csv(Delimiter::Comma), skip: 0 }) }
    }

    /// At the start of a file whose records begin so.
    pub fn at(limits: SplitLimits, start: Start) -> Self {
        // A record that lies within a block is then never too long, and moving what is behind a cut costs no more than
        // the chunk did.
        let block_bytes = BLOCK_BYTES.min(limits.chunk_bytes).min(limits.max_record_bytes).max(1);
        let Start { format, skip } = start;
        let scan = Scan::new(format);
        Self {
            limits,
            block_bytes,
            format,
            is_known: true,
            mode: Mode::Start,
            skip,
            data: Vec::new(),
            line: 1,
            byte: 0,
            scan,
        }
    }

    /// So many bytes of the text, which are so many empty lines, are not pushed: they stand before the first that is.
    #[must_use]
    pub(crate) fn behind(mut self, (bytes, lines): (u64, u64)) -> Self {
        self.byte += bytes;
        self.line += lines;
        self.skip = self.skip.saturating_sub(bytes);
        self
    }

    /// Takes the next bytes, and emits the pieces that are complete.
    pub fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(Piece)) {
        for block in bytes.chunks(self.block_bytes) {
            self.data.extend_from_slice(block);
            self.scan(false, &mut emit);
        }
    }

    /// The file has ended: emits what is left.
    pub fn finish(mut self, mut emit: impl FnMut(Piece)) {
        self.scan(true, &mut emit);
        match self.mode {
            Mode::Skipping(_) => self.end_skipping(self.data.len(), self.data.len(), &mut emit),
            _ if self.data.is_empty() => {}
            Mode::Start | Mode::Header => self.emit_header(self.data.len(), self.data.len(), &mut emit),
            Mode::Rows => self.emit_chunk(self.data.len(), &mut emit),
        }
    }

    fn scan(&mut self, whole: bool, emit: &mut impl FnMut(Piece)) {
        if matches!(self.mode, Mode::Start) {
            if !whole && self.data.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&self.data) {
                return;
            }
            if self.data.starts_with(BYTE_ORDER_MARK) {
                self.data.drain(..BYTE_ORDER_MARK.len());
                self.byte += BYTE_ORDER_MARK.len() as u64;
                self.skip = self.skip.saturating_sub(BYTE_ORDER_MARK.len() as u64);
            }
            self.mode = Mode::Header;
        }
        loop {
            let (from, max_record) = match self.mode {
                Mode::Start | Mode::Header => {
                    self.drop_preamble();
                    match self.find_format(whole) {
                        Some(Format::Csv(_)) => (0, self.limits.max_record_bytes),
                        Some(Format::Ndjson) => {
                            self.format = Format::Ndjson;
                            self.emit_header(0, 0, emit);
                            continue;
                        }
                        None => return,
                    }
                }
                Mode::Rows => (self.limits.chunk_bytes_at(self.byte), self.limits.max_record_bytes),
                Mode::Skipping(_) => (0, usize::MAX),
            };
            let stop = self.scan.advance(&self.data, from, max_record, whole);
            match (&self.mode, stop) {
                (Mode::Start | Mode::Header, Some(Stop::End { record, next })) => self.emit_header(record, next, emit),
                (Mode::Start | Mode::Header, Some(Stop::TooLong)) => self.give_up_header(emit),
                (Mode::Rows, Some(Stop::End { next, .. })) => self.emit_chunk(next, emit),
                (Mode::Rows, Some(Stop::TooLong)) => self.start_skipping(),
                (Mode::Skipping(_), Some(Stop::End { record, next })) => self.end_skipping(record, next, emit),
                (Mode::Skipping(_), _) => {
                    self.skip(self.scan.pos, self.scan.pos);
                    return;
                }
                (_, None) => return,
            }
        }
    }

    /// What stands before the first record, and empty lines, are skipped before the header.
    fn drop_preamble(&mut self) {
        let bytes = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.data.len());
        self.drop_front(bytes);
        self.skip -= bytes as u64;
        if self.skip == 0 {
            let empty = self.data.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.drop_front(empty);
        }
    }

    /// How the records are written that start here. `None`: more bytes are needed.
    fn find_format(&mut self, whole: bool) -> Option<Format> {
        if self.is_known || self.data.is_empty() {
            return (!self.data.is_empty()).then_some(self.format);
        }
        let blanks = self.data.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if blanks <= self.limits.max_record_bytes {
            match self.data.get(blanks) {
                // lines of JSON may begin with blanks
                Some(b'{') => self.drop_front(blanks),
                None if !whole => return None,
                _ => {}
            }
        }
        match self.starts_object() {
            Some(true) => Some(Format::Ndjson),
            Some(false) => Some(self.format),
            None => whole.then_some(self.format),
        }
    }

    /// Whether a line of JSON starts here: something stands behind its brace. A brace alone is an object over several lines,
    /// and no header. `None`: more bytes are needed.
    fn starts_object(&self) -> Option<bool> {
        if self.data.first() != Some(&b'{') {
            return Some(false);
        }
        let behind = self.data[1..].iter().take(self.limits.max_record_bytes);
        let next = behind.copied().find(|byte| !matches!(byte, b' ' | b'\t'));
        match next {
            Some(byte) => Some(!matches!(byte, b'\n' | b'\r')),
            None if self.data.len() > self.limits.max_record_bytes => Some(true),
            None => None,
        }
    }

    fn emit_header(&mut self, record: usize, next: usize, emit: &mut impl FnMut(Piece)) {
        let raw = self.data[..record].to_vec();
        self.drop_front(next);
        self.scan = Scan::new(self.format);
        self.mode = Mode::Rows;
        // the header came into a small buffer: from here on there is room for a chunk
        let mut roomy = self.chunk_buffer(self.byte);
        roomy.extend_from_slice(&self.data);
        self.data = roomy;
        emit(Piece::Header { raw, bytes: self.byte });
    }

    /// The header is too long: it goes out at once, so that nobody waits for its end.
    fn give_up_header(&mut self, emit: &mut impl FnMut(Piece)) {
        let raw = self.data[..=self.limits.max_record_bytes].to_vec();
        self.drop_front(raw.len());
        emit(Piece::Header { raw, bytes: self.byte });
        self.scan.end_with_line();
        self.mode = Mode::Skipping(self.chunk(0, Vec::new()));
    }

    fn emit_chunk(&mut self, end: usize, emit: &mut impl FnMut(Piece)) {
        let chunk = self.take_chunk(end);
        self.scan = Scan::new(self.format);
        emit(Piece::Chunk(chunk));
    }

    fn start_skipping(&mut self) {
        let start = self.scan.last_end;
        let before = self.data[..start].last().copied().unwrap_or(self.scan.before);
        let mut chunk = self.take_chunk(start);
        // whoever keeps it keeps no room for a chunk that did not come
        chunk.data.shrink_to_fit();
        self.scan.dropped(start, before);
        self.scan.end_with_line();
        // not one byte more than is there whenever this is found out
        let head = self.data[..HEAD_BYTES.min(self.limits.max_record_bytes.saturating_add(1))].to_vec();
        chunk.oversize.push(Oversize { line: self.line, lines: 0, bytes: 0, head });
        self.mode = Mode::Skipping(chunk);
    }

    /// Drops bytes that have been looked at: `record` of them belong to the record, the rest is its line end.
    fn skip(&mut self, record: usize, next: usize) {
        if let Mode::Skipping(chunk) = &mut self.mode {
            chunk.bytes += next as u64;
            for oversize in &mut chunk.oversize {
                oversize.bytes += record as u64;
            }
        }
        self.drop_front(next);
    }

    fn end_skipping(&mut self, record: usize, next: usize, emit: &mut impl FnMut(Piece)) {
        self.skip(record, next);
        // one that the file ends in has no line end that was counted
        let open = u64::from(next == record);
        if let Mode::Skipping(chunk) = &mut self.mode {
            for oversize in &mut chunk.oversize {
                oversize.lines = self.line - oversize.line + open;
            }
        }
        self.scan = Scan::new(self.format);
        if let Mode::Skipping(chunk) = std::mem::replace(&mut self.mode, Mode::Rows) {
            emit(Piece::Chunk(chunk));
        }
    }

    /// Takes the first bytes away, as a chunk.
    fn take_chunk(&mut self, end: usize) -> Chunk {
        let mut rest = self.chunk_buffer(self.byte + end as u64);
        rest.extend_from_slice(&self.data[end..]);
        let mut data = std::mem::replace(&mut self.data, rest);
        data.truncate(end);
        let lines = line_ends(&data);
        let chunk = self.chunk(end as u64, data);
        self.line += lines;
        self.byte += end as u64;
        chunk
    }

    fn chunk(&self, bytes: u64, data: Vec<u8>) -> Chunk {
        Chunk { first_line: self.line, first_byte: self.byte, bytes, data, oversize: Vec::new() }
    }

    /// Room for the chunk that starts at this byte of the file, if it has a sane size; a larger one grows.
    fn chunk_buffer(&self, byte: u64) -> Vec<u8> {
        const MOST: usize = 16 << 20;
        Vec::with_capacity(self.limits.chunk_bytes_at(byte).min(MOST) + 2 * self.block_bytes)
    }

    /// Drops the first bytes, and counts their lines.
    fn drop_front(&mut self, bytes: usize) {
        let Some(&last) = self.data[..bytes].last() else { return };
        let counted_before = self.scan.before == b'\r' && self.data[0] == b'\n';
        self.line += line_ends(&self.data[..bytes]) - u64::from(counted_before);
        self.byte += bytes as u64;
        self.data.drain(..bytes);
        self.scan.dropped(bytes, last);
    }
}
