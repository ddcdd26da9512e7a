//! Whether a Redis can do what is asked of it. One that cannot takes work and never does it: refuse it when a program starts,
//! with what is wrong.

use std::time::Duration;

use ::redis::{Client, RedisError, RedisResult, aio::ConnectionLike, cmd};

/// How long a start waits for an answer. A Redis that is away may come later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do where a Sentinel was named.
const SENTINEL: &str = "give the address of the primary in REDIS_URL; after a failover that is a proxy's (HAProxy), a virtual address or \
     a name that moves with the primary";

/// Why a Redis that answers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its keys are spread over nodes.
    #[error("this Redis is a Cluster, and the scripts of the queues need all their keys on one node")]
    Cluster,
    /// It knows where a server is, and keeps nothing itself.
    #[error("this is a Redis Sentinel, which says where the primary is and takes no work itself")]
    Sentinel,
    /// Nothing can be written to it.
    #[error("this Redis is a read-only replica")]
    Replica,
    /// It throws keys away when it is full.
    #[error("this Redis throws away keys when its memory is full (maxmemory-policy {0}), so queued work would be lost")]
    Evicts(String),
    /// It does not know what the queues use.
    #[error("this is Redis {0}, and 6.2 is the oldest that knows what the queues use")]
    Old(String),
}

impl Unfit {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Cluster => {
                "use a Redis with cluster mode off: one server, with a replica for failover, is enough for the queues"
            }
            Self::Sentinel => SENTINEL,
            Self::Replica => "give the address of the primary in REDIS_URL",
            Self::Evicts(_) => {
                "config set maxmemory-policy noeviction, and the same in redis.conf or the provider's console"
            }
            Self::Old(_) => "use Redis 6.2 or later, or Valkey",
        }
    }
}

/// Why no queue can run on this Redis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It was named by a URL that asks for TLS.
    #[error("REDIS_URL asks for TLS (rediss://), which is not built in")]
    Tls,
    /// It was named by a URL that asks Sentinels for it.
    #[error("REDIS_URL asks Sentinels where Redis is, which is not built in")]
    Sentinel,
    /// It was named by no URL of Redis.
    #[error("REDIS_URL is not a URL of Redis, as redis://:password@host:6379 is")]
    BadUrl(#[source] RedisError),
    /// It answers and cannot be used.
    #[error("the Redis of REDIS_URL cannot be used")]
    Unfit(#[from] Unfit),
}

impl Refused {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Tls => {
                "run a proxy that speaks TLS beside each process (stunnel, Envoy) and give its address as redis://…, or use a \
                 private network"
            }
            Self::Sentinel => SENTINEL,
            Self::Unfit(unfit) => unfit.advice(),
            Self::BadUrl(_) => "correct REDIS_URL",
        }
    }
}

/// Refuses what no queue can connect to.
///
/// # Errors
/// Of a URL that asks for TLS or Sentinels.
fn check_url(url: &str) -> Result<(), Refused> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme.to_ascii_lowercase().as_str() {
        "rediss" | "valkeys" | "redis+tls" => Err(Refused::Tls),
        // as clients of other languages write it
        scheme if scheme.contains("sentinel") => Err(Refused::Sentinel),
        _ => Ok(()),
    }
}

/// A client of the Redis at this URL; it connects when it is first asked to.
///
/// # Errors
/// What is wrong with the URL.
pub fn client(url: &str) -> Result<Client, Refused> {
    check_url(url)?;
    Client::open(url).map_err(Refused::BadUrl)
}

/// Refuses a Redis that answers and cannot be used. One that does not answer now is waited for elsewhere.
///
/// # Errors
/// What is wrong with it, or with its URL.
pub async fn refuse_unfit(url: &str) -> Result<(), Refused> {
    let client = client(url)?;
    let ask = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        examine(&mut connection).await
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, ask).await {
        Ok(Ok(Some(unfit))) => Err(unfit.into()),
        Ok(Ok(None)) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "Redis does not answer yet");
            Ok(())
        }
        Err(_) => {
            tracing::warn!("Redis does not answer yet");
            Ok(())
        }
    }
}

/// What is wrong with a Redis that answers, if anything is.
///
/// # Errors
/// The connection's.
pub async fn examine(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Option<Unfit>> {
    let info: String = cmd("INFO").query_async(connection).await?;
    Ok(judge(&info))
}

fn judge(info: &str) -> Option<Unfit> {
    let said = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim).unwrap_or_default()
    };
    if said("redis_mode") == "sentinel" {
        return Some(Unfit::Sentinel);
    }
    if said("cluster_enabled") == "1" {
        return Some(Unfit::Cluster);
    }
    if matches!(said("role"), "slave" | "replica") && said("slave_read_only") != "0" {
        return Some(Unfit::Replica);
    }
    let policy = said("maxmemory_policy");
    // Without a limit nothing is thrown away, whatever the policy.
    if !matches!(policy, "noeviction" | "") && said("maxmemory") != "0" {
        return Some(Unfit::Evicts(policy.to_owned()));
    }
    let version = said("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let at_least = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) >= (6, 2);
    (!version.is_empty() && !at_least).then(|| Unfit::Old(version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_in_is_refused_in_words() {
        for url in ["rediss://:secret@example.com:6380", "REDISS://example.com"] {
            let refused = check_url(url).unwrap_err();
            assert!(matches!(refused, Refused::Tls), "{refused}");
            assert!(!refused.to_string().contains("secret"));
        }
        check_url("redis://rediss:6379").unwrap();
        for url in ["redis+sentinel://:secret@example.com:26379/primary", "redis-sentinel://a,b", "sentinel://a"] {
            let refused = check_url(url).unwrap_err();
            assert!(matches!(refused, Refused::Sentinel), "{refused}");
        }
        check_url("redis://sentinel:6379").unwrap();
    }

    #[test]
    fn what_a_server_says_of_itself() {
        let server = |more: &str| judge(&format!("# Server\r\nredis_version:7.0.15\r\nrole:master\r\n{more}"));
        assert_eq!(server("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n"), None);
        assert_eq!(server("maxmemory:100\r\nmaxmemory_policy:noeviction\r\ncluster_enabled:0\r\n"), None);
        assert_eq!(server("cluster_enabled:1\r\n"), Some(Unfit::Cluster));
        let evicts = server("maxmemory:100\r\nmaxmemory_policy:volatile-lru\r\n");
        assert_eq!(evicts, Some(Unfit::Evicts("volatile-lru".to_owned())));
        assert_eq!(judge("redis_version:6.0.16\r\n"), Some(Unfit::Old("6.0.16".to_owned())));
        assert_eq!(judge("redis_version:7.2.4\r\nrole:slave\r\nslave_read_only:1\r\n"), Some(Unfit::Replica));
        assert_eq!(judge(""), None, "a server that says nothing is tried");
    }
}
