use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;
use gristmill_platform::config::{DatabaseConfig, RedisConfig, StoreConfig};
use gristmill_platform::doctor::{self, Level};

use super::local_stack::LocalStackArgs;
use crate::say::plain;

/// Check Postgres, Redis and the object store, and say what to change
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: LocalStackArgs,
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    redis: RedisConfig,
    #[command(flatten)]
    store: StoreConfig,
}

impl Doctor {
    pub(super) async fn run(mut self) -> anyhow::Result<ExitCode> {
        self.running.complete(&mut self.database, Some(&mut self.redis), Some(&mut self.store));
        let findings = doctor::examine(&self.database, &self.redis, &self.store).await;
        let sick = findings.iter().any(|finding| finding.level == Level::Fail);
        if self.json {
            println!("{}", serde_json::to_string(&findings)?);
        } else {
            findings.iter().for_each(print);
        }
        Ok(if sick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn print(finding: &doctor::Finding) {
    let (word, colour) = match finding.level {
        Level::Ok => ("ok  ", 32),
        Level::Warn => ("warn", 33),
        Level::Fail => ("fail", 31),
    };
    if std::io::stdout().is_terminal() {
        std::println!("\x1b[{colour}m{word}\x1b[0m  {}", plain(&finding.what));
    } else {
        println!("{word}  {}", finding.what);
    }
    if !finding.fix.is_empty() {
        println!("      do: {}", finding.fix);
    }
}
