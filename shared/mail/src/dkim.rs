//! DKIM signatures (RFC 6376, RFC 8463), relaxed/relaxed, by the crypto that TLS uses anyway: lettre's own would bring RSA
//! and Ed25519 a second time.

mod canonical;

use std::{borrow::Cow, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

use canonical::header_hash_input;

/// Headers that are signed, where a mail has them. `from` twice: a second one cannot be added.
const SIGNED: [&str; 10] = [
    "from",
    "from",
    "to",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "auto-submitted",
];

/// A domain's private key and where its public one is.
pub(crate) struct Dkim {
    domain: String,
    selector: String,
    key: Key,
    random: SystemRandom,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    /// The file is not to be read, or has no private key in PEM.
    #[error("there is no private key in PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// It has a key of another kind, or an RSA key of fewer than 2,048 bits.
    #[error("the key is neither RSA (2048 bits or more) nor Ed25519 (PKCS#8)")]
    Kind,
}

impl Dkim {
    pub(crate) fn open(domain: &str, selector: &str, file: &Path) -> Result<Self, DkimError> {
        let key = PrivateKeyDer::from_pem_file(file).map_err(DkimError::Pem)?;
        Self::new(domain, selector, &key)
    }

    fn new(domain: &str, selector: &str, key: &PrivateKeyDer<'_>) -> Result<Self, DkimError> {
        let key = match key {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok().map(Box::new).map(Key::Rsa),
            PrivateKeyDer::Pkcs8(key) => {
                let der = key.secret_pkcs8_der();
                let rsa = || RsaKeyPair::from_pkcs8(der).ok().map(Box::new).map(Key::Rsa);
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Key::Ed25519).or_else(rsa)
            }
            _ => None,
        };
        let key = key.ok_or(DkimError::Kind)?;
        Ok(Self { domain: domain.to_owned(), selector: selector.to_owned(), key, random: SystemRandom::new() })
    }

    /// The mail with its signature before it.
    pub(crate) fn sign(&self, raw: &[u8]) -> Vec<u8> {
        let now = jiff::Timestamp::now().as_second();
        let mut signed = self.header(raw, now).into_bytes();
        signed.extend_from_slice(raw);
        signed
    }

    fn header(&self, raw: &[u8], now: i64) -> String {
        let (head, body) = canonical::split(raw);
        let body_hash = STANDARD.encode(digest::digest(&digest::SHA256, &canonical::body(body)));
        let there = |name: &&str| canonical::has(head, name);
        let names: Vec<&str> = SIGNED.into_iter().filter(there).collect();
        let algorithm = match self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let unsigned = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={};\r\n s={}; t={now}; h={};\r\n bh={body_hash};\r\n b=",
            self.domain,
            self.selector,
            names.join(":"),
        );
        let signature = self.signature(&header_hash_input(head, &names, &unsigned));
        let lines: Vec<Cow<'_, str>> =
            signature.as_bytes().chunks(72).map(|line| String::from_utf8_lossy(line)).collect();
        format!("{unsigned}{}\r\n", lines.join("\r\n "))
    }

    fn signature(&self, input: &[u8]) -> String {
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &self.random, input, &mut signature)
                    .expect("the signature is as long as the modulus, and randomness only blinds");
                STANDARD.encode(signature)
            }
            // RFC 8463: what is signed is the hash.
            Key::Ed25519(key) => STANDARD.encode(key.sign(digest::digest(&digest::SHA256, input).as_ref())),
        }
    }
}

#[cfg(test)]
mod tests;
