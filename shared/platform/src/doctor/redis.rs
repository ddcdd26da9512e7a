use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};

use super::{Finding, chain};
use crate::broker::{self, Unfit};
use crate::config::RedisConfig;

pub(super) async fn examine(config: &RedisConfig) -> Vec<Finding> {
    let fix = "start Redis, or correct REDIS_URL; `gristmill up` starts a private one";
    let unreachable = |what: String| vec![Finding::fail("redis.reachable", what, fix)];
    let client = match broker::client(config) {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail("redis.reachable", chain(&error), error.advice().unwrap_or(fix))],
    };
    let look = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        look(&mut connection).await
    };
    match tokio::time::timeout(Duration::from_secs(5), look).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => unreachable(format!("cannot use Redis: {}", chain(&error))),
        Err(_) => unreachable("Redis did not answer within 5 s".to_owned()),
    }
}

async fn look(connection: &mut MultiplexedConnection) -> RedisResult<Vec<Finding>> {
    let mut found = vec![version(connection).await?];
    // What is thrown away is looked at below, also where nothing is yet.
    found.push(match broker::examine(connection).await? {
        Some(unfit @ (Unfit::Cluster | Unfit::Sentinel | Unfit::Replica)) => {
            Finding::fail("redis.fit", unfit.to_string(), unfit.advice())
        }
        _ => Finding::ok("redis.fit", "it is one server that can be written to"),
    });
    found.push(match setting(connection, "maxmemory-policy").await {
        None => unknown("redis.maxmemory_policy", "maxmemory-policy", "noeviction"),
        Some(policy) if policy == "noeviction" => {
            Finding::ok("redis.maxmemory_policy", "maxmemory-policy is noeviction")
        }
        Some(policy) => Finding::fail(
            "redis.maxmemory_policy",
            format!("maxmemory-policy is {policy}: Redis may throw away queued work"),
            "config set maxmemory-policy noeviction, and the same in redis.conf",
        ),
    });
    found.push(match setting(connection, "appendonly").await {
        None => unknown("redis.appendonly", "appendonly", "yes"),
        Some(value) if value == "yes" => Finding::ok("redis.appendonly", "appendonly is yes"),
        Some(_) => Finding::warn(
            "redis.appendonly",
            "appendonly is no: after a restart of Redis the queues are filled again from Postgres, which takes time",
            "config set appendonly yes, and the same in redis.conf",
        ),
    });
    found.extend(memory(connection).await?);
    Ok(found)
}

/// From here on somebody should look: a full Redis takes no new jobs.
const MUCH: f64 = 0.8;

/// None: there is no limit.
async fn memory(connection: &mut MultiplexedConnection) -> RedisResult<Option<Finding>> {
    let info: String = cmd("INFO").arg("memory").query_async(connection).await?;
    let bytes = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().parse::<f64>().ok()
    };
    let (Some(used), Some(limit)) = (bytes("used_memory"), bytes("maxmemory").filter(|limit| *limit > 0.0)) else {
        return Ok(None);
    };
    let what =
        format!("{:.0} % of Redis' memory is in use (maxmemory {:.0} MiB)", used / limit * 100.0, limit / 1_048_576.0);
    let fix = "find what fills it (redis-cli --bigkeys), or raise maxmemory";
    Ok(Some(if used >= limit {
        Finding::fail("redis.memory", format!("{what}: it takes no new jobs"), fix)
    } else if used >= limit * MUCH {
        Finding::warn("redis.memory", format!("{what}: when it is full it takes no new jobs"), fix)
    } else {
        Finding::ok("redis.memory", what)
    }))
}

async fn version(connection: &mut MultiplexedConnection) -> RedisResult<Finding> {
    let info: String = cmd("INFO").arg("server").query_async(connection).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("0").trim();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let at_least = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) >= (6, 2);
    let what = format!("Redis {version}");
    Ok(if at_least {
        Finding::ok("redis.version", what)
    } else {
        Finding::fail("redis.version", what, "use Redis 6.2 or later, or Valkey")
    })
}

/// Hosted servers often forbid CONFIG.
async fn setting(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let answer: RedisResult<HashMap<String, String>> = cmd("CONFIG").arg("GET").arg(name).query_async(connection).await;
    answer.ok()?.remove(name)
}

fn unknown(check: &'static str, name: &str, wanted: &str) -> Finding {
    let fix = format!("see in the provider's console that {name} is {wanted}");
    Finding::warn(check, format!("{name} cannot be read: the server forbids CONFIG"), fix)
}
