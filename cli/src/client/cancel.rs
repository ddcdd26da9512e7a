//! Cancelling and undoing.

use std::process::ExitCode;

use clap::Args;
use gristmill_uploads::{State, Upload, UploadId};
use reqwest::Method;

use super::{api::Api, confirm::confirm, human::count, server::Server};

/// Cancel a running upload, or undo a completed one
#[derive(Args, Debug)]
#[command(
    override_usage = "gristmill cancel [OPTIONS] <ID>",
    after_help = "Example:\n  gristmill cancel 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55 --yes"
)]
pub(crate) struct Cancel {
    /// The upload
    #[arg(value_parser = super::human::upload)]
    id: UploadId,

    /// Do not ask before a completed upload is undone
    #[arg(long, short)]
    yes: bool,

    /// Print the upload as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl Cancel {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let before = api.upload(self.id).await?;
        if before.state == State::Completed && !self.yes && !may_undo(&before)? {
            eprintln!("left as it is");
            return Ok(ExitCode::FAILURE);
        }
        let request = api.request(Method::DELETE, &format!("v1/uploads/{}", self.id), &[]);
        let after: Upload = api.json(api.send(request).await?).await?;
        if self.json {
            println!("{}", serde_json::to_string(&after)?);
        } else if after.reason.as_deref() == Some("undone") {
            println!(
                "undone: its {} rows no longer count and are being removed  id {}",
                count(before.rows.accepted),
                after.id
            );
        } else {
            println!("cancelled: nothing of it stays  id {}", after.id);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn may_undo(upload: &Upload) -> anyhow::Result<bool> {
    let what = format!("the upload is completed: undoing it removes its {} rows", count(upload.rows.accepted));
    confirm(&what, "Undo it?")
}
