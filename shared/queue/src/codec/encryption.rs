//! Encryption with keys that Postgres and Redis do not have.

use std::{collections::BTreeSet, fmt, str::FromStr};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use super::{Codec, Content, Encoded};
use crate::Source;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// The longest id, in characters.
const MAX_ID: usize = 64;

/// A [`Codec`] that encrypts: XChaCha20-Poly1305 with a random nonce for each value, and a ring of keys. The first key encrypts, and
/// all of them decrypt, so that keys can be changed while jobs wait.
///
/// The name of the job and what is encrypted of it (payload, result, step) are authenticated: moved to another job name, it does not
/// decrypt. What is not hidden: names, tags, keys, queues, errors, logs, and how long a payload is.
///
/// ```
/// # use std::sync::Arc;
/// use gristmill_queue::{Encryption, KeyError, QueueConfig};
///
/// fn config(keys: &str) -> Result<QueueConfig, KeyError> {
///     // 2026-11:3q2+7w…=,2026-05:AAECAw…=
///     let encryption: Encryption = keys.parse()?;
///     let codec = encryption.only(["customer.import", "customer.mail"]);
///     Ok(QueueConfig { codec: Some(Arc::new(codec)), ..QueueConfig::postgres() })
/// }
/// ```
pub struct Encryption {
    /// The first one encrypts.
    ring: Vec<Key>,
    /// None: all jobs.
    only: Option<BTreeSet<String>>,
    except: BTreeSet<String>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// Why keys cannot be used. It names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is none.
    #[error("there is no key: write `id:` and 32 bytes in base64 (`openssl rand -base64 32` makes them)")]
    Empty,
    /// One is not written as it should be.
    #[error("key {0} is not written as `id:base64`: such as `2026-11:` and what `openssl rand -base64 32` prints")]
    Form(usize),
    /// Its id is none.
    #[error("the id of key {0} is none: it takes 1 to {MAX_ID} letters, digits, `.`, `_` and `-`")]
    Id(usize),
    /// It is not base64.
    #[error("key `{0}` is not base64: take what `openssl rand -base64 32` prints")]
    Base64(String),
    /// It is too short, or too long.
    #[error("key `{id}` has {bytes} bytes, and {KEY_BYTES} are needed: take what `openssl rand -base64 32` prints")]
    Length {
        /// The key's id.
        id: String,
        /// So many it has.
        bytes: usize,
    },
    /// Two keys have one id.
    #[error("two keys have the id `{0}`: give each one of its own, which it keeps as long as it is used")]
    Twice(String),
}

impl Encryption {
    /// With this key.
    ///
    /// # Errors
    /// Returns [`KeyError::Id`] for an id that is none.
    pub fn new(id: impl Into<String>, key: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        Self::without_key().with(id.into(), key)
    }

    /// With this key, too, to decrypt what was encrypted with it.
    ///
    /// # Errors
    /// Returns [`KeyError::Id`] for an id that is none, and [`KeyError::Twice`] for one that is there.
    pub fn and(self, id: impl Into<String>, key: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        self.with(id.into(), key)
    }

    fn without_key() -> Self {
        Self { ring: Vec::new(), only: None, except: BTreeSet::new() }
    }

    fn with(mut self, id: String, key: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        if !is_id(&id) {
            return Err(KeyError::Id(self.ring.len() + 1));
        }
        if self.ring.iter().any(|known| known.id == id) {
            return Err(KeyError::Twice(id));
        }
        self.ring.push(Key { id, cipher: XChaCha20Poly1305::new(key.into()) });
        Ok(self)
    }

    /// Encrypts jobs of these names only. What is encrypted of others is decrypted as ever.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, jobs: impl IntoIterator<Item = S>) -> Self {
        self.only = Some(jobs.into_iter().map(Into::into).collect());
        self
    }

    /// Encrypts no jobs of these names: those whose payloads SQL looks into, say. What is encrypted of them is decrypted as ever.
    #[must_use]
    pub fn except<S: Into<String>>(mut self, jobs: impl IntoIterator<Item = S>) -> Self {
        self.except.extend(jobs.into_iter().map(Into::into));
        self
    }

    fn covers(&self, job: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(job)) && !self.except.contains(job)
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// `id:base64`, and more of these behind commas.
impl FromStr for Encryption {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut ring = Self::without_key();
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        for (n, key) in keys.enumerate() {
            let (id, key) = key.split_once(':').ok_or(KeyError::Form(n + 1))?;
            let (id, key) = (id.trim(), key.trim());
            if !is_id(id) {
                return Err(KeyError::Id(n + 1));
            }
            let bytes = bytes(key).ok_or_else(|| KeyError::Base64(id.into()))?;
            let key = <&[u8; KEY_BYTES]>::try_from(&*bytes);
            let key = key.map_err(|_| KeyError::Length { id: id.into(), bytes: bytes.len() })?;
            ring = ring.with(id.into(), key)?;
        }
        if ring.ring.is_empty() { Err(KeyError::Empty) } else { Ok(ring) }
    }
}

/// Of either alphabet, with its padding or without.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

impl Codec for Encryption {
    fn encode(&self, content: Content<'_>, json: &str) -> Result<Option<Encoded<'_>>, Source> {
        let Some(key) = self.ring.first().filter(|_| self.covers(content.job)) else { return Ok(None) };
        // Of a generator that is seeded by the system; of 192 bits no two are ever the same.
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: json.as_bytes(), aad: &authenticated(content) };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| "it is too long to be encrypted")?;
        Ok(Some(Encoded::new(key.id.as_str(), STANDARD.encode([&nonce[..], &sealed].concat()))))
    }

    fn decode(&self, content: Content<'_>, encoded: &Encoded<'_>) -> Result<String, Source> {
        let key = self.ring.iter().find(|key| key.id == encoded.key).ok_or("the key is not there")?;
        let data = STANDARD.decode(&*encoded.data).map_err(|_| "its data is not base64: it was changed")?;
        let (nonce, sealed) = data.split_first_chunk::<NONCE_BYTES>().ok_or("its data is too short: it was changed")?;
        let payload = Payload { msg: sealed, aad: &authenticated(content) };
        let opened = key.cipher.decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| "it was changed, is another job's, or another key had this id")?;
        Ok(String::from_utf8(opened).map_err(|_| "it is no text")?)
    }

    fn keys(&self) -> Vec<String> {
        self.ring.iter().map(|key| key.id.clone()).collect()
    }

    fn has_key(&self, key: &str) -> bool {
        self.ring.iter().any(|known| known.id == key)
    }
}

/// What is not encrypted, and cannot be another.
fn authenticated(content: Content<'_>) -> Vec<u8> {
    format!("gristmill 1 {} {}", content.kind, content.job).into_bytes()
}

/// The ids of its keys, and no key.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { only, except, .. } = self;
        let mut shown = f.debug_struct("Encryption");
        shown.field("keys", &self.keys()).field("only", only).field("except", except).finish()
    }
}

#[cfg(test)]
mod tests;
