//! The part of a chunk's way that is pure CPU: bytes in, sorted tuples and rejects out.

use std::collections::{BTreeSet, HashMap};

use gristmill_pipelines::{Fault, LineCount, ParsedChunk, ReasonCode, Reject, Row, told};
use gristmill_queue::JobError;
use gristmill_uploads::{UploadId, read::duplicate_message};
use rayon::slice::ParallelSliceMut;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    again::again,
    chunk::Chunk,
    winners::{Differs, Loser},
};

/// A record that is not taken.
#[derive(Debug, Clone)]
pub(crate) struct RejectedRecord {
    pub(crate) line: u64,
    pub(crate) column: Option<&'static str>,
    pub(crate) code: ReasonCode,
    /// None of a duplicate: `first` says it.
    pub(crate) message: Option<String>,
    /// What is wrong with it beside that.
    pub(crate) others: Vec<Fault>,
    pub(crate) raw: Vec<u8>,
    /// A duplicate: where its key came first.
    pub(crate) first: Option<(UploadId, u64)>,
    /// The columns in which that row says something else.
    pub(crate) differs: Vec<&'static str>,
}

impl RejectedRecord {
    /// A good record whose key `first` has, which says something else in the columns `differs`.
    pub(crate) fn duplicate(
        chunk: &Chunk,
        line: u64,
        raw: Vec<u8>,
        first: (UploadId, u64),
        differs: Vec<&'static str>,
    ) -> Self {
        let (column, code) = (Some(chunk.kind.key_column()), ReasonCode::Duplicate);
        Self { line, column, code, message: None, others: Vec::new(), raw, first: Some(first), differs }
    }

    /// A good record that was to replace the row `first`, which says something else in the columns `differs` and is billed.
    pub(crate) fn billed(
        chunk: &Chunk,
        line: u64,
        raw: Vec<u8>,
        first: (UploadId, u64),
        differs: Vec<&'static str>,
    ) -> Self {
        let message = format!(
            "the row of this {} on line {} of upload {} is billed and stays as it is; it differs in {}",
            chunk.kind.key_column(),
            first.1,
            first.0,
            differs.join(", ")
        );
        Self { code: ReasonCode::Billed, message: Some(message), ..Self::duplicate(chunk, line, raw, first, differs) }
    }

    /// As a watcher of its upload sees it. Without the record: events are kept in Redis, which must stay small.
    pub(crate) fn as_json(&self, upload_id: UploadId) -> serde_json::Value {
        let duplicate = || {
            let (first, line) = self.first?;
            Some(duplicate_message(self.column?, (first != upload_id).then_some(first), line, &self.differs))
        };
        let others = self.others.iter().map(|fault| fault.message.as_str());
        let message = self.message.as_deref().map(|first| told(first, others));
        serde_json::json!({
            "line": self.line,
            "column": self.column,
            "reason": self.code.as_str(),
            "message": message.or_else(duplicate),
            "differs": (!self.differs.is_empty()).then_some(&self.differs),
        })
    }
}

impl From<Reject> for RejectedRecord {
    fn from(reject: Reject) -> Self {
        let Reject { line, column, code, message, others, raw } = reject;
        Self { line, column, code, message: Some(message), others, raw, first: None, differs: Vec::new() }
    }
}

/// A chunk, ready to be loaded.
pub(crate) struct PreparedChunk {
    /// The bytes of the chunk's object: raws are cut from it.
    object: bytes::Bytes,
    /// Distinct keys in their order.
    pub(crate) rows: Vec<Row>,
    tuples: Vec<u8>,
    pub(crate) refused: Vec<RejectedRecord>,
    /// Lines and keys in the order of the file, where that is kept.
    pub(super) in_order: Vec<(u64, u128)>,
    read: u64,
    /// Records that are blank, and lines in all.
    blank: u64,
    lines: u64,
    /// What its rows mention that is kept elsewhere.
    pub(super) mentions: BTreeSet<String>,
    /// Rows of `rows` that the table had already; they are among `refused` too.
    lost: u64,
    /// Rejected records that are counted and not kept; they are not among `refused`.
    pub(super) left_out: u64,
}

