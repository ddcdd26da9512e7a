//! Values that no role can work with are refused where they are read.

use std::time::Duration;

use super::{parse_bytes, parse_duration};

const MIN_DURATION: Duration = Duration::from_millis(1);
const MAX_DURATION: Duration = Duration::from_secs(365 * 86_400);
const SMALLEST: u64 = 1 << 10;
/// A chunk with a record behind it must stay far below what its offsets can count, and fit into memory some times.
const LARGEST: u64 = 256 << 20;

/// A duration that something is waited for, or comes again after: neither none nor for ever.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if (MIN_DURATION..=MAX_DURATION).contains(&time) {
        return Ok(time);
    }
    Err(format!("`{text}` is out of range: from 1ms to 365d"))
}

/// The bytes of a part of a file that is held in memory.
pub(super) fn held_bytes(text: &str) -> Result<u64, String> {
    let bytes = parse_bytes(text)?;
    if (SMALLEST..=LARGEST).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("`{text}` is out of range: from 1KiB to 256MiB"))
}

#[cfg(test)]
mod tests {
    use crate::config::{ApiConfig, LimitsConfig, read};

    #[test]
    fn what_is_out_of_range_is_said_with_the_range() {
        for flag in ["--heartbeat", "--body-timeout", "--header-timeout"] {
            for bad in ["0s", "366d", "18446744073709551615ms"] {
                let error = read::<ApiConfig>([flag, bad]).unwrap_err().to_string();
                assert!(error.contains(flag) && error.contains("from 1ms to 365d"), "{error}");
            }
            read::<ApiConfig>([flag, "1ms"]).unwrap();
        }
        for flag in ["--chunk-bytes", "--max-record-bytes"] {
            for bad in ["0", "1023", "257MiB", "4GiB"] {
                let error = read::<LimitsConfig>([flag, bad]).unwrap_err().to_string();
                assert!(error.contains(flag) && error.contains("from 1KiB to 256MiB"), "{error}");
            }
            read::<LimitsConfig>([flag, "1KiB"]).unwrap();
            read::<LimitsConfig>([flag, "256MiB"]).unwrap();
        }
    }
}
