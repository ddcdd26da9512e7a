use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Finding, some};
use crate::chaos::{cluster::Cluster, processes::Role};

/// Acknowledgements come a moment after the work; a lease that nobody keeps has to run out.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// But for the uploads' events, which live for an hour, Redis holds who is there, that it has its data, and what was
/// said of queues.
pub(super) async fn redis(cluster: &Cluster) -> anyhow::Result<Finding> {
    let mut conn = cluster.redis.get_multiplexed_async_connection().await?;
    let begun = Instant::now();
    loop {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut conn).await?;
        let (mut left, mut passing) = (Vec::new(), 0);
        for key in keys {
            if [":workers", ":epoch", ":limits"].iter().any(|end| key.ends_with(end)) {
                continue;
            }
            match redis::cmd("TTL").arg(&key).query_async(&mut conn).await? {
                // gone meanwhile
                -2 => {}
                1..=3_600 => passing += 1,
                lives => left.push(format!("{key} lives for {lives} s")),
            }
        }
        if left.is_empty() || begun.elapsed() > DRAIN_TIMEOUT {
            return Ok(Finding {
                promise: "nothing is left in Redis",
                counted: format!("{passing} streams of events and signals, which go by themselves"),
                wrong: some(left, |what| what),
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the schedulers' own audits have found.
pub(super) async fn invariants(cluster: &Cluster) -> anyhow::Result<Finding> {
    let mut wrong = Vec::new();
    for member in cluster.of(Role::Scheduler).chain(cluster.of(Role::Worker)) {
        let metrics = reqwest::get(format!("http://{}/metrics", member.monitor)).await;
        let text = metrics.with_context(|| format!("{member} tells no metrics"))?.text().await?;
        let violated = text.lines().filter(|line| line.starts_with("gristmill_invariant_violations_total"));
        wrong.extend(violated.filter(|line| !line.ends_with(" 0")).map(|line| format!("{member}: {line}")));
    }
    Ok(Finding { promise: "`gristmill_invariant_violations_total` is 0", counted: "all roles".into(), wrong })
}

/// What the processes wrote that they should never have to write.
pub(super) fn panics(cluster: &Cluster) -> anyhow::Result<Finding> {
    let (mut wrong, mut lines) = (Vec::new(), 0);
    for member in &cluster.members {
        let log = std::fs::read(member.log()).with_context(|| format!("{member} has no log"))?;
        let log = String::from_utf8_lossy(&log);
        lines += log.lines().count();
        let bad = |line: &&str| line.contains("panicked at") || line.contains("counters are not what its members say");
        wrong.extend(log.lines().filter(bad).map(|line| format!("{member}: {line}")));
    }
    Ok(Finding {
        promise: "no process panicked, and none has logged a violated invariant",
        counted: format!("{lines} lines of {} logs", cluster.members.len()),
        wrong: some(wrong, |what| what),
    })
}
