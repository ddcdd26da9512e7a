use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Args, Command};

use super::*;

/// One setting, as the table of `docs/reference/settings.md` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The group it stands in, such as `Postgres`.
    pub concern: String,
    /// The environment variable.
    pub env: String,
    /// The flag, such as `--database-url`.
    pub flag: String,
    /// The default, empty when there is none.
    pub default: String,
    /// What it is for.
    pub help: String,
}

/// Every setting of the system, in the order in which `docs/reference/settings.md` shows them.
pub fn settings() -> Vec<Setting> {
    let mut all = settings_of::<DatabaseConfig>();
    all.extend(settings_of::<RedisConfig>());
    all.extend(settings_of::<PayloadConfig>());
    all.extend(settings_of::<StoreConfig>());
    all.extend(settings_of::<ApiConfig>());
    all.extend(settings_of::<LimitsConfig>());
    all.extend(settings_of::<WorkerConfig>());
    all.extend(settings_of::<MailConfig>());
    all.extend(settings_of::<OutboundConfig>());
    all.extend(settings_of::<SchedulerConfig>());
    all.extend(settings_of::<MonitorConfig>());
    all.extend(settings_of::<TelemetryConfig>());
    all
}

/// The settings as a table in Markdown: that of `docs/reference/settings.md`.
pub fn markdown() -> String {
    let mut text = String::from("| variable | flag | default | what it is for |\n|---|---|---|---|\n");
    for Setting { env, flag, default, help, .. } in settings() {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        text.push_str(&format!("| `{env}` | `{flag}` | {default} | {} |\n", help.replace('|', "\\|")));
    }
    text
}

/// The settings of one struct.
pub fn settings_of<C: Args>() -> Vec<Setting> {
    let command = C::augment_args(Command::new("gristmill"));
    let arguments = command.get_arguments().filter_map(|arg| {
        let env = arg.get_env()?.to_string_lossy().into_owned();
        let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
        Some(Setting {
            concern: arg.get_help_heading().unwrap_or_default().to_owned(),
            env,
            flag: format!("--{}", arg.get_long().unwrap_or_default()),
            default: defaults.collect::<Vec<_>>().join(" "),
            help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        })
    });
    arguments.collect()
}

/// The settings that the environment sets, by their variables: what another process of the same system needs to be told.
pub fn set_by_environment() -> Vec<(String, String)> {
    let command = Command::new("gristmill").no_binary_name(true);
    let command = DatabaseConfig::augment_args(command);
    let command = PayloadConfig::augment_args(StoreConfig::augment_args(RedisConfig::augment_args(command)));
    let command = LimitsConfig::augment_args(ApiConfig::augment_args(command));
    let command = MailConfig::augment_args(WorkerConfig::augment_args(command));
    let command = SchedulerConfig::augment_args(OutboundConfig::augment_args(command));
    let command = without_empty(TelemetryConfig::augment_args(MonitorConfig::augment_args(command)));
    let variables: Vec<_> =
        command.get_arguments().map(|arg| (arg.get_id().clone(), arg.get_env().map(OsString::from))).collect();
    // a value that cannot be read is the complaint of the role that reads it
    let Ok(matches) = command.try_get_matches_from(std::iter::empty::<OsString>()) else { return Vec::new() };
    let set = variables.into_iter().filter_map(|(id, variable)| {
        let from_environment = matches.value_source(id.as_str()) == Some(ValueSource::EnvVariable);
        let value = matches.get_raw(id.as_str()).filter(|_| from_environment)?.next()?;
        Some((variable?.into_string().ok()?, value.to_str()?.to_owned()))
    });
    set.collect()
}
