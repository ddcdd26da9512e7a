//! A list that comes in pages: how its newest items are asked for, and how they are shown.

use clap::Args;
use serde_json::Value;

use super::{api::Api, human::count, server::Server};

#[derive(Args, Debug)]
pub(super) struct Newest {
    /// List at most N
    #[arg(long, default_value = "20", value_name = "N", value_parser = some, allow_negative_numbers = true)]
    limit: usize,
    /// A line of JSON for each
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) server: Server,
}

/// How many there may be.
fn some(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is shown".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("it is not a number of items, such as 20".to_owned()),
    }
}

impl Newest {
    /// Fetches them and shows them: by lines of JSON, or as `text`; an empty list by what `none` says.
    pub(super) async fn show(
        self,
        path: &str,
        query: &[(&str, String)],
        none: &str,
        text: impl FnOnce(&[Value]) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let found = Api::open(self.server)?.list(path, query, self.limit).await?;
        if self.json {
            found.items.iter().for_each(|item| println!("{item}"));
            return Ok(());
        }
        if found.items.is_empty() {
            eprintln!("{none}");
            return Ok(());
        }
        print!("{}", text(&found.items)?);
        if found.more {
            let of = found.total.as_ref().and_then(Value::as_u64);
            let of = of.map_or_else(String::new, |total| format!(" of {}", count(total)));
            eprintln!("the newest {}{of}: --limit shows more", count(found.items.len() as u64));
        }
        Ok(())
    }
}
