//! What is wrong, or could be better, with the engines: and what to do about it.

mod database;
mod redis;
mod store;

use serde::Serialize;

use crate::config::{DatabaseConfig, RedisConfig, StoreConfig};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but slower or less safely than it could.
    Warn,
    /// It does not work, or may lose data.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// A stable name, such as `postgres.fsync`.
    pub check: &'static str,
    /// What was found.
    pub what: String,
    /// What to do; empty when it is as it should be.
    pub fix: String,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, what: what.into(), fix: String::new() }
    }

    fn warn(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warn, check, what: what.into(), fix: fix.into() }
    }

    fn fail(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Fail, check, what: what.into(), fix: fix.into() }
    }
}

/// Looks at everything the configuration names. Never fails: what cannot be reached is a finding.
pub async fn examine(database: &DatabaseConfig, redis: &RedisConfig, store: &StoreConfig) -> Vec<Finding> {
    let (mut findings, of_redis, of_store) =
        tokio::join!(database::examine(database), redis::examine(redis), store::examine(store));
    findings.extend(of_redis);
    findings.extend(of_store);
    findings
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // some errors repeat their cause in their own words
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
