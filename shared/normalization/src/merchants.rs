//! What is remembered: compiled rules in the process, answers of clients' own heuristics in Redis.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gristmill_core::ClientId;
use gristmill_pipelines::merchants::{Rules, clean};
use redis::{
    AsyncCommands, Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::{Answer, rules};

/// How long an answer is remembered.
const REMEMBERED: u64 = 24 * 3_600;
/// An answer that is not there at once is found anew.
const REDIS_TIMEOUT: Duration = Duration::from_millis(500);
/// Clients whose compiled rules are kept.
const CLIENTS: usize = 1_000;

/// A client's rules as of their version, by client.
type RulesByClient = HashMap<ClientId, (i64, Arc<Rules>)>;

/// Rules and answers that were needed before. Cheap to clone.
#[derive(Clone)]
pub struct Merchants {
    connection: ConnectionManager,
    namespace: String,
    compiled: Arc<Mutex<RulesByClient>>,
}

/// What an answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct CacheKey<'a> {
    /// Whose.
    pub client_id: ClientId,
    /// The version of its rules.
    pub version: i64,
    /// Its own heuristic.
    pub external: &'a str,
    /// The descriptor.
    pub description: &'a str,
}

impl Merchants {
    /// Needs no Redis yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn connect(redis_url: &str, namespace: &str) -> Result<Self, RedisError> {
        metrics::describe_counter!(
            "gristmill_normalization_cache_total",
            "Look-ups of remembered merchants, by hit or miss"
        );
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(0);
        let connection = Client::open(redis_url)?.get_connection_manager_lazy(config)?;
        Ok(Self { connection, namespace: namespace.to_owned(), compiled: Arc::default() })
    }

    /// A client's rules as they are now, compiled once a version.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn rules(&self, pool: &PgPool, client_id: ClientId) -> Result<Arc<Rules>, sqlx::Error> {
        self.rules_of(pool, client_id, rules::version(pool, client_id).await?).await
    }

    /// The same, when it is known which version that is.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn rules_of(&self, pool: &PgPool, client_id: ClientId, version: i64) -> Result<Arc<Rules>, sqlx::Error> {
        if version == 0 {
            return Ok(Arc::default());
        }
        let known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(&client_id).cloned();
        if let Some((_, rules)) = known.filter(|known| known.0 == version) {
            return Ok(rules);
        }
        let kept = rules::list(pool, client_id).await?;
        let compiled = kept.iter().filter_map(|rule| {
            // Rules are checked when they are made; one that an older release took must not stop the others.
            rule.compile().inspect_err(|error| tracing::error!(rule_id = %rule.id, %error, "a rule is left out")).ok()
        });
        let found = Arc::new(Rules::new(compiled.collect()));
        let mut known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CLIENTS {
            known.clear();
        }
        known.insert(client_id, (version, Arc::clone(&found)));
        Ok(found)
    }

    /// The answer to the same question, if it was asked lately.
    pub async fn remembered(&self, asked: &CacheKey<'_>) -> Option<Answer> {
        let found: Result<Option<Vec<u8>>, RedisError> = self.connection.clone().get(self.key(asked)).await;
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "remembered answers cannot be reached");
            None
        });
        let answer = found.and_then(|text| serde_json::from_slice(&text).ok());
        let outcome = if answer.is_some() { "hit" } else { "miss" };
        metrics::counter!("gristmill_normalization_cache_total", "outcome" => outcome).increment(1);
        answer
    }

    /// Remembers an answer for a day. What is lost here is found anew.
    pub async fn remember(&self, asked: &CacheKey<'_>, answer: &Answer) {
        let Ok(text) = serde_json::to_vec(answer) else { return };
        let set: Result<(), RedisError> = self.connection.clone().set_ex(self.key(asked), text, REMEMBERED).await;
        if let Err(error) = set {
            tracing::warn!(%error, "an answer cannot be remembered");
        }
    }

    /// Hashed: descriptors are personal, and may be long.
    fn key(&self, asked: &CacheKey<'_>) -> String {
        let CacheKey { client_id, version, external, description } = asked;
        let cleaned = clean(description);
        let text = format!("{client_id}\0{version}\0{external}\0{cleaned}");
        let hash = Sha256::digest(text);
        let (head, _) = hash.split_first_chunk::<16>().expect("SHA-256 has 32 bytes");
        format!("{}:normalization:{:032x}", self.namespace, u128::from_be_bytes(*head))
    }
}
