//! What is found in a chunk, or in all chunks so far.

use super::{
    MOST_KEYS,
    told::{CheckedReject, CheckedRow, Reasons, Tally},
};
use crate::{
    Chunk, Format, Kind, Layout, Owner, ParsedChunk, Reject, Row, Rules,
    fields::trim_bytes,
    records::{Objects, Record, Records},
};

/// Rejects that are shown.
const REJECTS: usize = 100;
/// Good rows that are shown.
const SAMPLE: usize = 20;
/// So much of a field is shown, in characters.
const CHARS: usize = 200;

/// What is found in a run of records.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) read: u64,
    pub(super) rejected: u64,
    pub(super) blank: u64,
    /// Hashes of the good rows' keys; `None`: there are too many.
    pub(super) keys: Option<Vec<u64>>,
    pub(super) reasons: Reasons,
    /// The first ones.
    pub(super) rejects: Vec<CheckedReject>,
    /// The first ones.
    pub(super) sample: Vec<CheckedRow>,
}

impl Part {
    pub(super) fn of(kind: Kind, chunk: &Chunk, layout: &Layout, owner: &Owner, rules: &Rules) -> Self {
        let ParsedChunk { rows, rejects, read, blank, .. } =
            kind.parse(&chunk.data, chunk.first_line, layout, owner, rules);
        let sample = rows.iter().take(SAMPLE).filter_map(|row| shown(&chunk.data, row, layout)).collect();
        let keys = Some(rows.iter().map(|row| hash(row.key)).collect());
        let limit = rules.max_record_bytes;
        let too_long =
            chunk.oversize.iter().map(|note| Reject::record_too_long(note.line, note.bytes, &note.head, limit));
        let read = read + chunk.oversize.len() as u64;
        let mut part = Self { read, blank, keys, sample, ..Self::default() };
        rejects.into_iter().chain(too_long).for_each(|reject| part.refuse(reject));
        part
    }

    fn refuse(&mut self, reject: Reject) {
        self.rejected += 1;
        let tally = self.reasons.entry((reject.code, reject.column)).or_insert_with(|| Tally {
            rows: 0,
            first_line: reject.line,
            message: reject.message.clone(),
        });
        tally.rows += 1;
        if self.rejects.len() < REJECTS {
            self.rejects.push(reject.into());
        }
    }

    /// Adds what follows in the file.
    pub(super) fn append(&mut self, mut next: Self) {
        self.read += next.read;
        self.rejected += next.rejected;
        self.blank += next.blank;
        let keys = self.keys.take().zip(next.keys).filter(|(keys, more)| keys.len() + more.len() <= MOST_KEYS);
        self.keys = keys.map(|(mut keys, mut more)| {
            keys.append(&mut more);
            keys
        });
        for (what, tally) in next.reasons {
            self.reasons.entry(what).and_modify(|known| known.rows += tally.rows).or_insert(tally);
        }
        next.rejects.truncate(REJECTS - self.rejects.len());
        self.rejects.append(&mut next.rejects);
        next.sample.truncate(SAMPLE - self.sample.len());
        self.sample.append(&mut next.sample);
    }
}

/// The halves, multiplied and folded: random keys and keys that are counted up alike are spread over all numbers.
fn hash(key: u128) -> u64 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mixed = (key ^ (key >> 64)).wrapping_mul(ODD);
    let mixed = (mixed ^ (mixed >> 67)).wrapping_mul(ODD);
    u64::try_from(mixed >> 64).unwrap_or_default()
}

/// A good row as it stands in its chunk.
fn shown(chunk: &[u8], row: &Row, layout: &Layout) -> Option<CheckedRow> {
    let raw = &chunk[row.raw_start as usize..][..row.raw_len as usize];
    let fields = match layout.format() {
        Format::Csv(delimiter) => {
            Records::new(raw, row.line).delimited_by(delimiter).next_record().map(|record| texts(&record, layout))
        }
        Format::Ndjson => Objects::new(raw, row.line, layout).next_record().map(|(record, _)| texts(&record, layout)),
    };
    Some(CheckedRow { line: row.line, fields: fields? })
}

fn texts(record: &Record<'_>, layout: &Layout) -> Vec<(&'static str, String)> {
    let columns = layout.columns.iter().zip(&layout.places);
    columns.filter_map(|(column, place)| Some((*column, text(record.field(*place)?)))).collect()
}

fn text(field: &[u8]) -> String {
    let field = trim_bytes(field);
    // A character has at most 4 bytes.
    let head = String::from_utf8_lossy(&field[..field.len().min(4 * CHARS + 4)]);
    head.chars().take(CHARS).collect()
}
