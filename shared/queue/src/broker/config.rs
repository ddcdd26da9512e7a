//! Which broker an application has, by its settings.

use std::fmt;

/// Where the broker is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerConfig {
    /// A Redis of its own.
    Redis {
        /// Where it is: `redis://:password@host:6379`.
        url: String,
    },
    /// The Postgres of the ledger, with nothing beside it.
    Postgres,
}

/// Settings that name no broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerConfigError {
    /// A broker that is not built in.
    #[error("there is no broker `{0}`: the broker is `redis` or `postgres`")]
    Unknown(String),
    /// Redis was asked for, and not said where.
    #[error("the broker is `redis`, and no URL of a Redis was given: set REDIS_URL, or take `postgres` as the broker")]
    NoUrl,
}

impl BrokerConfig {
    /// The broker of these two settings: the name of one (`redis` or `postgres`), and the URL of a Redis. Where none is
    /// named it is Redis if there is a URL, and Postgres if not. An empty setting is none.
    ///
    /// # Errors
    /// Returns an error if the name is of no broker, or if it is `redis` and there is no URL.
    pub fn from_settings(name: Option<&str>, redis_url: Option<&str>) -> Result<Self, BrokerConfigError> {
        let given = |setting: Option<&str>| setting.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let url = given(redis_url);
        match given(name).as_deref() {
            None => Ok(url.map_or(Self::Postgres, |url| Self::Redis { url })),
            Some("redis") => url.map(|url| Self::Redis { url }).ok_or(BrokerConfigError::NoUrl),
            Some("postgres") => Ok(Self::Postgres),
            Some(other) => Err(BrokerConfigError::Unknown(other.to_owned())),
        }
    }

    /// `redis` or `postgres`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Postgres => "postgres",
        }
    }
}

/// A URL may have a password in it.
impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_the_one_that_is_named_or_else_the_one_that_is_there() {
        let of = BrokerConfig::from_settings;
        let redis = || Ok(BrokerConfig::Redis { url: "redis://h".into() });
        assert_eq!(of(None, Some("redis://h")), redis());
        assert_eq!(of(Some("redis"), Some("redis://h")), redis());
        for (name, url) in [(None, None), (Some(""), Some(" ")), (Some("postgres"), Some("redis://h"))] {
            assert_eq!(of(name, url), Ok(BrokerConfig::Postgres));
        }
        assert_eq!(of(Some("redis"), None), Err(BrokerConfigError::NoUrl));
        let unknown = of(Some("kafka"), None).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no broker `kafka`: the broker is `redis` or `postgres`");
        let secret = BrokerConfig::Redis { url: "redis://:secret@h".into() };
        assert_eq!(format!("{secret:?}"), "redis");
    }
}
