//! Test files: the distribution of real ones, the same bytes for the same options on every machine and for ever.
//!
//! The numbers come from PCG (`rand_pcg`'s `Lcg128Xsl64`), whose output is specified and seeded here without the help
//! of `rand`, whose distributions may change between versions.

mod claims;
mod debts;
mod messages;
mod numbers;
mod transactions;
mod words;

use std::io;

use self::numbers::Numbers;

pub use claims::claims;
pub use debts::debts;
pub use messages::messages;
pub use transactions::transactions;

/// Rows are gathered to this size before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// What to generate. The default has good rows only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Records, without the header.
    pub rows: u64,
    /// Share of bad records, 0 to 1: each reason code in turn.
    pub bad: f64,
    /// Share of records that repeat an earlier key of the file, 0 to 1.
    pub duplicates: f64,
    /// Another seed, another file.
    pub seed: u64,
    /// Bad check digits are among the bad records. They are only rejected if
    /// [`Rules::check_government_id`](crate::Rules::check_government_id) is on.
    pub check_government_id: bool,
    /// Records one byte longer than this are among the bad records.
    pub max_record_bytes: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rows: 1000, bad: 0.0, duplicates: 0.0, seed: 0, check_government_id: false, max_record_bytes: None }
    }
}

/// What the file holds, as loading it into an empty table must count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are loaded.
    pub accepted: u64,
    /// Bad rows.
    pub rejected: u64,
    /// Rows whose key came before.
    pub duplicate: u64,
    /// Size of the file.
    pub bytes: u64,
}

impl Counts {
    /// Records of the file.
    pub fn read(&self) -> u64 {
        self.accepted + self.rejected + self.duplicate
    }

    /// Counts the next record of a kind whose keys are numbers: its number, and whether it is bad. A duplicate has an
    /// earlier record's, a bad one none of the file's.
    fn draw(&mut self, lot: u128, lots: &Lots, numbers: &mut Numbers) -> (u64, bool) {
        if lot < lots.bad {
            self.rejected += 1;
            (u64::MAX - self.rejected, true)
        } else if lot < lots.repeated && self.accepted > 0 {
            self.duplicate += 1;
            (numbers.below(self.accepted), false)
        } else {
            self.accepted += 1;
            (self.accepted - 1, false)
        }
    }
}

/// Below which lots a record is bad, or repeats an earlier key.
struct Lots {
    bad: u128,
    repeated: u128,
}

impl Lots {
    fn of(options: &Options) -> Self {
        Self { bad: threshold(options.bad), repeated: threshold(options.bad + options.duplicates) }
    }
}

/// Writes what has gathered.
fn spill(buffer: &mut Vec<u8>, out: &mut impl io::Write, counts: &mut Counts) -> io::Result<()> {
    counts.bytes += buffer.len() as u64;
    out.write_all(buffer)?;
    buffer.clear();
    Ok(())
}

/// Of 2⁶⁴ equally likely lots, how many are drawn with this probability.
fn threshold(probability: f64) -> u128 {
    (probability.clamp(0.0, 1.0) * 2_f64.powi(64)) as u128
}
