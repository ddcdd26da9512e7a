//! So many requests of a client within a time, by all processes of the API together.

use std::{sync::LazyLock, time::Duration};

use gristmill_core::ClientId;
use http::{HeaderName, HeaderValue, header};
use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::problem::{Code, Problem, Result};

/// How often something may be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// What it is called, in headers and in Redis.
    pub(crate) name: &'static str,
    /// Requests.
    pub(crate) quota: u32,
    /// Within so long, wherever that begins.
    pub(crate) window: Duration,
}

/// Takes one of the quota: the times of the last requests are kept, so that no window of this length has more of them.
/// KEYS the times, in microseconds; ARGV the quota and the window in microseconds. Answers how many are left, or −1, and after
/// how long the oldest leaves the window.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local clock = redis.call('TIME')
          local now = clock[1] * 1000000 + clock[2]
          local quota, window = tonumber(ARGV[1]), tonumber(ARGV[2])
          local oldest = tonumber(redis.call('LINDEX', KEYS[1], 0))
          while oldest and oldest <= now - window do
              redis.call('LPOP', KEYS[1])
              oldest = tonumber(redis.call('LINDEX', KEYS[1], 0))
          end
          local left = quota - redis.call('LLEN', KEYS[1]) - 1
          if left >= 0 then
              redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
              redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
          end
          return {math.max(left, -1), (oldest or now) + window - now}",
    )
});

/// A Redis that does not answer at once is not waited for.
const REDIS_TIMEOUT: Duration = Duration::from_millis(500);

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What has been asked for lately, in Redis.
#[derive(Clone)]
pub(crate) struct Quotas {
    connection: ConnectionManager,
    namespace: String,
}

/// The headers of `draft-ietf-httpapi-ratelimit-headers`; none when nobody counts.
pub(crate) type RateLimitHeaders = Vec<(HeaderName, HeaderValue)>;

impl Quotas {
    /// Needs no Redis yet.
    pub(crate) fn connect(redis_url: &str, namespace: &str) -> std::result::Result<Self, RedisError> {
        metrics::describe_counter!(
            "gristmill_quota_unknown_total",
            "Requests let through without counting because Redis did not answer"
        );
        metrics::counter!("gristmill_quota_unknown_total").increment(0);
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(0);
        let connection = Client::open(redis_url)?.get_connection_manager_lazy(config)?;
        Ok(Self { connection, namespace: namespace.to_owned() })
    }

    /// Takes one of the client's quota, or says when there will be one. While Redis is away everybody is let through: what is
    /// limited is cheap, and an answer is worth more than the limit.
    pub(crate) async fn take(&self, policy: &Policy, client_id: ClientId) -> Result<RateLimitHeaders> {
        let window = policy.window.as_micros();
        let taken: std::result::Result<(i64, u64), RedisError> = TAKE
            .key(format!("{}:quota:{}:{client_id}", self.namespace, policy.name))
            .arg(policy.quota)
            .arg(u64::try_from(window).unwrap_or(u64::MAX))
            .invoke_async(&mut self.connection.clone())
            .await;
        let (left, wait) = match taken {
            Ok((left, micros)) => (left, Duration::from_micros(micros)),
            Err(error) => {
                tracing::warn!(policy = policy.name, %error, "a request is not counted, as Redis does not answer");
                metrics::counter!("gristmill_quota_unknown_total").increment(1);
                return Ok(Vec::new());
            }
        };
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let told = policy.told(left.max(0), seconds)?;
        if left >= 0 {
            return Ok(told);
        }
        let detail = format!(
            "At most {} of these requests are answered within {} s. Ask again in {seconds} s.",
            policy.quota,
            policy.window.as_secs()
        );
        let refused = told
            .into_iter()
            .fold(Problem::new(Code::TooManyRequests, detail), |problem, (name, value)| problem.header(name, value));
        Err(refused.header(header::RETRY_AFTER, HeaderValue::from(seconds)))
    }
}

impl Policy {
    fn told(&self, left: i64, seconds: u64) -> Result<RateLimitHeaders> {
        let Self { name, quota, window } = self;
        let text = |text: String| HeaderValue::try_from(text).map_err(Problem::internal);
        Ok(vec![
            (LIMIT, text(format!("\"{name}\";r={left};t={seconds}"))?),
            (POLICY, text(format!("\"{name}\";q={quota};w={}", window.as_secs()))?),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_redis_everybody_is_let_through() {
        let policy = Policy { name: "any", quota: 1, window: Duration::from_secs(60) };
        let quotas = Quotas::connect("redis://127.0.0.1:1", "test").expect("a URL");
        for _ in 0..3 {
            let told = quotas.take(&policy, ClientId::from(1)).await.expect("let through");
            assert_eq!(told, [], "nothing is said of what nobody counts");
        }
    }
}
