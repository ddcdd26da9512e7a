//! What lands in a folder, sent once each.

mod landed;
mod notes;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use gristmill_pipelines::Kind;
use gristmill_uploads::{OnDuplicate, Policy, UploadId};
use serde::Serialize;
use tokio::time::sleep;

use self::{
    landed::{Inbox, Landed},
    notes::Outcome,
};
use super::{
    said::SaidOfFile,
    send::{ServerUpload, UploadRequest},
    source::Source,
};
use crate::client::{
    NOT_COMPLETED,
    api::Api,
    error::{Failure, Problem},
    human,
    progress::Meter,
    server::Server,
    watch,
};

/// Waits for a server that is away: from, and up to.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Send every file that lands in a folder, once each
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill watch-folder /srv/inbox --kind debts\n  \
    gristmill watch-folder /srv/inbox --kind messages --once   # from cron\n  \
    gristmill watch-folder /srv/inbox --keep --json\n\n\
    A file is taken when it has stayed as it is for --settle seconds. It is moved to done/ when the server has it, to refused/ when \
    the server refuses it, with the reason beside it in NAME.problem.json. Folders, links, names that begin with a dot and those \
    that end in .tmp or .part are left alone: write under such a name, and rename when it is whole.\n\n\
    Exit code: with --once 0 everything was accepted, 3 a file was refused, 1 error; 130 stopped by Ctrl-C.")]
pub(crate) struct WatchFolder {
    /// The folder; it is watched by one process at a time
    folder: PathBuf,

    /// What kind of file they are
    #[arg(long, default_value = "debts")]
    kind: Kind,

    /// What one bad row does: `partial` keeps the good rows of its file, `atomic` keeps nothing
    #[arg(long, default_value = "partial")]
    policy: Policy,

    /// What becomes of a row whose key an earlier file has: `skip` keeps that one, `replace` the new one unless that one is billed, `error`
    /// keeps nothing of its file
    #[arg(long, default_value = "skip")]
    on_duplicate: OnDuplicate,

    /// Load a file even if the same one was completed before under another name: every row of it is a duplicate then
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    said: SaidOfFile,

    /// The profile (`gristmill profiles`) that says what is not said here; none: no one [default: the one that a file's header chooses]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Take what is there and end, for cron; what has not settled is left for the next time
    #[arg(long)]
    once: bool,

    /// Leave files where they are, and note in .gristmill-watch.json which were taken
    #[arg(long)]
    keep: bool,

    /// How long a file must have stayed as it is before it is taken
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    settle: u64,

    /// How often the folder is looked at
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,

    /// Print a line of JSON for each file: `file` with `upload`, or with `problem`
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl WatchFolder {
    pub(in crate::client) async fn run(self) -> anyhow::Result<ExitCode> {
        tokio::select! {
            ended = self.watch() => ended,
            // A file that is just being sent is looked up by its key when it is met again.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        }
    }

    async fn watch(&self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server.clone())?;
        let mut inbox = Inbox::open(&self.folder, self.keep)?;
        let mut wait = WAITS.0;
        loop {
            let refused = match self.look(&api, &mut inbox).await {
                Ok(refused) => refused,
                Err(error) => match error.downcast_ref::<Failure>() {
                    Some(failure) if failure.passes_in_time() && !self.once => {
                        eprintln!("{}: trying again in {}", watch::brief(failure), human::duration(wait));
                        sleep(wait).await;
                        wait = (wait * 2).min(WAITS.1);
                        continue;
                    }
                    _ => return Err(error),
                },
            };
            if self.once {
                return Ok(if refused { ExitCode::from(NOT_COMPLETED) } else { ExitCode::SUCCESS });
            }
            wait = WAITS.0;
            sleep(Duration::from_secs(self.every)).await;
        }
    }

    /// Takes what has settled. Whether one of them was refused.
    async fn look(&self, api: &Api, inbox: &mut Inbox) -> anyhow::Result<bool> {
        let mut refused = false;
        for file in inbox.settled(Duration::from_secs(self.settle), Instant::now())? {
            // It may be gone, or be read by its owner alone: the others do not wait for that.
            let source = match Source::open(&file.path).await {
                Ok(source) => source,
                Err(error) => {
                    eprintln!("{}: left where it is: {error:#}", file.name);
                    continue;
                }
            };
            match self.send(api, &file, &source).await {
                Ok(_) if !file.is_unchanged() => {
                    eprintln!("{}: it changed while it was sent, and is sent again when it has settled", file.name);
                }
                Ok(ServerUpload { upload, .. }) => {
                    self.tell(&file, Told::Upload(upload.id))?;
                    inbox.put(&file, &Outcome::Taken(upload.id))?;
                }
                Err(Failure::Refused(problem)) if problem.is_of_the_file() => {
                    self.tell(&file, Told::Problem(&problem))?;
                    inbox.put(&file, &Outcome::Refused(&problem))?;
                    refused = true;
                }
                Err(failure) => match source.failure() {
                    Some(error) => eprintln!("{}: left where it is: {error}", file.name),
                    None => return Err(anyhow::Error::from(failure).context(format!("{} was not sent", file.name))),
                },
            }
        }
        Ok(refused)
    }

    async fn send(&self, api: &Api, file: &Landed, source: &Source) -> Result<ServerUpload, Failure> {
        let Self { kind, policy, on_duplicate, force, ref said, ref profile, .. } = *self;
        let profile = profile.as_deref();
        let request = UploadRequest { source, kind, policy, on_duplicate, force, said, profile, follow: false };
        request.once(api, &file.key(), &Meter::new(source.bytes())).await
    }

    fn tell(&self, file: &Landed, told: Told<'_>) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            file: &'a str,
            #[serde(flatten)]
            told: &'a Told<'a>,
        }
        if self.json {
            let line = Line { file: &file.name, told: &told };
            println!("{}", serde_json::to_string(&line).context("writing what became of a file")?);
            return Ok(());
        }
        match told {
            Told::Upload(id) => println!("✓ {}  id {id}", file.name),
            Told::Problem(problem) => println!("✗ {}: {problem}", file.name),
        }
        Ok(())
    }
}

/// What became of a file, for its line.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Told<'a> {
    Upload(UploadId),
    Problem(&'a Problem),
}
