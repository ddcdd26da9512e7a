//! A list that comes whole: how it is asked for, and how it is shown.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::{api::Api, server::Server};

#[derive(Args, Debug)]
pub(super) struct All {
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Value>,
}

impl All {
    /// Fetches the list and shows it: by lines of JSON, or as `text`; an empty one by what `none` says.
    pub(super) async fn show(
        self,
        path: &str,
        none: Option<&str>,
        text: impl FnOnce(&[Value]) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let Items { items } = Api::open(self.server)?.get(path, &[]).await?;
        if self.json {
            items.iter().for_each(|item| println!("{item}"));
            return Ok(());
        }
        match none {
            Some(none) if items.is_empty() => eprintln!("{none}"),
            _ => print!("{}", text(&items)?),
        }
        Ok(())
    }
}
