//! Memory, processor time and host of this process, read from `/proc`; on systems without it they are unknown.

use std::{fs, time::Instant};

/// Processor time at the last call.
#[derive(Debug, Default)]
pub(super) struct Usage {
    last: Option<(Instant, u64)>,
    share: Option<f64>,
}

/// `USER_HZ` has been this on every Linux for decades.
const TICKS_PER_SECOND: f64 = 100.0;

impl Usage {
    /// Resident bytes, and the processors used since the last call (1.0 is one processor, all the time).
    pub(super) fn measure(&mut self) -> (Option<u64>, Option<f64>) {
        let now = Instant::now();
        let ticks = processor();
        match (self.last, ticks) {
            (Some((then, _)), Some(_)) if now.duration_since(then).as_secs_f64() < 0.5 => {}
            (Some((then, before)), Some(ticks)) => {
                let seconds = now.duration_since(then).as_secs_f64();
                self.share = Some(ticks.saturating_sub(before) as f64 / TICKS_PER_SECOND / seconds);
                self.last = Some((now, ticks));
            }
            (None, Some(ticks)) => self.last = Some((now, ticks)),
            (_, None) => {}
        }
        (resident(), self.share)
    }
}

pub(super) fn host() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned())
}

fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn processor() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name may contain anything, so count from its closing bracket: utime and stime are fields 14 and 15.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}
