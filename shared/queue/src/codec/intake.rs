//! What comes in from outside: looked at, and encoded.

use super::{Codec, CodecError, Content, ContentKind, encode};
use crate::{PayloadError, QueueError, payload};

/// What a payload must be to come in, and how it is kept.
#[derive(Clone, Copy)]
pub(crate) struct Intake<'a> {
    pub(crate) limit: usize,
    pub(crate) codec: Option<&'a dyn Codec>,
}

impl Intake<'_> {
    /// The payload of job `name` can be kept, as far as that can be seen without encoding it.
    pub(crate) fn check(&self, name: &str, json: &str) -> Result<(), QueueError> {
        payload::check(name, json, self.limit)
    }

    /// The payload of job `name`, which was looked at, as it is kept.
    pub(crate) fn encode(&self, name: &str, json: String) -> Result<String, QueueError> {
        if self.codec.is_none() {
            return Ok(json);
        }
        let refused = |problem| QueueError::Payload { name: name.into(), problem };
        match encode(self.codec, Content::new(name, ContentKind::Payload), json) {
            Ok(kept) if kept.len() > self.limit => {
                Err(refused(PayloadError::TooLargeEncrypted { bytes: kept.len(), limit: self.limit }))
            }
            Ok(kept) => payload::check(name, &kept, self.limit).map(|()| kept),
            Err(CodecError::Decode { .. }) => Err(refused(PayloadError::Encrypted)),
            Err(error) => Err(error.into()),
        }
    }
}
