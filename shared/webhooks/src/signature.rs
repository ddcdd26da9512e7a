//! Who calls, and with what: the signatures of Standard Webhooks.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde::{Deserialize, Serialize};

/// How an endpoint's deliveries are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = SignatureScheme)]
pub enum Scheme {
    /// HMAC-SHA256 with a secret that both sides have: `v1`.
    #[default]
    Hmac,
    /// Ed25519: who verifies needs the public key only: `v1a`.
    Ed25519,
}

/// Bytes of a key, of either scheme.
const KEY_BYTES: usize = 32;

/// The system has no random numbers to give.
#[derive(Debug, thiserror::Error)]
#[error("there are no random numbers to make a secret of")]
pub struct NoRandomness;

/// A new key.
pub(crate) fn generate() -> Result<Vec<u8>, NoRandomness> {
    let mut key = vec![0; KEY_BYTES];
    SystemRandom::new().fill(&mut key).map_err(|_| NoRandomness)?;
    Ok(key)
}

impl Scheme {
    /// What the receiver verifies with, as it is written: `whsec_…`, which nobody else may know, or `whpk_…`.
    pub(crate) fn verifies_with(self, key: &[u8]) -> String {
        match self {
            Self::Hmac => format!("whsec_{}", BASE64_STANDARD.encode(key)),
            Self::Ed25519 => {
                format!("whpk_{}", pair(key).map_or_else(String::new, |pair| BASE64_STANDARD.encode(pair.public_key())))
            }
        }
    }

    fn sign(self, key: &[u8], content: &[u8]) -> Option<String> {
        match self {
            Self::Hmac => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), content);
                Some(format!("v1,{}", BASE64_STANDARD.encode(tag)))
            }
            Self::Ed25519 => Some(format!("v1a,{}", BASE64_STANDARD.encode(pair(key)?.sign(content)))),
        }
    }

    /// The header `webhook-signature`: one signature a key, so that a receiver may change keys when it likes.
    pub(crate) fn header<'a>(
        self,
        keys: impl IntoIterator<Item = &'a [u8]>,
        id: &str,
        timestamp: i64,
        payload: &str,
    ) -> String {
        let content = format!("{id}.{timestamp}.{payload}");
        let signatures = keys.into_iter().filter_map(|key| self.sign(key, content.as_bytes()));
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn pair(seed: &[u8]) -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed).ok()
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// The example of the specification and of its libraries.
    #[test]
    fn the_vector_of_the_specification() {
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let header = Scheme::Hmac.header([key.as_slice()], id, 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(Scheme::Hmac.verifies_with(&key), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn both_keys_sign_while_one_is_replaced() {
        let (new, old) = (generate().unwrap(), generate().unwrap());
        let header = Scheme::Hmac.header([new.as_slice(), old.as_slice()], "msg_1", 1, "{}");
        assert_eq!(header.split(' ').filter(|part| part.starts_with("v1,")).count(), 2);
        assert_ne!(new, old);
    }

    #[test]
    fn the_public_key_verifies() {
        let seed = generate().unwrap();
        let header = Scheme::Ed25519.header([seed.as_slice()], "msg_1", 7, "{}");
        let signature = BASE64_STANDARD.decode(header.strip_prefix("v1a,").unwrap()).unwrap();
        let public = Scheme::Ed25519.verifies_with(&seed);
        let public = BASE64_STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public).verify(b"msg_1.7.{}", &signature).unwrap();
    }
}
