//! Payloads and results as they are kept: as they are, or encoded by a [`Codec`].
//!
//! What is encoded stands in the ledger and in the broker as `{"$encrypted": {"key": …, "data": …}}`, so that whoever meets it
//! sees by which key it was encoded, and nothing else. What is plain (written by SQL, or before there was a codec) is read as such.

#[cfg(feature = "encryption")]
mod encryption;
mod form;
mod intake;

#[cfg(feature = "encryption")]
pub use encryption::{Encryption, KeyError};
pub(crate) use form::key_of;
pub use form::{Encoded, encryption_key};
pub(crate) use intake::Intake;

use std::{borrow::Cow, fmt};

use crate::Source;

/// Encodes what jobs are given and what they come to, before the ledger and the broker have it. [`Encryption`](crate::Encryption)
/// is one; set yours by [`QueueConfig::codec`](crate::QueueConfig#structfield.codec).
///
/// Every process that runs, or reads, what another one has encoded needs a codec with its key. A worker without it leaves the job to
/// one that has it.
pub trait Codec: Send + Sync + 'static {
    /// Encodes this JSON; `None` leaves it as it is.
    ///
    /// # Errors
    /// Returns why it cannot be encoded: then it is not enqueued, or not recorded.
    fn encode(&self, content: Content<'_>, json: &str) -> Result<Option<Encoded<'_>>, Source>;

    /// The JSON of what was encoded, with one of [`Codec::keys`].
    ///
    /// # Errors
    /// Returns why it cannot be decoded: then its job is parked, and no attempt is counted.
    fn decode(&self, content: Content<'_>, encoded: &Encoded<'_>) -> Result<String, Source>;

    /// The ids of the keys that it decodes with. They do not change.
    fn keys(&self) -> Vec<String>;

    /// Whether it decodes with this key: asked for each payload that is encoded.
    fn has_key(&self, key: &str) -> bool {
        self.keys().iter().any(|known| known == key)
    }
}

/// What is to be encoded or decoded. What is encoded as one content is to be refused as another, so that nobody can give a job the
/// payload of another one, or its result for a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content<'a> {
    /// The name of the job, as it was enqueued by.
    pub job: &'a str,
    /// What of it.
    pub kind: ContentKind,
}

/// What of a job is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ContentKind {
    /// What it is given.
    Payload,
    /// What it came to.
    Result,
    /// What a step of it came to.
    Step,
    /// How far it is.
    Cursor,
    /// What it is sent.
    Signal,
}

impl fmt::Display for ContentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.into())
    }
}

impl<'a> Content<'a> {
    /// Of the job of this name.
    #[must_use]
    pub fn new(job: &'a str, kind: ContentKind) -> Self {
        Self { job, kind }
    }
}

/// Why something is not encoded or decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Another process has the key.
    #[error(
        "the {kind} is encrypted with key `{key}`, which this process does not have: give it the key (GRISTMILL_PAYLOAD_KEYS)"
    )]
    MissingKey {
        /// What cannot be read.
        kind: ContentKind,
        /// The id of the key.
        key: String,
    },
    /// The key is here, and does not help.
    #[error("the {kind} is encrypted with key `{key}` and cannot be decrypted: {source}")]
    Decode {
        /// What cannot be read.
        kind: ContentKind,
        /// The id of the key.
        key: String,
        /// Why.
        source: Source,
    },
    /// The codec does not take it.
    #[error("the {kind} cannot be encrypted")]
    Encode {
        /// What cannot be written.
        kind: ContentKind,
        /// Why.
        source: Source,
    },
}

impl CodecError {
    /// Another process may read it.
    pub(crate) fn is_missing_key(&self) -> bool {
        matches!(self, Self::MissingKey { .. })
    }
}

/// What this JSON says, decoded if it is encoded.
pub(crate) fn decode<'a>(
    codec: Option<&dyn Codec>,
    content: Content<'_>,
    json: &'a str,
) -> Result<Cow<'a, str>, CodecError> {
    let Some(encoded) = Encoded::of(json) else { return Ok(Cow::Borrowed(json)) };
    let (kind, key) = (content.kind, encoded.key.clone().into_owned());
    match codec {
        Some(codec) if codec.has_key(&key) => {
            let decoded = codec.decode(content, &encoded);
            decoded.map(Cow::Owned).map_err(|source| CodecError::Decode { kind, key, source })
        }
        _ => Err(CodecError::MissingKey { kind, key }),
    }
}

/// Whether this can be decoded, as far as it is a matter of keys.
pub(crate) fn readable(codec: Option<&dyn Codec>, kind: ContentKind, json: &str) -> Result<(), CodecError> {
    match key_of(json) {
        Some(key) if !codec.is_some_and(|codec| codec.has_key(&key)) => Err(CodecError::MissingKey { kind, key }),
        _ => Ok(()),
    }
}

/// Encodes JSON that is to be kept. What is encoded already, by a key of another process or by one of here, stays as it is.
pub(crate) fn encode(codec: Option<&dyn Codec>, content: Content<'_>, json: String) -> Result<String, CodecError> {
    let Some(codec) = codec else { return Ok(json) };
    if Encoded::of(&json).is_some() {
        return match decode(Some(codec), content, &json) {
            Err(error @ CodecError::Decode { .. }) => Err(error),
            _ => Ok(json),
        };
    }
    match codec.encode(content, &json) {
        Ok(Some(encoded)) => Ok(encoded.to_json()),
        Ok(None) => Ok(json),
        Err(source) => Err(CodecError::Encode { kind: content.kind, source }),
    }
}

/// The ids of the keys of this codec, for the registry of workers.
pub(crate) fn keys(codec: Option<&dyn Codec>) -> Vec<String> {
    codec.map(Codec::keys).unwrap_or_default()
}
