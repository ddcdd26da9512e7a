//! The keys of many segments as a sorted run: it answers what their filters would, and two runs make one without a look at the rows.
//!
//! Of each hash it keeps the first bits. They are cut in two: the upper ones are the number of a bucket, of which only the place of its first
//! key is kept; the lower ones stand in order, one behind the other. That is the idea of Elias and Fano ("On the number of
//! bits required to implement an associative memory", 1971), with an index that is read in one step.

use gristmill_queue::JobError;

/// Bits of a hash that are kept. A run of 100 million keys takes one key of 700,000 that it has not for one that it has.
const BITS: u32 = 46;

/// What a run keeps of a hash.
pub(crate) fn prefix(hash: u64) -> u64 {
    hash >> (64 - BITS)
}

/// Keys that a part of a run has, at about.
const PART_KEYS: u64 = 4 << 20;

/// How many parts a run of so many keys has: a power of two.
pub(crate) fn parts_of(keys: u64) -> u32 {
    u32::try_from(keys.div_ceil(PART_KEYS).next_power_of_two()).unwrap_or(1 << 31)
}

/// Which of so many parts has a prefix: by its first bits.
pub(crate) fn part_of(prefix: u64, parts: u32) -> u32 {
    (prefix >> (BITS - parts.ilog2())) as u32
}

/// The keys of a run whose prefixes begin with the same bits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunPart {
    /// Lower bits of each key that stand in `lows`.
    low_bits: u32,
    /// By bucket, how many keys are before it; at the end, how many there are.
    starts: Vec<u32>,
    /// The lower bits of each key, one behind the other, and eight bytes more.
    lows: Vec<u8>,
}

impl RunPart {
    /// Part `part` of `parts`, of the prefixes that are in it: sorted, each once.
    pub(crate) fn of(prefixes: &[u64], part: u32, parts: u32) -> Result<Self, JobError> {
        let keys = u32::try_from(prefixes.len())?;
        let bits = BITS - parts.ilog2();
        // Sixteen to 32 keys a bucket.
        let bucket_bits = keys.max(32).ilog2() - 4;
        let low_bits = bits - bucket_bits;
        let first = u64::from(part) << bits;
        let mut starts = vec![0; (1 << bucket_bits) + 1];
        let mut lows = vec![0; (prefixes.len() * low_bits as usize).div_ceil(8) + 8];
        for (place, prefix) in prefixes.iter().enumerate() {
            let within = prefix - first;
            starts[(within >> low_bits) as usize + 1] += 1;
            put(&mut lows, place * low_bits as usize, within & mask(low_bits));
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        Ok(Self { low_bits, starts, lows })
    }

    /// `false`: no segment of the run has a key with this prefix, which is one of this part's.
    pub(crate) fn may_have(&self, prefix: u64) -> bool {
        let within = prefix & mask(self.bits());
        let (bucket, low) = ((within >> self.low_bits) as usize, within & mask(self.low_bits));
        let (mut from, mut to) = (self.starts[bucket], self.starts[bucket + 1]);
        while from < to {
            let middle = from.midpoint(to);
            match self.low(middle).cmp(&low) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        false
    }

    /// Adds its prefixes that are part `part` of `parts`, of which it is a whole number, to some. `own`: which part it is itself.
    pub(crate) fn add_to(&self, prefixes: &mut Vec<u64>, own: u32, (part, parts): (u32, u32)) {
        let first = u64::from(own) << self.bits();
        let width = BITS - parts.ilog2();
        let from = (u64::from(part) << width) - first;
        let bucket = |within: u64| (within.div_ceil(1 << self.low_bits) as usize).min(self.starts.len() - 1);
        for bucket in (from >> self.low_bits) as usize..bucket(from + (1 << width)) {
            let keys = self.starts[bucket]..self.starts[bucket + 1];
            let of = keys.map(|key| first + ((bucket as u64) << self.low_bits) + self.low(key));
            prefixes.extend(of.filter(|prefix| part_of(*prefix, parts) == part));
        }
    }

    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes() + 8);
        bytes.extend_from_slice(&self.low_bits.to_le_bytes());
        bytes.extend_from_slice(&(self.starts.len() as u32).to_le_bytes());
        bytes.extend(self.starts.iter().flat_map(|start| start.to_le_bytes()));
        bytes.extend_from_slice(&self.lows);
        bytes
    }

