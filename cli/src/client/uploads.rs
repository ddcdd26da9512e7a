//! The list of uploads.

use std::process::ExitCode;

use clap::Args;
use gristmill_pipelines::Kind;
use gristmill_uploads::{State, Upload};

use super::{
    api::{Api, Page},
    human::{bytes, count, short, table},
    server::Server,
};

/// The most that the API lists at a time.
const PAGE: usize = 200;

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

    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,

    /// A line of JSON for each
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl Uploads {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { state, kind, limit, json, server } = self;
        let uploads = list(&Api::open(server)?, state, kind, limit).await?;
        if json {
            for upload in &uploads {
                println!("{}", serde_json::to_string(upload)?);
            }
        } else if uploads.is_empty() {
            eprintln!("no uploads: `gristmill upload FILE` sends one");
        } else {
            print(&uploads);
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(api: &Api, state: Option<State>, kind: Option<Kind>, limit: usize) -> anyhow::Result<Vec<Upload>> {
    let mut uploads: Vec<Upload> = Vec::new();
    let mut cursor = None::<String>;
    while uploads.len() < limit {
        let size = (limit - uploads.len()).min(PAGE).to_string();
        let mut query = vec![("limit", size.as_str())];
        query.extend(state.map(|state| ("state", state.as_str())));
        query.extend(kind.map(|kind| ("kind", kind.as_str())));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page<Upload> = api.get("v1/uploads", &query).await?;
        uploads.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(uploads)
}

fn print(uploads: &[Upload]) {
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
            count(upload.rows.accepted),
            count(upload.rows.rejected),
            count(upload.rows.duplicate),
            upload.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        ]
    });
    print!("{}", table(HEAD, right, &rows.collect::<Vec<_>>()));
}
