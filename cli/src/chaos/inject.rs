//! Doing what was planned.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use gristmill_platform::engines::{Engine, Engines};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::Cluster,
    plan::{Fault, PlannedFault},
    processes::{Member, Process, Role},
};

/// A fault that has befallen somebody.
#[derive(Debug, Clone)]
pub(super) struct InjectedFault {
    pub(super) fault: Fault,
    /// Seconds since 1970.
    pub(super) at: f64,
    /// The process, as it called itself then; an engine has no such name.
    pub(super) whom: Option<String>,
}

pub(super) fn now() -> f64 {
    jiff::Timestamp::now().as_microsecond() as f64 / 1e6
}

/// All of the plan; what lasts ends early when `heal` comes.
pub(super) async fn strike_all(
    cluster: &Cluster,
    planned: &[PlannedFault],
    heal: &CancellationToken,
) -> anyhow::Result<Vec<InjectedFault>> {
    let begun = Instant::now();
    let struck = Mutex::new(Vec::new());
    let strikes = planned.iter().map(|planned| async {
        tokio::select! {
            () = tokio::time::sleep(planned.at) => {}
            () = heal.cancelled() => return Ok(()),
        }
        let what = |whom: Option<String>| {
            let name = whom.as_deref().unwrap_or_default();
            eprintln!("{:7.1} s  {} {name}", begun.elapsed().as_secs_f64(), planned.fault);
            struck.lock().unwrap_or_else(PoisonError::into_inner).push(InjectedFault {
                fault: planned.fault,
                at: now(),
                whom,
            });
        };
        strike(cluster, *planned, heal, what).await
    });
    futures::future::try_join_all(strikes).await?;
    Ok(struck.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// `what` is called at the very moment; not at all when those that it could hit are suffering already.
async fn strike(
    cluster: &Cluster,
    PlannedFault { fault, whom, lasts, .. }: PlannedFault,
    heal: &CancellationToken,
    what: impl FnOnce(Option<String>),
) -> anyhow::Result<()> {
    let lasting = async || {
        tokio::select! {
            () = tokio::time::sleep(lasts) => {}
            () = heal.cancelled() => {}
        }
    };
    match fault {
        Fault::KillWorker | Fault::KillScheduler | Fault::KillApi => {
            let Some((member, mut process)) = pick(cluster, fault, whom) else { return Ok(()) };
            what(Some(member.label()));
            process.kill().await;
            lasting().await;
            member.start(&mut process)?;
        }
        Fault::KillWorkerAgain => {
            let Some((member, mut process)) = pick(cluster, fault, whom) else { return Ok(()) };
            what(Some(member.label()));
            for time in 1..=DEATHS {
                process.kill().await;
                lasting().await;
                member.start(&mut process)?;
                // Long enough for what it ran to be found and, there or elsewhere, taken up again.
                if time == DEATHS || heal.is_cancelled() {
                    break;
                }
                tokio::select! {
                    () = tokio::time::sleep(BETWEEN_DEATHS) => {}
                    () = heal.cancelled() => break,
                }
            }
        }
        Fault::RollWorkers => {
            let Ok(_rolling) = cluster.rolling.try_lock() else { return Ok(()) };
            what(None);
            // To the end, also when all else heals: all but every other worker would be of one build.
            for member in cluster.of(Role::Worker) {
                member.replace(&mut *member.process.lock().await).await?;
                lasting().await;
            }
        }
        Fault::StopWorker | Fault::StopScheduler | Fault::StopApi => {
            let Some((member, process)) = pick(cluster, fault, whom) else { return Ok(()) };
            what(Some(member.label()));
            process.freeze();
            lasting().await;
            process.thaw();
        }
        Fault::RestartRedis | Fault::RestartPostgres => {
            let engine = if fault == Fault::RestartRedis { Engine::Redis } else { Engine::Postgres };
            let Ok(mut engines) = cluster.engines.try_lock() else { return Ok(()) };
            what(None);
            engines.kill(engine).await?;
            lasting().await;
            engines.restart(engine).await?;
        }
        Fault::LoseRedis => {
            let Ok(mut engines) = cluster.engines.try_lock() else { return Ok(()) };
            what(None);
            Engines::lose_redis(&mut engines).await?;
        }
        Fault::FlushRedis => {
            let Ok(_engines) = cluster.engines.try_lock() else { return Ok(()) };
            let mut conn = cluster.redis.get_multiplexed_async_connection().await?;
            what(None);
            redis::cmd("FLUSHALL").query_async::<()>(&mut conn).await?;
        }
        Fault::FillRedis => {
            let Ok(_engines) = cluster.engines.try_lock() else { return Ok(()) };
            let mut conn = cluster.redis.get_multiplexed_async_connection().await?;
            what(None);
            limit_memory(&mut conn, 1).await?;
            lasting().await;
            limit_memory(&mut conn, 0).await?;
        }
        Fault::StepRedis => {
            let Ok(_engines) = cluster.engines.try_lock() else { return Ok(()) };
            let mut conn = cluster.redis.get_multiplexed_async_connection().await?;
            what(None);
            let step = if whom.is_multiple_of(2) { HOUR } else { -HOUR };
            redis::cmd("EVAL").arg(STEP).arg(0).arg(step).query_async::<()>(&mut conn).await?;
        }
        Fault::CutRedis | Fault::CutPostgres => {
            what(None);
            cluster.proxies().for_each(|proxies| proxies.to(engine(fault)).cut());
        }
        Fault::StallRedis | Fault::StallPostgres => {
            // the last one is the load's own
            let whom = whom % (cluster.members.len() + 1);
            let member = cluster.members.get(whom);
            let proxy = member.map_or(&cluster.proxies, |member| &member.proxies).to(engine(fault));
            what(Some(member.map_or_else(|| "load".into(), Member::label)));
            proxy.stall();
            lasting().await;
            proxy.pass();
        }
        Fault::RefuseRedis | Fault::RefusePostgres => {
            what(None);
            cluster.proxies().for_each(|proxies| proxies.to(engine(fault)).refuse());
            lasting().await;
            cluster.proxies().for_each(|proxies| proxies.to(engine(fault)).pass());
        }
    }
    Ok(())
}

const DEATHS: u32 = 3;
const BETWEEN_DEATHS: Duration = Duration::from_secs(8);

/// What the scripts of the queues have written down of Redis' clock says how far that has gone since: to move it is to
/// move the clock.
const STEP: &str = "
for _, clock in ipairs(redis.call('KEYS', '*:clock')) do
  local showed, counted = string.match(redis.call('GET', clock) or '', '^(%d+) (%d+)$')
  if showed then redis.call('SET', clock, string.format('%.0f %s', showed - ARGV[1], counted)) end
end";
const HOUR: i64 = 3_600_000;

/// One of the role to whom nothing is being done.
fn pick(cluster: &Cluster, fault: Fault, whom: usize) -> Option<(&Member, tokio::sync::MutexGuard<'_, Process>)> {
    let role = match fault {
        Fault::KillWorker | Fault::KillWorkerAgain | Fault::StopWorker => Role::Worker,
        Fault::KillScheduler | Fault::StopScheduler => Role::Scheduler,
        _ => Role::Api,
    };
    let python = cluster.of(Role::Python).filter(|_| role == Role::Worker);
    let all: Vec<&Member> = cluster.of(role).chain(python).collect();
    let mut in_turn = (0..all.len()).map(|n| all[(whom + n) % all.len()]);
    in_turn.find_map(|member| Some((member, member.process.try_lock().ok()?)))
}

const fn engine(fault: Fault) -> Engine {
    match fault {
        Fault::CutRedis | Fault::StallRedis | Fault::RefuseRedis => Engine::Redis,
        _ => Engine::Postgres,
    }
}

/// In bytes; 0: as much as it likes.
async fn limit_memory(conn: &mut redis::aio::MultiplexedConnection, bytes: u64) -> redis::RedisResult<()> {
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async(conn).await
}

/// Starts again what ends although nobody killed it, and says what did, until `stop`.
pub(super) async fn watch(cluster: &Cluster, stop: &CancellationToken) -> anyhow::Result<Vec<String>> {
    let mut ended = Vec::new();
    while !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for member in &cluster.members {
            let Ok(mut process) = member.process.try_lock() else { continue };
            if let Some(status) = process.ended() {
                ended.push(format!("{} ended by itself: {status}", member.label()));
                member.start(&mut process)?;
            }
        }
    }
    Ok(ended)
}
