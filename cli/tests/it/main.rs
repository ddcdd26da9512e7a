//! The binary, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alone;
mod book;
mod chaos;
mod claims;
mod client;
mod commits;
mod compose;
mod crash;
mod dashboard;
mod described_metrics;
mod docs;
mod generate;
mod harness;
mod layers;
mod leftovers;
mod mail;
mod messages;
mod normalizations;
mod outage;
#[cfg(debug_assertions)]
mod poison;
mod readme;
mod reconnect;
mod reference;
mod repository;
mod roles;
mod stack;
mod statements;
mod steering;
mod traces;
mod up;
mod watch_folder;
mod webhooks;
mod words;

use std::{
    path::Path,
    process::{Command, Output},
};

/// What is tested; `make pictures` names the one in release.
const BINARY: &str = match option_env!("PICTURED_BINARY") {
    Some(pictured) => pictured,
    None => env!("CARGO_BIN_EXE_gristmill"),
};

/// The binary, in a folder and with nothing in its environment that configures it.
fn gristmill(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder);
    let ours = |name: &str| {
        name.starts_with("GRISTMILL_") || name.starts_with("OTEL_") || matches!(name, "DATABASE_URL" | "REDIS_URL")
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
