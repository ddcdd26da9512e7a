//! Whether a role is well, for container health checks: the image has no curl.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;
use reqwest::{Client, Url};

use super::server::Server;

/// Ask a role whether it is well: exit code 0 if it is
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  gristmill health http://127.0.0.1:8080/readyz")]
pub(crate) struct Health {
    /// The address to ask: /healthz (it lives) or /readyz (it can work) of a role
    /// [default: /healthz of the API that is found here]
    #[arg(value_name = "URL", value_parser = super::server::address)]
    url: Option<Url>,

    #[command(flatten)]
    server: Server,
}

impl Health {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let http = Client::builder().timeout(Duration::from_secs(4)).no_proxy().build()?;
        let url = match self.url {
            Some(url) => url,
            None => self.server.target()?.api.join("healthz")?,
        };
        let answer = http.get(url.clone()).send().await;
        let answer = answer.map_err(reqwest::Error::without_url).with_context(|| format!("{url} does not answer"))?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        println!("{}: {}", status.as_u16(), text.trim());
        Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
