//! Records that were good when their chunk was loaded, read once more.

use gristmill_pipelines::{ParsedChunk, Row};
use gristmill_queue::JobError;
use uuid::Uuid;

use super::{chunk::Chunk, winners::Loser};

/// One good record.
pub(crate) struct Record {
    pub(crate) key: u128,
    pub(crate) tuple: Vec<u8>,
}

impl Record {
    /// That of a parsed row.
    pub(crate) fn of(row: &Row, tuples: &[u8]) -> Self {
        Self { key: row.key, tuple: tuples[row.start as usize..][..row.len as usize].to_vec() }
    }

    /// To be compared with the row that has its key.
    pub(crate) fn loser(&self) -> Loser<'_> {
        Loser { key: Uuid::from_u128(self.key), tuple: &self.tuple }
    }
}

/// Parses the raw text of a record that was good when its chunk was loaded.
pub(crate) fn again(chunk: &Chunk, raw: &[u8], line: u64) -> Result<Record, JobError> {
    let ParsedChunk { rows, tuples, .. } = chunk.kind.parse(raw, line, &chunk.layout, &chunk.owner, &chunk.rules);
    let row =
        rows.first().ok_or_else(|| JobError::Retry(format!("line {line} was good and is not any more").into()))?;
    Ok(Record::of(row, &tuples))
}
