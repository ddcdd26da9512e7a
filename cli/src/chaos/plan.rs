//! What is done to whom and when: the same for the same seed.

use std::{fmt, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// What can befall the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillWorker,
    KillWorkerAgain,
    KillScheduler,
    KillApi,
    StopWorker,
    StopScheduler,
    StopApi,
    RollWorkers,
    RestartRedis,
    FlushRedis,
    FillRedis,
    StepRedis,
    LoseRedis,
    RestartPostgres,
    CutRedis,
    CutPostgres,
    StallRedis,
    StallPostgres,
    RefuseRedis,
    RefusePostgres,
}

impl Fault {
    pub(super) const ALL: [Self; 20] = [
        Self::KillWorker,
        Self::KillWorkerAgain,
        Self::KillScheduler,
        Self::KillApi,
        Self::StopWorker,
        Self::StopScheduler,
        Self::StopApi,
        Self::RollWorkers,
        Self::RestartRedis,
        Self::FlushRedis,
        Self::FillRedis,
        Self::StepRedis,
        Self::LoseRedis,
        Self::RestartPostgres,
        Self::CutRedis,
        Self::CutPostgres,
        Self::StallRedis,
        Self::StallPostgres,
        Self::RefuseRedis,
        Self::RefusePostgres,
    ];

    /// Milliseconds that it lasts, from and to. A process is stopped for longer than a lease.
    const fn lasts(self) -> (u64, u64) {
        match self {
            Self::KillWorker | Self::KillScheduler | Self::KillApi => (200, 3_000),
            Self::KillWorkerAgain | Self::RollWorkers => (500, 1_500),
            Self::FillRedis => (7_000, 11_000),
            Self::StopWorker | Self::StopScheduler | Self::StopApi => (7_000, 11_000),
            Self::RestartRedis | Self::LoseRedis | Self::RestartPostgres => (0, 2_000),
            Self::FlushRedis | Self::StepRedis | Self::CutRedis | Self::CutPostgres => (0, 1),
            Self::StallRedis | Self::StallPostgres => (2_000, 12_000),
            Self::RefuseRedis | Self::RefusePostgres => (1_000, 4_000),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillWorker => "`kill -9` of a worker",
            Self::KillWorkerAgain => "a worker dies with all it runs, three times",
            Self::KillScheduler => "`kill -9` of a scheduler",
            Self::KillApi => "`kill -9` of an API",
            Self::StopWorker => "a worker stopped for longer than its leases",
            Self::StopScheduler => "a scheduler stopped",
            Self::StopApi => "an API stopped",
            Self::RollWorkers => "a rolling deploy: each worker replaced by one that knows other jobs",
            Self::RestartRedis => "`kill -9` and restart of Redis",
            Self::FlushRedis => "`FLUSHALL`",
            Self::FillRedis => "Redis at `maxmemory` for longer than a lease",
            Self::StepRedis => "Redis' clock steps by an hour",
            Self::LoseRedis => "`kill -9` of Redis, its data deleted",
            Self::RestartPostgres => "`kill -9` and restart of Postgres",
            Self::CutRedis => "every connection to Redis cut",
            Self::CutPostgres => "every connection to Postgres cut",
            Self::StallRedis => "a process' line to Redis silent",
            Self::StallPostgres => "a process' line to Postgres silent",
            Self::RefuseRedis => "Redis refuses everybody",
            Self::RefusePostgres => "Postgres refuses everybody",
        })
    }
}

/// One fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlannedFault {
    /// Since the start.
    pub(super) at: Duration,
    pub(super) fault: Fault,
    /// Whom it hits, of those that it may hit.
    pub(super) whom: usize,
    pub(super) lasts: Duration,
}

/// Faults for this long, every 1.5 to 4 seconds. Each kind comes before any comes again.
pub(super) fn plan(seed: u64, length: Duration) -> Vec<PlannedFault> {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut planned, mut deck) = (Vec::new(), Vec::new());
    let mut at = Duration::from_millis(dice.random_range(1_500..3_000));
    while at < length {
        if deck.is_empty() {
            deck.extend(Fault::ALL);
            deck.shuffle(&mut dice);
        }
        let Some(fault) = deck.pop() else { continue };
        let (from, to) = fault.lasts();
        let lasts = Duration::from_millis(dice.random_range(from..to));
        planned.push(PlannedFault { at, fault, whom: dice.random_range(0..1_000), lasts });
        at += Duration::from_millis(dice.random_range(1_500..4_000));
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let minute = Duration::from_secs(60);
        let long = plan(7, minute * 2);
        assert_eq!(plan(7, minute), plan(7, minute));
        assert_ne!(plan(7, minute), plan(8, minute));
        for fault in Fault::ALL {
            assert!(long.iter().any(|planned| planned.fault == fault), "two minutes know no {fault}");
        }
    }
}
