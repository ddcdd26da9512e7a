//! How full Redis is.

use ::redis::{RedisResult, aio::ConnectionLike};
use serde::Serialize;

/// What Redis uses of what it may use. A full one takes no new jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BrokerMemory {
    /// Bytes in use, whoever's.
    pub used: u64,
    /// `maxmemory` in bytes. None: as much as the machine has.
    pub limit: Option<u64>,
}

impl BrokerMemory {
    /// From this share on somebody should look: at 1.0 no job is taken in.
    pub const MUCH: f64 = 0.8;

    /// The share of the limit that is in use, 1.0 being all of it. None: there is no limit.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        self.limit.map(|limit| self.used as f64 / limit as f64)
    }

    /// Whether that is [`Self::MUCH`] or more.
    #[must_use]
    pub fn is_much(&self) -> bool {
        self.share().is_some_and(|share| share >= Self::MUCH)
    }

    pub(crate) async fn ask<C: ConnectionLike + Send>(conn: &mut C) -> RedisResult<Self> {
        let info: String = ::redis::cmd("INFO").arg("memory").query_async(conn).await?;
        Self::read(&info).ok_or_else(|| {
            let what = "INFO memory has no used_memory and maxmemory";
            ::redis::RedisError::from((::redis::ErrorKind::UnexpectedReturnType, what))
        })
    }

    fn read(info: &str) -> Option<Self> {
        let number = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().parse::<u64>().ok()
        };
        Some(Self { used: number("used_memory")?, limit: number("maxmemory").filter(|limit| *limit > 0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_none() {
        let info = "# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\nmaxmemory_human:0B\r\nmaxmemory:";
        let read =
            |limit: &str| BrokerMemory::read(&format!("{info}{limit}\r\nmaxmemory_policy:noeviction\r\n")).unwrap();
        assert_eq!((read("0").share(), read("0").is_much()), (None, false));
        assert_eq!((read("1250").share(), read("1250").is_much()), (Some(0.8), true));
        assert!(!read("1251").is_much());
        assert_eq!(BrokerMemory::read("used_memory:1"), Some(BrokerMemory { used: 1, limit: None }));
        assert_eq!(BrokerMemory::read("# Memory"), None);
    }
}
