//! A chunk to rows and rejects, in parallel and in the order of the file.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use memchr::memchr;
use rayon::prelude::*;
use uuid::Uuid;

use crate::{
    Format, Layout, ReasonCode, Reject, Values, claims,
    fields::{Field, trim, trim_bytes},
    lines::line_ends,
    merchants,
    names::same,
    records::{Objects, Record, Records},
    reject::Fault,
    scan::{Scan, Stop},
};

/// Bytes that one thread parses at a time: enough to be worth a task, few enough to stay in its cache.
const BLOCK_BYTES: usize = 128 * 1024;

/// Whose rows they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The client.
    pub client_id: i32,
    /// The upload that brings them.
    pub upload_id: Uuid,
}

/// What is checked beyond the form of the fields.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether a government id with the length of a CPF or CNPJ must have right check digits.
    pub check_government_id: bool,
    /// The longest record, without its line end.
    pub max_record_bytes: usize,
    /// The client's own rules for merchants.
    pub merchants: Arc<merchants::Rules>,
    /// How the client wants its claims read.
    pub claims: claims::Options,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            check_government_id: false,
            max_record_bytes: 1 << 20,
            merchants: Arc::default(),
            claims: claims::Options::default(),
        }
    }
}

/// What a chunk holds. `read` is the number of its records: `rows` and `rejects` together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedChunk {
    /// The records accepted.
    pub rows: Vec<Row>,
    /// Their tuples in Postgres' binary `COPY` format, one behind the other, without header and trailer.
    pub tuples: Vec<u8>,
    /// The records refused.
    pub rejects: Vec<Reject>,
    /// Records in the chunk, without those that are blank.
    pub read: u64,
    /// Records whose fields are all blank: what a spreadsheet leaves at its end. They are skipped like empty lines.
    pub blank: u64,
    /// Lines that were read, those of records and empty ones, as the reader counts them on its way.
    pub lines: u64,
    /// What the rows mention that is kept elsewhere, by its id: it is looked up once a chunk.
    pub mentions: BTreeSet<String>,
}

/// One accepted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The first column of the table's key; in the order in which Postgres sorts it.
    pub key: u128,
    /// Line of the file where the record starts, 1-based.
    pub line: u64,
    /// Where its tuple starts in `tuples`.
    pub start: u32,
    /// Length of its tuple.
    pub len: u32,
    /// Where the record starts in the chunk.
    pub raw_start: u32,
    /// Length of the record, without its line end.
    pub raw_len: u32,
}

/// What is particular to one kind of file: one record in, one tuple out. Pure.
pub(crate) trait Pipeline: Sync {
    /// Checks a record and appends its tuple; what is appended on a fault does not count. Returns the row's key.
    fn encode(&self, fields: &Fields<'_>, line: u64, out: &mut Vec<u8>) -> Result<u128, Fault>;

    /// Everything that is wrong with a record, in the order in which `encode` checks it: for the few that it refuses.
    fn faults(&self, fields: &Fields<'_>) -> Vec<Fault>;

    /// What a good record mentions that is kept elsewhere: UTF-8.
    fn mention<'r>(&self, _fields: &Fields<'r>) -> Option<&'r [u8]> {
        None
    }
}

/// A record's fields by the kind's own order of columns.
pub(crate) struct Fields<'r> {
    record: &'r Record<'r>,
    layout: &'r Layout,
    plain: bool,
}

