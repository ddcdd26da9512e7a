use std::sync::Arc;

use clap::Args;
use gristmill_queue::{Codec, Encryption, KeyError};
use secrecy::{ExposeSecret, SecretString};

use super::default_by_clap;

/// How payloads and results of jobs are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Payloads")]
pub struct PayloadConfig {
    /// Keys that payloads and results of your own jobs are encrypted with before Postgres and Redis have them: id:base64 of 32 bytes
    /// (openssl rand -base64 32), and more behind commas; the first encrypts, all decrypt; without one, nothing is encrypted
    #[arg(long, env = "GRISTMILL_PAYLOAD_KEYS", hide_env_values = true, value_name = "KEYS")]
    pub payload_keys: Option<SecretString>,
}

default_by_clap!(PayloadConfig);

/// Keys of payloads that cannot be used. The message shows none of them.
#[derive(Debug, thiserror::Error)]
#[error("GRISTMILL_PAYLOAD_KEYS (--payload-keys) cannot be used: {0}")]
pub struct PayloadKeysError(#[source] KeyError);

impl PayloadConfig {
    /// What the queue encodes by, but for the `plain` jobs: read once, where its settings are put together.
    ///
    /// # Errors
    /// Returns what is wrong with the keys, and what to do.
    pub fn codec(&self, plain: &[&str]) -> Result<Option<Arc<dyn Codec>>, PayloadKeysError> {
        let Some(keys) = &self.payload_keys else { return Ok(None) };
        let encryption: Encryption = keys.expose_secret().parse().map_err(PayloadKeysError)?;
        Ok(Some(Arc::new(encryption.except(plain.iter().copied()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn keys_that_cannot_be_used_are_refused_and_not_shown() {
        let codec = |keys: &str| config::read::<PayloadConfig>(["--payload-keys", keys]).unwrap().codec(&[]);
        let error = codec("2026-11:c2hvcnQ=").err().unwrap().to_string();
        assert!(
            error.starts_with("GRISTMILL_PAYLOAD_KEYS (--payload-keys) cannot be used: key `2026-11` has 5 bytes"),
            "{error}"
        );
        assert!(!error.contains("c2hvcnQ="));
        let keys = "2026-11:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(codec(keys).unwrap().unwrap().keys(), ["2026-11"]);
        assert!(PayloadConfig::default().codec(&[]).unwrap().is_none());
        let shown = format!("{:?}", config::read::<PayloadConfig>(["--payload-keys", keys]).unwrap());
        assert!(!shown.contains("AAAA"), "{shown}");
    }
}
