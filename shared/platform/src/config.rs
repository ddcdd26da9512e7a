//! Configuration: read once, at the edge, into a struct a concern. Every setting is a flag and an environment variable.
//!
//! A role's `Config` flattens the structs it needs. [`settings`] lists all of them: the table in `docs/reference/settings.md` is
//! tested against the code.

mod limits;
mod mail;
mod outbound;
mod payloads;
mod range;
mod roles;
mod sources;
mod table;
#[cfg(debug_assertions)]
mod test_poison;

pub use limits::LimitsConfig;
pub use mail::MailConfig;
pub use outbound::{Network, OutboundConfig, Ports};
pub use payloads::{PayloadConfig, PayloadKeysError};
pub use roles::{ApiConfig, MonitorConfig, RoleConfig, SchedulerConfig, WorkerConfig};
pub use sources::{DatabaseConfig, LogFormat, NoRedisUrl, RedisConfig, StoreConfig, TelemetryConfig, cloud_options};
pub use table::{Setting, markdown, set_by_environment, settings, settings_of};
#[cfg(debug_assertions)]
pub use test_poison::test_poison;

use std::ffi::OsString;

use clap::{Args, Command};

/// Where `gristmill up` keeps its data unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = ".gristmill";

/// Reads `C` from the given flags and, for what they leave open, from the environment.
///
/// `gristmill up` configures the roles it runs in process with this: the flags say what it decided itself.
pub fn read<C: Args>(flags: impl IntoIterator<Item = impl Into<OsString>>) -> Result<C, clap::Error> {
    let command = without_empty(C::augment_args(Command::new("gristmill").no_binary_name(true)));
    let matches = command.try_get_matches_from(flags.into_iter().map(Into::into))?;
    C::from_arg_matches(&matches)
}

/// The command, for which a variable that is set and empty is as good as not set: so compose files, unit files and shells
/// leave one out.
#[expect(clippy::disallowed_methods, reason = "the environment is looked at here, at the edge")]
pub fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let is_empty = arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { arg.env(None::<&'static str>) } else { arg }
    });
    let inside: Vec<String> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    inside.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_empty))
}

/// `C` with every setting at its default, whatever the environment says.
pub fn defaults<C: Args>() -> C {
    let command = C::augment_args(Command::new("gristmill").no_binary_name(true));
    let command = command.mut_args(|arg| arg.env(None::<&'static str>));
    let matches = command.get_matches_from(std::iter::empty::<OsString>());
    C::from_arg_matches(&matches).expect("every setting has a default or is optional")
}

/// `impl Default` by the defaults that stand in the clap attributes, so that they stand once.
macro_rules! default_by_clap {
    ($($config:ty),+ $(,)?) => {$(
        impl Default for $config {
            fn default() -> Self {
                $crate::config::defaults()
            }
        }
    )+};
}
use default_by_clap;

/// Reads `30s`, `10m`, `2h`, `7d` or `250ms`.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || format!("`{text}` is not a duration such as 250ms, 30s, 10m, 2h or 7d");
    let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let millis = number.checked_mul(millis).ok_or_else(wrong)?;
    Ok(std::time::Duration::from_millis(millis))
}

/// Reads a number of bytes: `4096`, `64KiB`, `2MiB`, `10GiB`, `1TiB` (also `2M`, `2MB`: powers of 1024 all the same).
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || format!("`{text}` is not a number of bytes such as 4096, 64KiB, 2MiB or 10GiB");
    let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
    let unit = text[digits.len()..].to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        assert!(parse_duration("7").is_err() && parse_duration("s").is_err() && parse_duration("é").is_err());
    }

    #[test]
    fn byte_counts() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("2MiB"), Ok(2 << 20));
        assert_eq!(parse_bytes("10 GB"), Ok(10 << 30));
        assert!(parse_bytes("ten").is_err() && parse_bytes("20000000000TiB").is_err());
    }

    #[test]
    fn flags_win_over_defaults() {
        let config: LimitsConfig = read(["--max-columns", "7"]).unwrap();
        assert_eq!(config.max_columns, 7);
        assert_eq!(config.chunk_bytes, LimitsConfig::default().chunk_bytes);
    }
}
