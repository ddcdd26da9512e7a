//! The one binary: a subcommand a role, plus the tools.

#[macro_use]
mod say;

mod chaos;
mod client;
mod forms;
mod report;
mod roles;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use gristmill_platform::{config, private, telemetry};

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
    Client(Box<client::Command>),
    Chaos(chaos::Chaos),
    ChaosRole(chaos::ChaosRole),
}

#[tokio::main]
async fn main() -> ExitCode {
    // fails only when there is one already
    let _ = rustls::crypto::ring::default_provider().install_default();
    let matches = config::without_empty(Cli::command()).get_matches_from(forms::known(std::env::args_os()));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit());
    let outcome = match cli.command {
        Command::Role(command) => {
            private::begin();
            if command.is_tool() {
                end_with_the_reader();
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &clap::Command, seen: &mut usize) {
        // What no setting is may stand below these, and nothing else may.
        const OURS: [(&str, &[&str]); 3] = [
            ("Server", &["api", "key", "data-dir"]),
            ("Which jobs", &["state", "queue", "name", "client", "group", "tag", "older", "newer", "error"]),
            ("Limits", &["concurrency", "rate", "burst", "per-client", "per-key", "uses"]),
        ];
        let settings = config::settings();
        for arg in command.get_arguments() {
            let Some(heading) = arg.get_help_heading().filter(|_| !arg.is_hide_set()) else { continue };
            let long = arg.get_long().unwrap_or_default();
            let flag = format!("--{long}");
            let is_setting = settings.iter().any(|setting| setting.flag == flag && setting.concern == heading);
            let is_ours = OURS.iter().any(|(ours, longs)| *ours == heading && longs.contains(&long));
            assert!(is_setting || is_ours, "{}: {flag} stands under {heading}", command.get_name());
            *seen += 1;
        }
        command.get_subcommands().filter(|command| !command.is_hide_set()).for_each(|command| check(command, seen));
    }

    #[test]
    fn each_option_stands_under_its_own_heading() {
        let mut seen = 0;
        check(&Cli::command(), &mut seen);
        assert!(seen > 100, "only {seen} options have a heading");
    }
}
