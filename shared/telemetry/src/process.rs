//! What the process costs, by Prometheus' usual names.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{counter, describe_counter, describe_gauge, gauge};

pub(super) fn describe() {
    describe_gauge!("process_resident_memory_bytes", "Resident memory in bytes");
    describe_counter!("process_cpu_seconds_total", "CPU time in whole seconds");
    describe_gauge!("process_start_time_seconds", "Start of the process, in seconds since 1970");
    describe_gauge!("process_open_fds", "Open files and connections");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("process_start_time_seconds").set(now.as_secs_f64());
}

/// Reads `/proc`, where there is one.
pub(super) fn measure() {
    if let Some(bytes) = resident() {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Some(seconds) = processor() {
        counter!("process_cpu_seconds_total").absolute(seconds);
    }
    if let Ok(entries) = std::fs::read_dir(Path::new("/proc/self/fd")) {
        gauge!("process_open_fds").set(entries.count() as f64);
    }
}

fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn processor() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // the program's name may contain anything, so count from its closing bracket: utime and stime are fields 14 and 15
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // USER_HZ has been 100 on every Linux for decades
    Some((user + system) / 100)
}