    /// As it was kept.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (low_bits, bytes) = bytes.split_first_chunk()?;
        let (buckets, bytes) = bytes.split_first_chunk()?;
        let (low_bits, buckets) = (u32::from_le_bytes(*low_bits), u32::from_le_bytes(*buckets) as usize);
        let (starts, lows) = bytes.split_at_checked(buckets.checked_mul(4)?)?;
        let starts: Vec<u32> = starts.as_chunks().0.iter().map(|start| u32::from_le_bytes(*start)).collect();
        let keys = *starts.last()? as usize;
        let is_whole = low_bits <= BITS
            && buckets > 1
            && (buckets - 1).is_power_of_two()
            && starts.is_sorted()
            && lows.len() == (keys * low_bits as usize).div_ceil(8) + 8;
        is_whole.then(|| Self { low_bits, starts, lows: lows.to_vec() })
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> usize {
        4 * self.starts.len() + self.lows.len()
    }

    /// Bits of a prefix that are not the same in all of its keys.
    fn bits(&self) -> u32 {
        self.low_bits + (self.starts.len() - 1).ilog2()
    }

    fn low(&self, key: u32) -> u64 {
        let bit = key as usize * self.low_bits as usize;
        let word = self.lows[bit / 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (word >> (bit % 8)) & mask(self.low_bits)
    }
}

/// Sets bits that are 0 yet. At most 46 of them and seven before them fit in a word.
fn put(lows: &mut [u8], bit: usize, low: u64) {
    if let Some(bytes) = lows[bit / 8..].first_chunk_mut() {
        *bytes = (u64::from_le_bytes(*bytes) | (low << (bit % 8))).to_le_bytes();
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use super::{super::filter::hash, *};

    fn prefixes(keys: std::ops::Range<u128>) -> Vec<u64> {
        let mut prefixes: Vec<u64> = keys.map(|key| prefix(hash(7, key))).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }

    fn parts(prefixes: &[u64], parts: u32) -> Vec<RunPart> {
        let of = |part| {
            let these: Vec<u64> = prefixes.iter().copied().filter(|prefix| part_of(*prefix, parts) == part).collect();
            RunPart::from_bytes(&RunPart::of(&these, part, parts).unwrap().to_bytes()).unwrap()
        };
        (0..parts).map(of).collect()
    }

    fn has(run: &[RunPart], prefix: u64) -> bool {
        run[part_of(prefix, run.len() as u32) as usize].may_have(prefix)
    }

    #[test]
    fn a_run_that_was_kept_knows_its_keys_and_next_to_no_others() {
        for (keys, of) in [(0, 1), (1, 1), (15, 2), (20_000, 1), (20_000, 8)] {
            let run = parts(&prefixes(0..keys), of);
            assert!(prefixes(0..keys).into_iter().all(|prefix| has(&run, prefix)), "{keys} keys in {of} parts");
            let others = prefixes(1 << 40..(1 << 40) + 20_000).into_iter().filter(|prefix| has(&run, *prefix)).count();
            assert!(others < 3, "{others} of 20,000 in {keys}");
        }
    }

    #[test]
    fn runs_of_any_parts_give_their_keys_to_one_of_more() {
        let all = prefixes(0..30_000);
        for of in [1, 2, 8] {
            let run = parts(&all, of);
            for part in 0..8 {
                let mut found = Vec::new();
                let own = part * of / 8;
                run[own as usize].add_to(&mut found, own, (part, 8));
                let due: Vec<u64> = all.iter().copied().filter(|prefix| part_of(*prefix, 8) == part).collect();
                assert_eq!(found, due, "part {part} of a run of {of}");
            }
        }
    }

    #[test]
    fn the_first_and_the_last_prefix_have_their_places() {
        let ends = [0, 1, mask(BITS) - 1, mask(BITS)];
        let run = parts(&ends, 4);
        assert!(ends.into_iter().all(|prefix| has(&run, prefix)));
        assert!(!has(&run, 2) && !has(&run, mask(BITS) - 2));
    }

    #[test]
    fn bytes_that_are_no_run_are_refused() {
        let bytes = RunPart::of(&prefixes(0..1000), 0, 1).unwrap().to_bytes();
        for cut in [0, 3, 7, 8, 100, bytes.len() - 1] {
            assert_eq!(RunPart::from_bytes(&bytes[..cut]), None, "{cut} bytes");
        }
        let mut wrong = bytes;
        wrong[12] = 0xff;
        assert_eq!(RunPart::from_bytes(&wrong), None, "starts in no order");
    }

    #[test]
    fn a_run_has_as_many_parts_as_its_keys_need() {
        assert_eq!([0, 1, PART_KEYS, PART_KEYS + 1, 5 * PART_KEYS].map(parts_of), [1, 1, 1, 2, 8]);
    }
}