impl<'r> Fields<'r> {
    /// Whether the file, or the object of a file of JSON, has the column.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.record.field(self.layout.places[place]).is_some()
    }

    /// Whether each field is its column's name.
    fn are_names(&self) -> bool {
        let columns =
            self.layout.columns.iter().zip(&self.layout.places).filter(|(_, place)| **place != Layout::ABSENT);
        columns.into_iter().all(|(column, place)| {
            let field = self.record.field(*place).and_then(|field| std::str::from_utf8(field).ok()).map(trim);
            field.is_some_and(|field| {
                same(column, field) || self.layout.names.get(*place).is_some_and(|name| name == field)
            })
        })
    }

    /// How amounts and dates are written.
    pub(crate) fn values(&self) -> Values {
        self.layout.values
    }

    /// The field of a column with the blanks at its ends.
    pub(crate) fn exact(&self, place: usize, column: &'static str) -> Field<'r> {
        let bytes = self.record.field(self.layout.places[place]).unwrap_or_default();
        Field { column, bytes, plain: self.plain, values: self.layout.values }
    }

    /// The field of a column, without what nobody sees at its ends.
    #[inline]
    pub(crate) fn get(&self, place: usize, column: &'static str) -> Field<'r> {
        let field = self.record.field(self.layout.places[place]).unwrap_or_default();
        Field { column, bytes: trim_bytes(field), plain: self.plain, values: self.layout.values }
    }
}

pub(crate) fn parse<P: Pipeline>(
    pipeline: &P,
    chunk: &[u8],
    first_line: u64,
    layout: &Layout,
    rules: &Rules,
) -> ParsedChunk {
    let job = Job { pipeline, chunk, layout, rules };
    if chunk.len() <= BLOCK_BYTES {
        return job.block(ParsedChunk::default(), 0..chunk.len(), first_line);
    }
    let blocks = blocks(chunk, layout.format, rules.max_record_bytes);
    let lines: Vec<u64> = blocks.par_iter().map(|block| line_ends(&chunk[block.clone()])).collect();
    let starts = lines.iter().scan(first_line, |next, lines| {
        let line = *next;
        *next += lines;
        Some(line)
    });
    let tasks: Vec<(Range<usize>, u64)> = blocks.into_iter().zip(starts).collect();
    let parts: Vec<ParsedChunk> = tasks.into_par_iter().map(|(block, line)| job.block(spare(), block, line)).collect();
    join(parts)
}

/// Cuts a chunk at record ends.
fn blocks(chunk: &[u8], format: Format, max_record_bytes: usize) -> Vec<Range<usize>> {
    let mut blocks = Vec::with_capacity(chunk.len() / BLOCK_BYTES + 1);
    let mut scan = Scan::new(format);
    let mut start = 0;
    while let Some(stop) = scan.advance(chunk, start + BLOCK_BYTES, max_record_bytes, true) {
        let Stop::End { next, .. } = stop else {
            scan.end_with_line();
            continue;
        };
        blocks.push(start..next);
        start = next;
    }
    if start < chunk.len() {
        blocks.push(start..chunk.len());
    }
    blocks
}

fn join(parts: Vec<ParsedChunk>) -> ParsedChunk {
    let mut all = ParsedChunk {
        rows: Vec::with_capacity(parts.iter().map(|part| part.rows.len()).sum()),
        tuples: Vec::with_capacity(parts.iter().map(|part| part.tuples.len()).sum()),
        rejects: Vec::with_capacity(parts.iter().map(|part| part.rejects.len()).sum()),
        read: 0,
        blank: 0,
        lines: 0,
        mentions: BTreeSet::new(),
    };
    for mut part in parts {
        let base = offset(all.tuples.len());
        all.rows.extend(part.rows.drain(..).map(|row| Row { start: row.start + base, ..row }));
        all.tuples.extend_from_slice(&part.tuples);
        all.rejects.append(&mut part.rejects);
        all.mentions.append(&mut part.mentions);
        all.read += part.read;
        all.blank += part.blank;
        all.lines += part.lines;
        put_back(part);
    }
    all
}

/// Buffers of blocks, used again: fresh memory costs more time than parsing into it.
static SPARE: Mutex<Vec<ParsedChunk>> = Mutex::new(Vec::new());

/// Enough for a few chunks at a time; about 300 KiB each.
const MOST_SPARE: usize = 64;

fn spare() -> ParsedChunk {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
}

/// Keeps the buffers of a part that was copied, unless a strange file made them large.
fn put_back(mut part: ParsedChunk) {
    part.tuples.clear();
    (part.read, part.blank, part.lines) = (0, 0, 0);
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < MOST_SPARE && part.tuples.capacity() < 4 * BLOCK_BYTES {
        spare.push(part);
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a chunk and its tuples are far smaller than 4 GiB")
}

struct Job<'a, P> {
    pipeline: &'a P,
    chunk: &'a [u8],
    layout: &'a Layout,
    rules: &'a Rules,
}

impl<P: Pipeline> Job<'_, P> {
    /// `parsed` is empty, but may have room.
    fn block(&self, mut parsed: ParsedChunk, block: Range<usize>, first_line: u64) -> ParsedChunk {
        parsed.rows.reserve(block.len() / 80);
        parsed.tuples.reserve(block.len() * 3 / 2);
        let bytes = &self.chunk[block.clone()];
        let plain = bytes.is_ascii() && memchr(0, bytes).is_none();
        match self.layout.format {
            Format::Csv(delimiter) => {
                let records = Records::new(bytes, first_line).delimited_by(delimiter);
                let mut records = records.at_most(self.rules.max_record_bytes);
                while let Some(record) = records.next_record() {
                    self.take(&mut parsed, block.start, &record, Ok(plain));
                }
                parsed.lines = records.lines();
            }
            Format::Ndjson => {
                let mut objects = Objects::new(bytes, first_line, self.layout);
                while let Some((record, read)) = objects.next_record() {
                    self.take(&mut parsed, block.start, &record, read.map(|escapes| plain && !escapes));
                }
                parsed.lines = objects.lines();
            }
        }
        parsed
    }

    /// Adds a record of the block that starts at `block`; `read`: whether its fields are plain, if it can be read.
    #[inline]
    fn take(&self, parsed: &mut ParsedChunk, block: usize, record: &Record<'_>, read: Result<bool, Fault>) {
        parsed.read += 1;
        let tuple = parsed.tuples.len();
        match self.record(record, read, parsed) {
            Ok(key) => parsed.rows.push(Row {
                key,
                line: record.line,
                start: offset(tuple),
                len: offset(parsed.tuples.len() - tuple),
                raw_start: offset(block + record.start),
                raw_len: offset(record.raw.len()),
            }),
            Err(_) if self.is_blank(record) => {
                parsed.tuples.truncate(tuple);
                parsed.read -= 1;
                parsed.blank += 1;
            }
            Err(reject) => {
                parsed.tuples.truncate(tuple);
                parsed.rejects.push(*reject);
            }
        }
    }

    /// Whether there is nothing but blanks between its delimiters.
    #[cold]
    fn is_blank(&self, record: &Record<'_>) -> bool {
        match self.layout.format {
            Format::Csv(_) => !record.is_broken() && record.fields().all(|field| trim_bytes(field).is_empty()),
            Format::Ndjson => trim_bytes(record.raw).is_empty(),
        }
    }

    fn record(
        &self,
        record: &Record<'_>,
        read: Result<bool, Fault>,
        parsed: &mut ParsedChunk,
    ) -> Result<u128, Box<Reject>> {
        let (line, width) = (record.line, self.layout.width);
        let max = self.rules.max_record_bytes;
        if record.raw.len() > max {
            return Err(Box::new(Reject::record_too_long(line, record.raw.len() as u64, record.raw, max)));
        }
        let outcome = match read.and_then(|plain| record.broken.map_or(Ok(plain), |quote| Err(quote.fault(line)))) {
            Ok(plain) if record.columns() == width || self.layout.has_room_for(record) => {
                let fields = Fields { record, layout: self.layout, plain };
                self.encode(&fields, line, parsed).map_err(|first| self.all_of(first, &fields))
            }
            Ok(_) => Err((self.wrong_width(record.columns(), width), Vec::new())),
            Err(fault) => Err((fault, Vec::new())),
        };
        outcome.map_err(|(Fault { column, code, message }, others)| {
            Box::new(Reject { line, column, code, message, others, raw: record.raw.to_vec() })
        })
    }

    #[inline]
    fn encode(&self, fields: &Fields<'_>, line: u64, parsed: &mut ParsedChunk) -> Result<u128, Fault> {
        let key = self.pipeline.encode(fields, line, &mut parsed.tuples)?;
        if let Some(Ok(mentioned)) = self.pipeline.mention(fields).map(std::str::from_utf8)
            && !parsed.mentions.contains(mentioned)
        {
            parsed.mentions.insert(mentioned.to_owned());
        }
        Ok(key)
    }
}

impl<P: Pipeline> Job<'_, P> {
    /// The first fault of a record and those of other columns; or that the record is none at all.
    #[cold]
    fn all_of(&self, first: Fault, fields: &Fields<'_>) -> (Fault, Vec<Fault>) {
        if fields.are_names() {
            let message = "the line is the header again: only the first line of a file names its columns".to_owned();
            return (Fault { column: None, code: ReasonCode::HeaderAgain, message }, Vec::new());
        }
        let mut others = self.pipeline.faults(fields);
        others.retain(|fault| fault.column != first.column);
        (first, others)
    }

    #[cold]
    fn wrong_width(&self, found: usize, width: usize) -> Fault {
        let code = if found < width { ReasonCode::TooFewColumns } else { ReasonCode::TooManyColumns };
        let columns = if found == 1 { "column" } else { "columns" };
        let hint = match self.layout.format {
            Format::Csv(delimiter) if found > width => {
                format!("; a field with a {delimiter} in it must stand in quotes")
            }
            Format::Csv(_) | Format::Ndjson => String::new(),
        };
        let message = format!("{found} {columns} found, the header has {width}{hint}");
        Fault { column: None, code, message }
    }
}
