//! A file read whole and not loaded: what a load of it into an empty table would count, and why it would refuse rows.

mod part;
mod told;

use rayon::prelude::*;
use uuid::Uuid;

use crate::{
    Arrived, Chunk, Intake, IntakeError, Kind, Layout, Limits, Owner, Part as IntakePart, Profile, Rules, Said,
    SplitLimits, Within,
};

use part::Part;
pub use told::{CheckedReason, CheckedReject, CheckedRow};

/// Chunks are small: many of them are parsed at the same time, each by one thread.
const CHUNK_BYTES: usize = 1 << 20;
/// Rows up to which keys are compared.
const MOST_KEYS: usize = 16 << 20;

/// What is known of a file that was read whole.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Records: `good` and `rejected` together.
    pub read: u64,
    /// Records without a fault.
    pub good: u64,
    /// Records with one.
    pub rejected: u64,
    /// Records that are none: all their fields are blank.
    pub blank: u64,
    /// Good records whose key an earlier good one of the file has; `None`: there are too many to compare.
    pub duplicate_in_file: Option<u64>,
    /// The rejected records by their first fault, most first.
    pub reasons: Vec<CheckedReason>,
    /// The first rejected records.
    pub rejects: Vec<CheckedReject>,
    /// The first good records.
    pub sample: Vec<CheckedRow>,
    /// Lines of its text.
    pub lines: u64,
    /// Its size.
    pub bytes: u64,
    /// How it is written.
    pub dialect: crate::Dialect,
}

impl Checked {
    /// Whether a load into an empty table would take every record.
    pub fn is_good(&self) -> bool {
        self.rejected == 0 && self.duplicate_in_file == Some(0)
    }
}

/// Reads a file while it arrives. Parses on the current rayon pool, a limited number of chunks at a time.
pub struct Check {
    intake: Intake,
    bytes: u64,
    rows: Rows,
}

/// The rows of the file, as far as they have come.
struct Rows {
    kind: Kind,
    limits: Limits,
    rules: Rules,
    header: Vec<u8>,
    layout: Option<Layout>,
    waiting: Vec<Chunk>,
    found: Part,
}

impl Check {
    /// At the start of a file of this kind, of which this was said. Records have the length that `limits` allow.
    pub fn new(kind: Kind, said: Said, limits: Limits, rules: Rules) -> Self {
        let split = SplitLimits { chunk_bytes: CHUNK_BYTES, max_record_bytes: limits.max_record_bytes };
        let rows = Rows {
            kind,
            limits,
            rules: Rules { max_record_bytes: limits.max_record_bytes, ..rules },
            header: Vec::new(),
            layout: None,
            waiting: Vec::new(),
            found: Part { keys: Some(Vec::new()), ..Part::default() },
        };
        Self { intake: Intake::new(kind, said, split, limits), bytes: 0, rows }
    }

    /// The same, where the header may choose one of these profiles.
    #[must_use]
    pub fn knowing(self, profiles: Vec<Profile>) -> Self {
        Self { intake: self.intake.knowing(profiles), ..self }
    }

    /// The same of a text that comes from within a file.
    #[must_use]
    pub fn within(self, within: Within) -> Self {
        Self { intake: self.intake.within(within), ..self }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// As those of [`Intake::push`]. Nothing may be pushed behind one.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        // As much as is parsed at a time, so that no more waits, however much is pushed.
        for bytes in bytes.chunks(CHUNK_BYTES) {
            self.bytes += bytes.len() as u64;
            let mut parts = Vec::new();
            self.intake.push(bytes, |part| parts.push(part))?;
            self.rows.take(parts)?;
        }
        Ok(())
    }

    /// The file is over.
    ///
    /// # Errors
    /// As those of [`push`](Self::push).
    pub fn finish(self) -> Result<Checked, IntakeError> {
        let Self { intake, bytes, mut rows } = self;
        let mut parts = Vec::new();
        let Arrived { dialect, lines, .. } = intake.finish(|part| parts.push(part))?;
        rows.take(parts)?;
        rows.parse();
        let Part { read, rejected, blank, keys, reasons, rejects, sample } = rows.found;
        let duplicate_in_file = keys.map(repeated);
        let reasons = told::by_rows(reasons);
        let good = read - rejected;
        Ok(Checked { read, good, rejected, blank, duplicate_in_file, reasons, rejects, sample, lines, bytes, dialect })
    }
}

impl Rows {
    fn take(&mut self, parts: Vec<IntakePart>) -> Result<(), IntakeError> {
        for part in parts {
            match part {
                IntakePart::Header { raw, dialect, .. } => {
                    self.layout = Some(self.kind.read_header_as(&raw, &dialect.reading(), &self.limits)?);
                    self.header = raw;
                }
                IntakePart::Values(dialect) => {
                    self.layout = Some(self.kind.read_header_as(&self.header, &dialect.reading(), &self.limits)?);
                }
                IntakePart::Chunk(chunk) => {
                    self.waiting.push(chunk);
                    if self.waiting.len() >= 2 * rayon::current_num_threads() {
                        self.parse();
                    }
                }
            }
        }
        Ok(())
    }

    /// Parses what waits.
    fn parse(&mut self) {
        let Some(layout) = &self.layout else { return };
        let (kind, rules) = (self.kind, &self.rules);
        let owner = Owner { client_id: 0, upload_id: Uuid::nil() };
        let chunks = std::mem::take(&mut self.waiting);
        let parts: Vec<Part> =
            chunks.into_par_iter().map(|chunk| Part::of(kind, &chunk, layout, &owner, rules)).collect();
        parts.into_iter().for_each(|part| self.found.append(part));
    }
}

/// How many of the keys an earlier one equals.
fn repeated(mut keys: Vec<u64>) -> u64 {
    keys.par_sort_unstable();
    keys.par_windows(2).filter(|two| two[0] == two[1]).count() as u64
}

#[cfg(test)]
mod tests;
