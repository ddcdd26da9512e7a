//! The list of uploads.

use std::process::ExitCode;

use clap::Args;
use gristmill_pipelines::Kind;
use gristmill_uploads::{State, Upload};
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    human::{bytes, count, short, table},
    newest::Newest,
};

/// List uploads, the newest first
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  gristmill uploads --state failed --limit 5")]
pub(crate) struct Uploads {
    /// Only those in this state: receiving, processing, completed, failed or cancelled
    #[arg(long)]
    state: Option<State>,

    /// Only those of this kind
    #[arg(long)]
    kind: Option<Kind>,

    #[command(flatten)]
    newest: Newest,
}

impl Uploads {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut query = Vec::new();
        query.extend(self.state.map(|state| ("state", state.to_string())));
        query.extend(self.kind.map(|kind| ("kind", kind.to_string())));
        let table = |uploads: &[Value]| {
            let uploads: Vec<Upload> = uploads.iter().map(Upload::deserialize).collect::<Result<_, _>>()?;
            Ok(upload_table(&uploads))
        };
        self.newest.show("v1/uploads", &query, "no uploads: `gristmill upload FILE` sends one", table).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn upload_table(uploads: &[Upload]) -> String {
    const HEAD: [&str; 9] = ["ID", "STATE", "KIND", "FILE", "SIZE", "ACCEPTED", "REJECTED", "DUPLICATE", "SENT (UTC)"];
    let right = [false, false, false, false, true, true, true, true, false];
    let rows = uploads.iter().map(|upload| {
        let state = match (&upload.reason, upload.state) {
            (Some(reason), State::Failed) => format!("failed: {reason}"),
            (_, state) => state.to_string(),
        };
        [
            upload.id.to_string(),
            state,
            upload.kind.to_string(),
            // One of 255 characters would push the numbers off the screen.
            short(upload.filename.as_deref().unwrap_or("-"), 32),
            bytes(upload.bytes.unsigned_abs()),
            count(upload.kept()),
            count(upload.rows.rejected),
            count(upload.rows.duplicate),
            upload.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        ]
    });
    table(HEAD, right, &rows.collect::<Vec<_>>())
}
