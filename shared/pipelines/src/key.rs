//! Keys of rows whose own ids are texts.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The key of a row with an id of the client's: 122 bits of its SHA-256, as a UUID of version 8.
pub(crate) fn key_of_id(id: &[u8]) -> Uuid {
    let hash = Sha256::digest(id);
    let (bytes, _) = hash.split_first_chunk::<16>().expect("SHA-256 has 32 bytes");
    uuid::Builder::from_custom_bytes(*bytes).into_uuid()
}
