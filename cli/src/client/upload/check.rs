//! What a load of a file would come to, read on this machine and without a server.

mod told;

use std::{
    fs::File,
    ops::ControlFlow,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use futures::StreamExt as _;
use gristmill_containers::{ContainerError, Wanted};
use gristmill_pipelines::{Checked, IntakeError, Kind, Limits, Rules, Within, claims, sentences, values};
use jiff::{Timestamp, tz::TimeZone};

use super::{said::SaidOfFile, source::Source};
use crate::{
    client::error::answer,
    report::{Advice, report},
};

/// The exit code when rows are not good.
const NOT_GOOD: u8 = 1;
/// The exit code when the file is not read.
const REFUSED: u8 = 2;

/// Read a file whole and say what a load of it would come to; nothing is sent, no server is needed
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill check debts.csv\n  \
    gristmill check dividas.csv --dates dmy --json\n  \
    zstdcat debts.csv.zst | gristmill check -\n\n\
    Rows of earlier uploads and the settings of a client are not looked at.\n\n\
    Exit code: 0 every row is good, 1 some are not, 2 the file is refused or cannot be read.")]
pub(crate) struct Check {
    /// The file: CSV or JSON, plain, gzip or zstd, or a workbook (.xlsx, .ods) or a ZIP archive; `-` reads text from standard input
    file: PathBuf,

    /// What kind of file it is
    #[arg(long, default_value = "debts")]
    kind: Kind,

    #[command(flatten)]
    said: SaidOfFile,

    /// Print everything that was found as JSON: counts, reasons, the first rejects and the first rows
    #[arg(long)]
    json: bool,
}

/// As the server has them, unless its settings say otherwise.
const UNPACKED: gristmill_containers::Limits = gristmill_containers::Limits {
    max_text_bytes: 64 << 30,
    max_ratio: 200,
    max_entries: 10_000,
    max_shared_strings: 256 << 20,
    max_columns: 256,
};

impl Check {
    pub(in crate::client) async fn run(self) -> anyhow::Result<ExitCode> {
        let begun = Instant::now();
        let checked = match self.read().await {
            Ok(checked) => checked,
            Err(error) => {
                eprint!("{}", report(&error));
                return Ok(ExitCode::from(REFUSED));
            }
        };
        self.print(&checked, begun.elapsed())?;
        Ok(if checked.is_good() { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
    }

    async fn read(&self) -> anyhow::Result<Checked> {
        let said = self.said.said(self.kind)?;
        let source = Source::open(&self.file).await?;
        let wanted = Wanted::from(&said);
        let of_text = said.of_text();
        let mut check = gristmill_pipelines::Check::new(self.kind, said, Limits::default(), rules());
        if let Some(file) = source.container()? {
            return container(file, wanted, of_text, check);
        }
        let mut pieces = source.plain().await;
        while let Some(piece) = pieces.next().await {
            let piece = piece.with_context(|| format!("cannot read {source}"))?;
            check.push(&piece).map_err(refused)?;
        }
        check.finish().map_err(refused)
    }

    fn print(&self, checked: &Checked, took: Duration) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(checked)?);
        } else {
            print!("{}", told::told(checked, took));
        }
        Ok(())
    }
}

/// The table of an archive or a workbook, which is read where it is.
fn container(
    file: File,
    wanted: Wanted,
    of_text: Option<&str>,
    mut check: gristmill_pipelines::Check,
) -> anyhow::Result<Checked> {
    let table = gristmill_containers::open(file, wanted, UNPACKED).map_err(unreadable)?;
    let owned = |name: Option<&str>| name.map(str::to_owned);
    let within = Within { container: table.container(), entry: owned(table.entry()), sheet: owned(table.sheet()) };
    if let (true, Some(parameter)) = (within.container.is_workbook(), of_text) {
        let told = format!("the file is a workbook, and --{parameter} says how a text is written");
        return Err(Advice::new(told, "leave it out").into());
    }
    check = check.within(within);
    let mut pushed = Ok(());
    let mut emit = |piece: &[u8]| {
        pushed = check.push(piece);
        if pushed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    table.read(&mut emit).map_err(unreadable)?;
    pushed.map_err(refused)?;
    check.finish().map_err(refused)
}

fn unreadable(error: ContainerError) -> anyhow::Error {
    match error {
        ContainerError::Asks(question) => refused(IntakeError::Asks(vec![question])),
        error => error.into(),
    }
}

/// Those of a client that has set nothing.
fn rules() -> Rules {
    let date = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let today = values::days_of(date.year().into(), date.month().into(), date.day().into());
    Rules { claims: claims::Options { today, ..claims::Options::default() }, ..Rules::default() }
}

fn refused(error: IntakeError) -> anyhow::Error {
    match error {
        IntakeError::Asks(questions) => {
            let todo = questions.first().map(|question| answer(question.parameter, &question.choices));
            Advice::new(sentences(&questions), todo.unwrap_or_default()).into()
        }
        error => error.into(),
    }
}
