//! The list of uploads.

use std::process::ExitCode;

use clap::Args;
use gristmill_pipelines::Kind;
use gristmill_uploads::{State, Upload};
use serde::Deserialize;
use serde_json::Value;

use super::{
    human::{bytes, count, short, table},
    newest::Newest,
};

/// List uploads, the newest first
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  gristmill uploads --state failed --limit 5\n\n\
    With an operator's key it lists the uploads of all clients.")]
pub(crate) struct Uploads {
    /// Only those in this state: receiving, processing, completed, failed or cancelled
    #[arg(long)]
    state: Option<State>,

    /// Only those of this kind
    #[arg(long)]
    kind: Option<Kind>,

    /// Only those of this client (with an operator's key)
    #[arg(long, value_name = "NAME")]
    client: Option<String>,

    #[command(flatten)]
    newest: Newest,
}

impl Uploads {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut query = Vec::new();
        query.extend(self.state.map(|state| ("state", state.to_string())));
        query.extend(self.kind.map(|kind| ("kind", kind.to_string())));
        query.extend(self.client.map(|client| ("client", client)));
        let table = |uploads: &[Value]| {
            let uploads: Vec<UploadItem> = uploads.iter().map(UploadItem::deserialize).collect::<Result<_, _>>()?;
            Ok(upload_table(&uploads))
        };
        self.newest.show("v1/uploads", &query, "no uploads: `gristmill upload FILE` sends one", table).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// As the API lists it: for an operator with its client.
#[derive(Deserialize)]
struct UploadItem {
    #[serde(flatten)]
    upload: Upload,
    client: Option<String>,
}

fn upload_table(uploads: &[UploadItem]) -> String {
    const HEAD: [&str; 10] =
        ["ID", "CLIENT", "STATE", "KIND", "FILE", "SIZE", "ACCEPTED", "REJECTED", "DUPLICATE", "SENT (UTC)"];
    let right = [false, false, false, false, false, true, true, true, true, false];
    let of_all = uploads.iter().any(|listed| listed.client.is_some());
    let rows = uploads.iter().map(|UploadItem { upload, client }| {
        let state = match (&upload.reason, upload.state) {
            (Some(reason), State::Failed) => format!("failed: {reason}"),
            (_, state) => state.to_string(),
        };
        [
            upload.id.to_string(),
            short(client.as_deref().unwrap_or("-"), 20),
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
    let rows: Vec<[String; 10]> = rows.collect();
    if of_all {
        return table(HEAD, right, &rows);
    }
    // Whose they are is known.
    let own = |row: &[String; 10]| -> [String; 9] { std::array::from_fn(|at| row[at + usize::from(at > 0)].clone()) };
    let head: [&str; 9] = std::array::from_fn(|at| HEAD[at + usize::from(at > 0)]);
    let right: [bool; 9] = std::array::from_fn(|at| right[at + usize::from(at > 0)]);
    table(head, right, &rows.iter().map(own).collect::<Vec<_>>())
}