/// A row of this chunk whose key the table has from elsewhere.
pub(crate) struct KeyConflict {
    /// Its place in [`PreparedChunk::rows`].
    pub(crate) row: usize,
    /// The upload and line that have the key.
    pub(crate) first: (UploadId, u64),
    /// What the row that has the key says otherwise.
    pub(crate) differs: Option<Differs>,
}

/// The equation of a chunk: `read = accepted + rejected + duplicate`.
pub(crate) struct Counts {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) duplicate: u64,
    /// Of `duplicate`, those that say something else than the row that counts.
    pub(crate) conflicting: u64,
    /// Records that are none: all their fields are blank.
    pub(crate) blank: u64,
    /// Lines read.
    pub(crate) lines: u64,
}

/// Whether the object of a chunk is what was stored.
pub(super) fn verify(chunk: &Chunk, object: &[u8]) -> Result<(), JobError> {
    if Sha256::digest(object).as_slice() != chunk.sha256 {
        return Err(JobError::Retry(
            format!("the object of chunk {} of upload {} is not what was stored", chunk.no, chunk.upload_id).into(),
        ));
    }
    Ok(())
}

/// The one record of a part that takes down who reads it: unread, a reject.
pub(super) fn poison(chunk: &Chunk, line: u64, raw: &[u8], part: &[u8]) -> PreparedChunk {
    let poison = std::iter::once(Reject::poison(line, raw));
    let refused: Vec<RejectedRecord> = poison.chain(too_long(chunk)).map(RejectedRecord::from).collect();
    let read = refused.len() as u64;
    let mut lines = LineCount::default();
    lines.push(part);
    PreparedChunk {
        object: bytes::Bytes::new(),
        rows: Vec::new(),
        tuples: Vec::new(),
        refused,
        in_order: Vec::new(),
        read,
        blank: 0,
        lines: lines.lines() + too_long_lines(chunk),
        mentions: BTreeSet::new(),
        lost: 0,
        left_out: 0,
    }
}

fn too_long(chunk: &Chunk) -> impl Iterator<Item = Reject> {
    let limit = chunk.rules.max_record_bytes;
    chunk.oversize.iter().map(move |note| Reject::record_too_long(note.line, note.bytes, &note.head, limit))
}

fn too_long_lines(chunk: &Chunk) -> u64 {
    chunk.oversize.iter().map(|note| note.lines).sum()
}

/// Parses the records of a chunk or of a part, sorts the rows by key and takes out those whose key came earlier in it.
pub(super) fn prepare(chunk: &Chunk, object: &bytes::Bytes) -> PreparedChunk {
    #[cfg(debug_assertions)]
    die_of_test_poison(object);
    let ParsedChunk { mut rows, tuples, rejects, read, blank, lines, mentions } =
        chunk.kind.parse(object, chunk.first_line, &chunk.layout, &chunk.owner, &chunk.rules);
    let in_order = match chunk.kind.table().in_file_order {
        true => rows.iter().map(|row| (row.line, row.key)).collect(),
        false => Vec::new(),
    };
    debug_assert!(in_order.is_sorted());
    rows.par_sort_unstable_by_key(|row| (row.key, row.line));
    let mut refused: Vec<RejectedRecord> =
        rejects.into_iter().chain(too_long(chunk)).map(RejectedRecord::from).collect();
    let said = |row: &Row| chunk.kind.table().said(tuple(&tuples, row));
    rows.dedup_by(|row, first| {
        let repeated = row.key == first.key;
        if repeated {
            let first_line = (chunk.upload_id, first.line);
            let differs = chunk.kind.differs(said(row), said(first));
            refused.push(RejectedRecord::duplicate(chunk, row.line, raw(object, row), first_line, differs));
        }
        repeated
    });
    let read = read + chunk.oversize.len() as u64;
    let lines = lines + too_long_lines(chunk);
    PreparedChunk {
        object: object.clone(),
        rows,
        tuples,
        refused,
        in_order,
        read,
        blank,
        lines,
        mentions,
        lost: 0,
        left_out: 0,
    }
}

