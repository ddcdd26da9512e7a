//! What a message's fields must satisfy beyond their form.

/// Characters of a message's id, or of a report's.
pub(crate) const MAX_ID: usize = 128;
