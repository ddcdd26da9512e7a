//! Sending a file and following it to its end.

pub(super) mod check;
pub(super) mod folder;
pub(super) mod said;
mod send;
mod source;
pub(super) mod summary;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use gristmill_pipelines::Kind;
use gristmill_uploads::{OnDuplicate, Policy, State};

use self::{
    said::SaidOfFile,
    send::{ServerUpload, UploadRequest},
    source::Source,
};
use super::{
    api::Api,
    progress::{Meter, Screen, Style},
    server::Server,
    watch,
};

/// Send a file and follow it until every row is loaded
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill upload debts.csv\n  gristmill upload debts.csv.gz --policy atomic\n  \
    gristmill upload messages.ndjson --kind messages\n  \
    gristmill upload debts-corrected.csv --on-duplicate replace\n  \
    gristmill upload dividas.csv --dates dmy --columns debtId:Contrato\n  \
    zstdcat debts.csv.zst | gristmill upload - --kind debts --json\n\n\
    Exit code: 0 completed (with --no-follow: accepted), 3 failed or cancelled, 1 error.")]
pub(crate) struct Upload {
    /// The file, CSV or lines of JSON, plain, gzip or zstd; `-` reads standard input
    file: PathBuf,

    /// What kind of file it is
    #[arg(long, default_value = "debts")]
    kind: Kind,

    /// What one bad row does: `partial` keeps the good rows, `atomic` keeps nothing
    #[arg(long, default_value = "partial")]
    policy: Policy,

    /// What becomes of a row whose key an earlier file has: `skip` keeps that one, `replace` the new one unless that one is billed, `error`
    /// keeps nothing of the file
    #[arg(long, default_value = "skip")]
    on_duplicate: OnDuplicate,

    /// Load it even if the same file was completed before: every row of it is a duplicate then
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    said: SaidOfFile,

    /// The profile (`gristmill profiles`) that says what is not said here; none: no one [default: the one that its header chooses]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Stay until the upload has ended: so it does anyway; with --json, print every change too
    #[arg(long, overrides_with = "no_follow")]
    follow: bool,

    /// Return as soon as the file is accepted
    #[arg(long)]
    no_follow: bool,

    /// Print the upload as JSON when it has ended, with --follow a line for each change
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl Upload {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let follow = !self.no_follow;
        let source = Source::open(&self.file).await?;
        let api = Api::open(self.server)?;
        let meter = Meter::new(source.bytes());
        let sending = UploadRequest {
            source: &source,
            kind: self.kind,
            policy: self.policy,
            on_duplicate: self.on_duplicate,
            force: self.force,
            said: &self.said,
            profile: self.profile.as_deref(),
            follow,
        };

        let screen = Screen::open(&meter, Style::new(self.json && self.follow));
        let done = tokio::select! {
            done = sending.run(&api, &meter) => Some(done),
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(done) = done else {
            screen.close().await;
            return Ok(match meter.upload().filter(|_| meter.may_be_whole()) {
                Some(upload) => watch::stopped(upload.id),
                None => {
                    eprintln!("stopped before the file had arrived: nothing of it stays");
                    ExitCode::from(130)
                }
            });
        };
        let ServerUpload { upload, same } = match done {
            Ok(sent) => sent,
            Err(error) => {
                screen.close().await;
                return Err(error);
            }
        };
        if same || upload.state.is_final() || !follow {
            screen.close().await;
            return if same {
                summary::print_same(&upload, self.json)
            } else if upload.state.is_final() {
                summary::print(&api, &upload, Some(meter.elapsed()), self.json).await
            } else {
                summary::print_accepted(&upload, self.json)
            };
        }

        debug_assert!(matches!(upload.state, State::Receiving | State::Processing));
        let id = upload.id;
        meter.learn(upload);
        let watched = tokio::select! {
            watched = watch::follow(&api, id, &meter) => Some(watched),
            _ = tokio::signal::ctrl_c() => None,
        };
        screen.close().await;
        match watched {
            Some(upload) => summary::print(&api, &upload?, Some(meter.elapsed()), self.json).await,
            None => Ok(watch::stopped(id)),
        }
    }
}
