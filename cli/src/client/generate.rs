//! Test files.

use std::{
    fs::File,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use gristmill_pipelines::generate::{self, Counts};
use serde_json::json;

use super::human::{bytes, count, duration};
use crate::report::Advice;

/// Make a test file
#[derive(Args, Debug)]
pub(crate) struct Generate {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// Debts: the distribution of real files, the same bytes for the same options on every machine
    Debts(WithDuplicates),
    /// Claims: lines of dental visits with the dirt of real files, the same bytes for the same options on every machine
    #[command(after_help = "Example:\n  gristmill generate claims --rows 1000000 -o claims.csv")]
    Claims(Options),
    /// Transactions: descriptors with the noise of statements, the same bytes for the same options on every machine
    #[command(after_help = "Example:\n  gristmill generate transactions --rows 1000000 -o card.csv")]
    Transactions(WithDuplicates),
    /// Messages: questions that cost credits, the same bytes for the same options on every machine
    #[command(after_help = "Example:\n  gristmill generate messages --rows 1000000 -o messages.csv")]
    Messages(WithDuplicates),
}

/// Of a kind whose records have ids that can be repeated.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill generate debts --rows 1100000 -o debts.csv\n  \
    gristmill generate debts --rows 1000 --bad 0.01 --duplicates 0.01 --seed 7 | gristmill upload -")]
struct WithDuplicates {
    #[command(flatten)]
    options: Options,

    /// Share of records that repeat an earlier id of the file, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = share)]
    duplicates: f64,
}

#[derive(Args, Debug)]
struct Options {
    /// Records, without the header
    #[arg(long, value_name = "N", value_parser = records, allow_negative_numbers = true)]
    rows: u64,

    /// Share of bad records, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = share, allow_negative_numbers = true)]
    bad: f64,

    /// Another seed, another file
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,

    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print the expected counts as JSON (to standard error, where the file goes to standard output)
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.kind {
            Kind::Debts(with) => with.options.run(with.duplicates, |options, out| generate::debts(options, out)),
            Kind::Claims(options) => options.run(0.0, |options, out| generate::claims(options, out)),
            Kind::Transactions(with) => {
                with.options.run(with.duplicates, |options, out| generate::transactions(options, out))
            }
            Kind::Messages(with) => with.options.run(with.duplicates, |options, out| generate::messages(options, out)),
        }
    }
}

impl Options {
    fn run(
        self,
        duplicates: f64,
        write: impl Fn(&generate::Options, &mut dyn Write) -> std::io::Result<Counts>,
    ) -> anyhow::Result<ExitCode> {
        if self.bad + duplicates > 1.0 {
            let what = format!("--bad {} and --duplicates {duplicates} are more than all rows together", self.bad);
            return Err(Advice::new(what, "shares add up to 1 at most: 0.01 is one row in a hundred").into());
        }
        let options = generate::Options {
            rows: self.rows,
            bad: self.bad,
            duplicates,
            seed: self.seed,
            ..generate::Options::default()
        };
        let started = Instant::now();
        let output = self.output.as_deref().filter(|path| *path != Path::new("-"));
        let counts = match output {
            Some(path) => {
                let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                write(&options, &mut file).with_context(|| format!("cannot write {}", path.display()))?
            }
            None if std::io::stdout().is_terminal() && self.rows > 1000 => {
                let what = format!("{} rows would flood the terminal", count(self.rows));
                return Err(Advice::new(what, "name a file with -o FILE, or pipe it on").into());
            }
            None => match write(&options, &mut std::io::stdout().lock()) {
                // Whoever reads it has seen enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                written => written.context("cannot write to standard output")?,
            },
        };
        let words = if self.json { as_json(&counts) } else { in_words(&counts, started) };
        match output {
            Some(_) if self.json => println!("{words}"),
            _ => writeln!(std::io::stderr(), "{words}")?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(counts: &Counts) -> String {
    let Counts { accepted, rejected, duplicate, bytes } = *counts;
    let rows = json!({ "read": counts.read(), "accepted": accepted, "rejected": rejected, "duplicate": duplicate });
    json!({ "bytes": bytes, "rows": rows }).to_string()
}

fn in_words(counts: &Counts, started: Instant) -> String {
    format!(
        "{} rows, {} in {}; loaded into an empty system: {} accepted, {} rejected, {} duplicate",
        count(counts.read()),
        bytes(counts.bytes),
        duration(started.elapsed()),
        count(counts.accepted),
        count(counts.rejected),
        count(counts.duplicate),
    )
}

fn records(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "it is not a number of records, such as 100000".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it is not a share from 0 to 1, such as 0.01 for one in a hundred".to_owned()),
    }
}
