//! The tools: subcommands that talk to a running API over HTTP, as any other client would.

mod all;
mod api;
mod bill_run;
mod bills;
mod cancel;
mod claims;
mod confirm;
mod delta;
mod error;
mod generate;
mod groups;
mod health;
mod human;
mod jobs;
mod limits;
mod mail;
mod newest;
mod normalizations;
mod profiles;
mod progress;
mod queues;
mod receipt;
mod rejects;
mod schedules;
mod server;
mod sse;
mod table;
mod upload;
mod uploads;
mod watch;
mod webhooks;
mod workers;

use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use error::Failure;
pub(crate) use human::table;

/// The subcommands of this module.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Upload(upload::Upload),
    Check(upload::check::Check),
    WatchFolder(upload::folder::WatchFolder),
    Watch(watch::Watch),
    Uploads(uploads::Uploads),
    Rejects(rejects::Rejects),
    Receipt(receipt::Receipt),
    Delta(delta::Delta),
    Profiles(profiles::Profiles),
    Cancel(cancel::Cancel),
    Jobs(jobs::Jobs),
    Groups(groups::Groups),
    Queues(queues::Queues),
    Workers(workers::Workers),
    Schedules(schedules::Schedules),
    Bills(bills::Bills),
    BillRun(bill_run::BillRun),
    Normalize(normalizations::Normalize),
    Normalizations(normalizations::Normalizations),
    Claims(claims::Claims),
    Webhooks(webhooks::Webhooks),
    Mail(mail::Mail),
    Generate(generate::Generate),
    Health(health::Health),
}

impl Command {
    /// Runs it. The code is 0, or 3 when it did what it should and the upload has failed; an error is for the caller
    /// to print.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Upload(command) => command.run().await,
            Self::Check(command) => command.run().await,
            Self::WatchFolder(command) => command.run().await,
            Self::Watch(command) => command.run().await,
            Self::Uploads(command) => command.run().await,
            Self::Rejects(command) => command.run().await,
            Self::Receipt(command) => command.run().await,
            Self::Delta(command) => command.run().await,
            Self::Profiles(command) => command.run().await,
            Self::Cancel(command) => command.run().await,
            Self::Jobs(command) => command.run().await,
            Self::Groups(command) => command.run().await,
            Self::Queues(command) => command.run().await,
            Self::Workers(command) => command.run().await,
            Self::Schedules(command) => command.run().await,
            Self::Bills(command) => command.run().await,
            Self::BillRun(command) => command.run().await,
            Self::Normalize(command) => command.run().await,
            Self::Normalizations(command) => command.run().await,
            Self::Claims(command) => command.run().await,
            Self::Webhooks(command) => command.run().await,
            Self::Mail(command) => command.run().await,
            Self::Generate(command) => command.run(),
            Self::Health(command) => command.run().await,
        }
    }
}

/// The exit code of a command whose upload failed or was cancelled.
const NOT_COMPLETED: u8 = 3;
