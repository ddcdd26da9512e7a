use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::bodies::{self, Build};
use crate::roles::role;

/// A role as `gristmill chaos` runs it: gone with its parent, the worker with the bodies of the chaos' own jobs
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct ChaosRole {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand, Debug)]
enum Role {
    Api {
        #[command(flatten)]
        config: Box<gristmill_api::Config>,
    },
    Worker {
        #[command(flatten)]
        config: Box<gristmill_worker::Config>,

        /// Which of the chaos' own jobs it knows
        #[arg(long, value_enum, default_value = "today")]
        build: Build,
    },
    Scheduler {
        #[command(flatten)]
        config: Box<gristmill_scheduler::Config>,
    },
}

impl ChaosRole {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.role {
            Role::Api { config } => {
                let role = config.role.clone();
                role::run("api", &role, true, || None, |shutdown| gristmill_api::run(*config, shutdown)).await?;
            }
            Role::Worker { config, build } => {
                let (role, label) = (config.role.clone(), config.worker.worker_label.clone());
                let health = gristmill_worker::WorkerHealth::default();
                let watched = health.clone();
                let work = |shutdown| {
                    let more = move |app| bodies::register(app, &label, build);
                    gristmill_worker::run_with(*config, more, health, shutdown)
                };
                role::run("worker", &role, true, move || watched.unhealthy_reason(), work).await?;
            }
            Role::Scheduler { config } => {
                let role = config.role.clone();
                role::run("scheduler", &role, true, || None, |shutdown| gristmill_scheduler::run(*config, shutdown))
                    .await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
