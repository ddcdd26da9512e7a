//! The roles: subcommands that run a part of the system, or look after it.

mod api;
mod dashboard;
mod doctor;
mod keys;
mod limits;
mod local_stack;
mod migrate;
mod monitor;
pub(crate) mod role;
mod scheduler;
mod up;
mod worker;

use std::process::ExitCode;

use clap::Subcommand;

/// The subcommands of this module.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Up(up::Up),
    Api(Box<api::Api>),
    Worker(Box<worker::Worker>),
    Scheduler(Box<scheduler::Scheduler>),
    Monitor(Box<monitor::Monitor>),
    Dashboard(dashboard::Dashboard),
    Migrate(migrate::Migrate),
    Keys(keys::Keys),
    Limits(limits::Limits),
    Doctor(doctor::Doctor),
}

impl Command {
    /// Whether it says something and ends, as the commands of a client do.
    pub(crate) fn is_tool(&self) -> bool {
        match self {
            Self::Dashboard(_) | Self::Migrate(_) | Self::Keys(_) | Self::Limits(_) | Self::Doctor(_) => true,
            Self::Up(_) | Self::Api(_) | Self::Worker(_) | Self::Scheduler(_) | Self::Monitor(_) => false,
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(command) => command.run().await?,
            Self::Api(command) => command.run().await?,
            Self::Worker(command) => command.run().await?,
            Self::Scheduler(command) => command.run().await?,
            Self::Monitor(command) => command.run().await?,
            Self::Dashboard(command) => command.run().await?,
            Self::Migrate(command) => command.run().await?,
            Self::Keys(command) => command.run().await?,
            Self::Limits(command) => command.run().await?,
            Self::Doctor(command) => return command.run().await,
        }
        Ok(ExitCode::SUCCESS)
    }
}
