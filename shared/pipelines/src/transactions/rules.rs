//! What a transaction's fields must satisfy beyond their form, and what its key is.

use uuid::Uuid;

/// Characters of a descriptor.
pub(crate) const MAX_DESCRIPTION: usize = 500;
/// Characters of a client's id.
pub(crate) const MAX_ID: usize = 128;

/// The key of a line of an upload, in the form of a UUID of version 7, so never one of version 8: the time of the upload's
/// id, 34 of its random bits, and the line. So rows without ids go in in the order of their keys.
pub(crate) fn key_of_line(upload_id: Uuid, line: u64) -> Uuid {
    const TIME_VERSION_AND_12: u128 = u128::MAX << 64;
    let upload = upload_id.as_u128();
    let random = (upload & ((1 << 62) - 1)) >> 40;
    let variant = 0b10 << 62;
    let version = 0x7 << 76;
    let head = upload & TIME_VERSION_AND_12 & !(0xf << 76) | version;
    Uuid::from_u128(head | variant | random << 40 | u128::from(line & ((1 << 40) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::key_of_id;

    #[test]
    fn keys_of_lines_are_in_their_order_and_never_those_of_ids() {
        let upload = Uuid::from_u128(0x0193_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001);
        let (first, second) = (key_of_line(upload, 2), key_of_line(upload, 3));
        assert!(first < second && first.get_version_num() == 7);
        assert_ne!(first, key_of_line(Uuid::from_u128(upload.as_u128() ^ 1 << 50), 2));
        assert_eq!(key_of_id(b"a").get_version_num(), 8);
        assert_ne!(key_of_id(b"a"), key_of_id(b"b"));
    }
}
