//! Processor time and memory of the stack's processes, from /proc.

use std::{collections::BTreeMap, fs, time::Duration};

/// Clock ticks a second: fixed on Linux for user space.
const TICKS: f64 = 100.0;

/// What a process does in the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// `gristmill up`: API and scheduler.
    Api,
    Worker,
    PostgresBackend,
    /// Checkpointer, background writer, WAL writer.
    PostgresOther,
    Redis,
}

impl Role {
    pub(crate) const ALL: [Self; 5] =
        [Self::Api, Self::Worker, Self::PostgresBackend, Self::PostgresOther, Self::Redis];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Api => "API (with scheduler)",
            Self::Worker => "workers",
            Self::PostgresBackend => "Postgres backends",
            Self::PostgresOther => "Postgres background (checkpointer, WAL writer)",
            Self::Redis => "Redis",
        }
    }
}

/// Processor seconds so far and the largest resident size, by role.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: BTreeMap<Role, f64>,
    /// Of the largest process of the role, in bytes.
    pub(crate) resident: BTreeMap<Role, u64>,
}

impl Usage {
    /// Reads all processes that descend from one of these.
    pub(crate) fn of(roots: &[u32]) -> Self {
        let mut usage = Self::default();
        for pid in descendants(roots) {
            let Some(role) = role(pid, roots) else { continue };
            *usage.cpu.entry(role).or_default() += cpu(pid).unwrap_or_default();
            if is_postmaster(pid) {
                // Backends that have ended, such as that of `psql`.
                *usage.cpu.entry(Role::PostgresBackend).or_default() += of_ended_children(pid).unwrap_or_default();
            }
            let resident = usage.resident.entry(role).or_default();
            *resident = (*resident).max(rss(pid).unwrap_or_default());
        }
        usage
    }

    /// Processor seconds since an earlier reading.
    pub(crate) fn cpu_since(&self, before: &Self) -> BTreeMap<Role, f64> {
        self.cpu.iter().map(|(role, now)| (*role, now - before.cpu.get(role).unwrap_or(&0.0))).collect()
    }

    /// Keeps the larger of both resident sizes.
    pub(crate) fn peak(&mut self, other: &Self) {
        for (role, size) in &other.resident {
            let peak = self.resident.entry(*role).or_default();
            *peak = (*peak).max(*size);
        }
    }
}

/// Samples the peaks while `work` runs.
pub(crate) async fn watch<T>(roots: &[u32], work: impl Future<Output = T>) -> (T, Usage, BTreeMap<Role, f64>) {
    let before = Usage::of(roots);
    let mut peaks = Usage::default();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = tick.tick() => peaks.peak(&Usage::of(roots)),
        }
    };
    let after = Usage::of(roots);
    peaks.peak(&after);
    let spent = after.cpu_since(&before);
    (result, peaks, spent)
}

/// Processor seconds of the children of this process that have ended: `psql`.
pub(crate) fn of_children() -> f64 {
    of_ended_children(std::process::id()).unwrap_or_default()
}

fn of_ended_children(pid: u32) -> Option<f64> {
    seconds(pid, 13)
}

fn cpu(pid: u32) -> Option<f64> {
    seconds(pid, 11)
}

/// What a process has spent in user space and in the kernel, whose ticks stand at this place and the next.
fn seconds(pid: u32, at: usize) -> Option<f64> {
    let (_, fields) = stat(pid)?;
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Some((ticks(at)? + ticks(at + 1)?) / TICKS)
}

fn is_postmaster(pid: u32) -> bool {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments.split('\0').any(|argument| argument == "-D")
}

fn stat(pid: u32) -> Option<(String, Vec<String>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once(" (")?.1.to_owned();
    Some((name, tail.split_whitespace().map(str::to_owned).collect()))
}

fn descendants(roots: &[u32]) -> Vec<u32> {
    let all: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let parents: BTreeMap<u32, u32> =
        all.iter().filter_map(|pid| Some((*pid, stat(*pid)?.1.get(1)?.parse().ok()?))).collect();
    let below = |mut pid: u32| {
        while let Some(parent) = parents.get(&pid) {
            if roots.contains(&pid) || roots.contains(parent) {
                return true;
            }
            pid = *parent;
        }
        false
    };
    all.into_iter().filter(|pid| below(*pid)).collect()
}

fn role(pid: u32, roots: &[u32]) -> Option<Role> {
    let (name, _) = stat(pid)?;
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    match name.as_str() {
        _ if roots.contains(&pid) => Some(Role::Api),
        "gristmill" => Some(Role::Worker),
        "redis-server" => Some(Role::Redis),
        "postgres" if command.contains("gristmill") && !command.contains("-D") => Some(Role::PostgresBackend),
        "postgres" => Some(Role::PostgresOther),
        _ => None,
    }
}

fn rss(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
