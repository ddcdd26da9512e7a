//! Bills: the list, one, its page.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_billing::bills::Status;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    api::Api,
    human::{count, pretty, table},
    server::Server,
};

/// The most that the API lists at a time.
const PAGE: usize = 200;

/// List bills, the newest first; show one; save its page
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill bills --status overdue --limit 5\n  \
    gristmill bills show 00000001-0000-8000-8000-000000000007\n  \
    gristmill bills pdf 00000001-0000-8000-8000-000000000007 --output bill.pdf")]
pub(crate) struct Bills {
    #[command(subcommand)]
    action: Option<Action>,

    /// Only those that stand like this: open, paid, overdue or cancelled
    #[arg(long)]
    status: Option<Status>,

    /// Only those that this billing run made
    #[arg(long, value_name = "ID")]
    run: Option<Uuid>,

    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,

    /// A line of JSON for each
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show a bill with all its codes, as JSON
    Show {
        /// The bill
        id: Uuid,
        #[command(flatten)]
        server: Server,
    },
    /// Save a bill's page
    Pdf {
        /// The bill
        id: Uuid,
        /// Where to
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
    next_cursor: Option<String>,
    total: u64,
}

impl Bills {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(Action::Show { id, server }) => show(&Api::open(server)?, id).await?,
            Some(Action::Pdf { id, output, server }) => pdf(&Api::open(server)?, id, output).await?,
            None => self.list().await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn list(self) -> anyhow::Result<()> {
        let Self { status, run, limit, json, server, .. } = self;
        let api = Api::open(server)?;
        let (status, run) = (status.map(Status::as_str), run.map(|run| run.to_string()));
        let mut bills = Vec::new();
        let mut total = 0;
        let mut cursor = None::<String>;
        while bills.len() < limit {
            let size = (limit - bills.len()).min(PAGE).to_string();
            let mut query = vec![("limit", size.as_str())];
            query.extend(status.map(|status| ("status", status)));
            query.extend(run.as_deref().map(|run| ("run_id", run)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Listed = api.get("v1/bills", &query).await?;
            total = page.total;
            bills.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if json {
            bills.iter().for_each(|bill| println!("{bill}"));
        } else if bills.is_empty() {
            eprintln!("no bills: `gristmill bill-run` makes them from the debts that are due");
        } else {
            print(&bills);
            eprintln!("{} of {}", count(bills.len() as u64), count(total));
        }
        Ok(())
    }
}

async fn show(api: &Api, id: Uuid) -> anyhow::Result<()> {
    let bill: Value = api.get(&format!("v1/bills/{id}"), &[]).await?;
    pretty(&bill)?;
    Ok(())
}

async fn pdf(api: &Api, id: Uuid, output: PathBuf) -> anyhow::Result<()> {
    let response = api.send(api.request(Method::GET, &format!("v1/bills/{id}/pdf"), &[])).await?;
    let page = response.bytes().await.map_err(|error| api.failed(error))?;
    std::fs::write(&output, &page).with_context(|| format!("{} cannot be written", output.display()))?;
    println!("{}", output.display());
    Ok(())
}

fn print(bills: &[Value]) {
    const HEAD: [&str; 6] = ["NUMBER", "STATUS", "DUE", "AMOUNT", "PAYER", "ID"];
    let right = [true, false, false, true, false, false];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = bills.iter().map(|bill| {
        [
            text(&bill["number"]),
            text(&bill["status"]),
            text(&bill["due_date"]),
            format!("{} {}", text(&bill["amount"]["decimal"]), text(&bill["amount"]["currency"])),
            text(&bill["payer"]["name"]).chars().take(24).collect(),
            text(&bill["id"]),
        ]
    });
    print!("{}", table(HEAD, right, &rows.collect::<Vec<_>>()));
}
