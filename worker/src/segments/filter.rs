//! Which segments may have a key: a filter of each, small enough to be kept in memory.
//!
//! A binary fuse filter has 18 bits a key and takes one key of 65,000 that it has not for one that it has (Graf and Lemire,
//! "Binary Fuse Filters", 2022). So next to nothing is looked up in the segment itself but what is there.

use gristmill_queue::JobError;
use xorf::{BinaryFuse16, Descriptor, Filter as _};

/// What a key of a client is in filters.
pub(crate) fn hash(client_id: i32, key: u128) -> u64 {
    // The finalizer of splitmix64 (Steele, Lea and Flood, 2014) over both halves: keys may be random or in the order of time.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let client = mix(u64::from(client_id.cast_unsigned()).wrapping_add(0x9e37_79b9_7f4a_7c15));
    mix(mix((key >> 64) as u64 ^ client).wrapping_add(key as u64))
}

/// Keys that one filter is made of at most: making it takes some 40 bytes a key for a moment.
const PART_KEYS: i64 = 2 << 20;

/// In how many parts the filter of so many keys is made.
pub(crate) fn parts_of(keys: i64) -> u32 {
    u32::try_from(keys / PART_KEYS + 1).unwrap_or(u32::MAX)
}

/// Which of so many parts has a hash: by its first bits.
pub(crate) fn part_of(hash: u64, parts: u32) -> u32 {
    (((hash >> 32) * u64::from(parts)) >> 32) as u32
}

/// The keys of a segment, as good as.
pub(crate) struct KeyFilter {
    /// At least one.
    parts: Vec<BinaryFuse16>,
}

impl KeyFilter {
    /// Of these hashes, sorted and each once.
    pub(crate) fn of(hashes: &[u64]) -> Result<Self, JobError> {
        let parts = parts_of(i64::try_from(hashes.len())?);
        let mut rest = hashes;
        let mut filters = Vec::new();
        for part in 0..parts {
            let (these, behind) = rest.split_at(rest.partition_point(|hash| part_of(*hash, parts) == part));
            filters.push(Self::part(these)?);
            rest = behind;
        }
        Ok(Self::of_parts(filters))
    }

    /// One part, of its hashes, sorted and each once.
    pub(crate) fn part(hashes: &[u64]) -> Result<BinaryFuse16, JobError> {
        BinaryFuse16::try_from(hashes).map_err(|why| JobError::Retry(format!("a filter of keys: {why}").into()))
    }

    /// Of all its parts.
    pub(crate) fn of_parts(parts: Vec<BinaryFuse16>) -> Self {
        Self { parts }
    }

    /// `false`: the segment has no such key.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        self.parts[part_of(hash, self.parts.len() as u32) as usize].contains(&hash)
    }

    /// As it is kept: each part's length and descriptor, then its fingerprints.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes() + 24 * self.parts.len());
        for BinaryFuse16 { descriptor, fingerprints } in &self.parts {
            bytes.extend_from_slice(&(fingerprints.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&descriptor.seed.to_le_bytes());
            bytes.extend_from_slice(&descriptor.segment_length.to_le_bytes());
            bytes.extend_from_slice(&descriptor.segment_length_mask.to_le_bytes());
            bytes.extend_from_slice(&descriptor.segment_count_length.to_le_bytes());
            bytes.extend(fingerprints.iter().flat_map(|print| print.to_le_bytes()));
        }
        bytes
    }

    /// As it was kept.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut parts = Vec::new();
        while parts.is_empty() || !bytes.is_empty() {
            let prints = u32::from_le_bytes(take(&mut bytes)?);
            let descriptor = Descriptor {
                seed: u64::from_le_bytes(take(&mut bytes)?),
                segment_length: u32::from_le_bytes(take(&mut bytes)?),
                segment_length_mask: u32::from_le_bytes(take(&mut bytes)?),
                segment_count_length: u32::from_le_bytes(take(&mut bytes)?),
            };
            // As long as the places that a key can have in it.
            let places = u64::from(descriptor.segment_count_length) + 2 * u64::from(descriptor.segment_length);
            if u64::from(prints) != places || descriptor.segment_length_mask >= descriptor.segment_length {
                return None;
            }
            let (these, rest) = bytes.split_at_checked(2 * prints as usize)?;
            bytes = rest;
            let fingerprints = these.as_chunks().0.iter().map(|print| u16::from_le_bytes(*print)).collect();
            parts.push(BinaryFuse16 { descriptor, fingerprints });
        }
        Some(Self { parts })
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| 2 * part.fingerprints.len()).sum()
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(keys: impl Iterator<Item = u128>) -> KeyFilter {
        let mut hashes: Vec<u64> = keys.map(|key| hash(7, key)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        KeyFilter::of(&hashes).unwrap()
    }

    /// Those in the order of time are the hardest.
    fn keys(from: u128) -> impl Iterator<Item = u128> {
        (from..from + 20_000).map(|n| (0x0193_0000_0000_u128 << 80) | (0x7000 << 64) | n)
    }

    #[test]
    fn a_filter_that_was_kept_knows_its_keys_and_next_to_no_others() {
        let kept = KeyFilter::from_bytes(&filter(keys(0)).to_bytes()).unwrap();
        assert!(keys(0).all(|key| kept.may_have(hash(7, key))));
        let others = keys(1 << 32).filter(|key| kept.may_have(hash(7, *key))).count();
        let clients = keys(0).filter(|key| kept.may_have(hash(8, *key))).count();
        assert!(others < 10 && clients < 10, "{others} and {clients} of 20,000");
    }

    #[test]
    fn bytes_that_are_no_filter_are_refused() {
        let bytes = filter(keys(0)).to_bytes();
        assert!(KeyFilter::from_bytes(&bytes[..19]).is_none());
        assert!(KeyFilter::from_bytes(&bytes[..bytes.len() - 1]).is_none());
    }

    #[test]
    fn parts_know_what_the_whole_does() {
        let mut hashes: Vec<u64> = keys(0).map(|key| hash(7, key)).collect();
        hashes.sort_unstable();
        let of = |part: u32| hashes.iter().copied().filter(|hash| part_of(*hash, 3) == part).collect::<Vec<_>>();
        let filters = (0..3).map(|part| KeyFilter::part(&of(part)).unwrap()).collect();
        let kept = KeyFilter::from_bytes(&KeyFilter::of_parts(filters).to_bytes()).unwrap();
        assert!(keys(0).all(|key| kept.may_have(hash(7, key))));
        assert!(keys(1 << 32).filter(|key| kept.may_have(hash(7, *key))).count() < 10);
        assert_eq!((part_of(0, 3), part_of(u64::MAX, 3)), (0, 2));
        assert_eq!((parts_of(0), parts_of(PART_KEYS), parts_of(10_000_000)), (1, 2, 5));
    }

    #[test]
    fn an_empty_segment_has_a_filter() {
        let empty = filter(std::iter::empty());
        let kept = KeyFilter::from_bytes(&empty.to_bytes()).unwrap();
        assert!(keys(0).filter(|key| kept.may_have(hash(7, *key))).count() < 10);
    }
}
