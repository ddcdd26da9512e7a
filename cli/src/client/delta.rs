//! What a newer version of a file has changed.

use std::process::ExitCode;

use clap::Args;
use gristmill_uploads::{UploadId, delta};
use serde_json::Value;

use super::{api::Api, human::count, server::Server};

/// Show what a newer version of a file has changed
#[derive(Args, Debug)]
#[command(
    override_usage = "gristmill delta [OPTIONS] <ID>",
    after_help = "Example:\n  gristmill upload debts.csv --on-duplicate replace\n  gristmill delta 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55"
)]
pub(crate) struct Delta {
    /// The upload of the newer version
    #[arg(value_parser = super::human::upload)]
    id: UploadId,

    /// The upload of the earlier version; unless given, the last one before it of the same kind and file name
    #[arg(long, value_parser = super::human::upload)]
    against: Option<UploadId>,

    /// The counts as the API gives them
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl Delta {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let path = format!("v1/uploads/{}/delta", self.id);
        let against = self.against.map(|against| against.to_string());
        let query: Vec<(&str, &str)> = against.iter().map(|against| ("against", against.as_str())).collect();
        let answer: Value = api.get(&path, &query).await?;
        if self.json {
            println!("{answer}");
            return Ok(ExitCode::SUCCESS);
        }
        let delta::Delta { against, new, changed, unchanged, kept, missing } = serde_json::from_value(answer)?;
        println!("against   upload {against}");
        println!("new       {}", count(new));
        println!("changed   {}", count(changed));
        println!("unchanged {}", count(unchanged));
        if kept > 0 {
            println!(
                "kept      {} say something else, and the earlier row counts: gristmill rejects {}",
                count(kept),
                self.id
            );
        }
        println!("missing   {}", count(missing));
        Ok(ExitCode::SUCCESS)
    }
}