/// What a test of the search for poison needs: a text that kills.
#[cfg(debug_assertions)]
fn die_of_test_poison(object: &[u8]) {
    static POISON: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(gristmill_platform::config::test_poison);
    if let Some(text) = &*POISON
        && object.windows(text.len()).any(|here| here == text.as_bytes())
    {
        std::process::abort();
    }
}

fn raw(object: &[u8], row: &Row) -> Vec<u8> {
    let start = row.raw_start as usize;
    object[start..start + row.raw_len as usize].to_vec()
}

fn tuple<'t>(tuples: &'t [u8], row: &Row) -> &'t [u8] {
    &tuples[row.start as usize..][..row.len as usize]
}

impl PreparedChunk {
    /// The rows that were not lost, in the order of their keys. `lost` are in that order, too.
    pub(super) fn left(&self, lost: &[KeyConflict]) -> impl Iterator<Item = &Row> {
        let mut lost = lost.iter().map(|lost| lost.row).peekable();
        self.rows.iter().enumerate().filter(move |(n, _)| lost.next_if_eq(n).is_none()).map(|(_, row)| row)
    }

    /// A row's fields.
    pub(super) fn tuple(&self, row: &Row) -> &[u8] {
        tuple(&self.tuples, row)
    }

    /// A row of the chunk, to be compared with the one that has its key.
    pub(super) fn loser(&self, row: &Row) -> Loser<'_> {
        Loser { key: Uuid::from_u128(row.key), tuple: tuple(&self.tuples, row) }
    }

    /// Whether a key came twice in the chunk.
    pub(super) fn has_repeats(&self) -> bool {
        self.refused.iter().any(|refused| refused.code == ReasonCode::Duplicate)
    }

    /// Whether a record is bad by itself. A duplicate is not: it leaves an atomic file whole.
    pub(crate) fn has_bad_rows(&self) -> bool {
        self.left_out > 0 || self.refused.iter().any(|refused| refused.code != ReasonCode::Duplicate)
    }

    /// The table has the keys of some rows from elsewhere: they become duplicates, and those of this chunk that named
    /// one of them as their first name the true first, and what that says otherwise.
    pub(crate) fn lose(&mut self, chunk: &Chunk, lost: &[KeyConflict]) -> Result<(), JobError> {
        let firsts: HashMap<u64, &KeyConflict> = match self.has_repeats() {
            true => lost.iter().map(|lost| (self.rows[lost.row].line, lost)).collect(),
            false => HashMap::new(),
        };
        for refused in &mut self.refused {
            if let Some((upload_id, line)) = refused.first
                && upload_id == chunk.upload_id
                && let Some(&lost) = firsts.get(&line)
            {
                refused.first = Some(lost.first);
                // Where the two say the same, what was compared with one holds for the other.
                if let Some(winner) = &lost.differs {
                    refused.differs = winner.differs_from(chunk.kind, &again(chunk, &refused.raw, refused.line)?.tuple);
                }
            }
        }
        self.refused.extend(lost.iter().map(|lost| {
            let row = &self.rows[lost.row];
            let differs = lost.differs.as_ref().map_or_else(Vec::new, |differs| differs.columns.clone());
            RejectedRecord::duplicate(chunk, row.line, raw(&self.object, row), lost.first, differs)
        }));
        self.lost += lost.len() as u64;
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        let duplicate = self.refused.iter().filter(|refused| refused.code == ReasonCode::Duplicate).count() as u64;
        Counts {
            read: self.read,
            accepted: self.rows.len() as u64 - self.lost,
            rejected: self.refused.len() as u64 - duplicate + self.left_out,
            duplicate,
            conflicting: self.refused.iter().filter(|refused| !refused.differs.is_empty()).count() as u64,
            blank: self.blank,
            lines: self.lines,
        }
    }
}
