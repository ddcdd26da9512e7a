//! Ids that need nobody's leave: of a claim, from what makes it one; of its lines, from the claim's and the line.
//!
//! All begin with the time of their upload, so new ones go to the end of their indexes, and those of an upload stand
//! together. A line's id is its claim's with the last bits replaced, so the lines of a claim stand together too, and no further
//! index has to find either.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Owner;

/// Which lines of an upload make a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Those of one subscriber, provider and day.
    #[default]
    Visit,
    /// Each one.
    Line,
}

/// Bits of an id that are the line: files have fewer than 68 billion.
const LINE_BITS: u32 = 36;
const LINE: u128 = (1 << LINE_BITS) - 1;
/// Bits of an id that are a time.
const TIME: u128 = u128::MAX << 80;

/// The claim of a visit.
pub(super) fn of_visit(owner: &Owner, subscriber: &[u8], provider: &[u8], day: i32) -> Uuid {
    let hash = begun(owner).chain_update([0]).chain_update(day.to_be_bytes()).chain_update(provider);
    // A provider has no zero in it.
    derived(owner, hash.chain_update([0]).chain_update(subscriber))
}

/// The claim of a single line.
pub(super) fn of_line(owner: &Owner, line: u64) -> Uuid {
    derived(owner, begun(owner).chain_update([1]).chain_update(line.to_be_bytes()))
}

fn begun(owner: &Owner) -> Sha256 {
    Sha256::new().chain_update(owner.client_id.to_be_bytes()).chain_update(owner.upload_id)
}

/// The time of the upload and 74 bits of the hash, as a UUID of version 8. Of 3 million claims of an upload, two have the
/// same id with a chance of 2 in 10 billion; the close would refuse them.
fn derived(owner: &Owner, hash: Sha256) -> Uuid {
    let hash = hash.finalize();
    let (bytes, _) = hash.split_first_chunk::<16>().expect("SHA-256 has 32 bytes");
    let bits = owner.upload_id.as_u128() & TIME | u128::from_be_bytes(*bytes) & !TIME;
    uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid()
}

/// The id of a line of a claim.
pub fn line_id(claim: Uuid, line: u64) -> Uuid {
    Uuid::from_u128(claim.as_u128() & !LINE | u128::from(line) & LINE)
}

/// Between which ids those of a claim's lines are; another claim's may be there too.
pub fn line_ids(claim: Uuid) -> (Uuid, Uuid) {
    (Uuid::from_u128(claim.as_u128() & !LINE), Uuid::from_u128(claim.as_u128() | LINE))
}

/// Between which ids those of an upload's claims and lines are; others of the same millisecond may be there too.
pub fn ids_of_upload(upload_id: Uuid) -> (Uuid, Uuid) {
    (Uuid::from_u128(upload_id.as_u128() & TIME), Uuid::from_u128(upload_id.as_u128() | !TIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { client_id: 7, upload_id: Uuid::from_u128(0x0193_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001) };

    #[test]
    fn a_claim_is_what_makes_it_one() {
        let claim = of_visit(&OWNER, b"3730189502", b"1497775530", 6_661);
        assert_eq!(claim.get_version_num(), 8);
        assert_eq!(claim, of_visit(&OWNER, b"3730189502", b"1497775530", 6_661));
        let other = Owner { client_id: 8, ..OWNER };
        let others = [
            of_visit(&OWNER, b"3730189503", b"1497775530", 6_661),
            of_visit(&OWNER, b"3730189502", b"1497775531", 6_661),
            of_visit(&OWNER, b"3730189502", b"1497775530", 6_662),
            of_visit(&other, b"3730189502", b"1497775530", 6_661),
            of_line(&OWNER, 2),
            of_line(&OWNER, 3),
        ];
        for (n, one) in others.iter().enumerate() {
            assert!(*one != claim && !others[..n].contains(one));
            let (first, last) = ids_of_upload(OWNER.upload_id);
            assert!((first..=last).contains(one));
        }
    }

    #[test]
    fn lines_stand_with_their_claim() {
        let claim = of_visit(&OWNER, b"1", b"2", 3);
        let (first, last) = line_ids(claim);
        let (two, three) = (line_id(claim, 2), line_id(claim, 3));
        assert!(first <= two && two < three && three <= last);
        assert!(!(first..=last).contains(&line_id(of_visit(&OWNER, b"1", b"2", 4), 2)));
    }
}
