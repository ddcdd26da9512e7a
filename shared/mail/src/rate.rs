//! So many mails a second to one domain, by all workers together.

use std::{sync::LazyLock, time::Duration};

use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// Reserves the next free moment of a domain (a token bucket that keeps only the time at which it is empty again).
/// KEYS when the next mail may go, in microseconds; ARGV microseconds between two, how early one may be (the burst), and
/// the longest wait worth a reservation. Answers how long to wait; negative: too long, nothing is reserved.
static RESERVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"local clock = redis.call('TIME')
          local now = clock[1] * 1000000 + clock[2]
          local between, burst, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
          local next = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
          local wait = math.max(next - burst - now, 0)
          if wait > patience then return -wait end
          redis.call('SET', KEYS[1], string.format('%.0f', next + between), 'PX', math.ceil((next + between - now) / 1000) + 1)
          return wait",
    )
});

/// A limit that all processes on one Redis share.
#[derive(Clone)]
pub struct Rate {
    connection: ConnectionManager,
    namespace: String,
    between: Option<Duration>,
}

/// When a mail may go.
pub(crate) enum Slot {
    /// After this long; the moment is reserved.
    In(Duration),
    /// Not within the patience: ask again after about this long.
    Full(Duration),
}

/// The longest wait in a job.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// How much may go at once after a silence.
const BURST: Duration = Duration::from_secs(1);

impl Rate {
    /// Needs no Redis yet. `per_second` of 0: no limit, and Redis is never asked.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn connect(redis_url: &str, namespace: &str, per_second: f64) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(Duration::from_secs(2)))
            .set_connection_timeout(Some(Duration::from_secs(2)));
        let connection = Client::open(redis_url)?.get_connection_manager_lazy(config)?;
        let between = (per_second > 0.0).then(|| Duration::from_secs_f64((1.0 / per_second).min(3_600.0)));
        Ok(Self { connection, namespace: namespace.to_owned(), between })
    }

    /// The next free moment of the domain, in any of its forms: what is written in Unicode and in ASCII (RFC 5890) is one.
    pub(crate) async fn reserve(&self, domain: &str) -> Result<Slot, RedisError> {
        let Some(between) = self.between else { return Ok(Slot::In(Duration::ZERO)) };
        // A burst of a second, without the mail that starts it.
        let burst = BURST.saturating_sub(between);
        let wait: i64 = RESERVE
            .key(format!("{}:mail:rate:{}", self.namespace, one_form(domain)))
            .arg(micros(between))
            .arg(micros(burst))
            .arg(micros(MAX_WAIT))
            .invoke_async(&mut self.connection.clone())
            .await?;
        let time = Duration::from_micros(wait.unsigned_abs());
        Ok(if wait < 0 { Slot::Full(time - MAX_WAIT.min(time)) } else { Slot::In(time) })
    }
}

/// The domain in ASCII letters, small ones; what is no domain as it is.
fn one_form(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
