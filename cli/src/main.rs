//! The one binary: a subcommand a role, plus the tools.

#[macro_use]
mod say;

mod chaos;
mod client;
mod forms;
mod report;
mod roles;
mod shutdown;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gristmill_platform::{private, telemetry};

/// Chunks come and go by megabytes: glibc keeps twice as much of them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bulk files in; settled rows out, each exactly once.
#[derive(Parser, Debug)]
#[command(name = "gristmill", version, max_term_width = 120, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    Role(roles::Command),
    #[command(flatten)]
    Client(client::Command),
    Chaos(chaos::Chaos),
    ChaosRole(chaos::ChaosRole),
}

#[tokio::main]
async fn main() -> ExitCode {
    // fails only when there is one already
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Cli::parse_from(forms::known(std::env::args_os())).command {
        Command::Role(command) => {
            private::begin();
            command.run().await
        }
        Command::Client(command) => {
            end_with_the_reader();
            command.run().await
        }
        Command::Chaos(command) => command.run().await,
        Command::ChaosRole(command) => command.run().await,
    };
    telemetry::finish().await;
    outcome.unwrap_or_else(|error| {
        eprint!("{}", report::report(&error));
        ExitCode::FAILURE
    })
}

/// Who reads the output may have seen enough (`| head`): that ends a command as it ends others, without a word. `println!`
/// says it by a panic only.
fn end_with_the_reader() {
    /// Of a process that SIGPIPE has ended, as a shell gives it.
    const SIGPIPE: i32 = 128 + 13;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|message| message.starts_with("failed printing to stdout: Broken pipe")) {
            std::process::exit(SIGPIPE);
        }
        hook(panic);
    }));
}
