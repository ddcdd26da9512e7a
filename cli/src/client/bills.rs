//! Bills: the list, one, its page.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_billing::bills::Status;
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::{
    api::Api,
    confirm::confirm,
    human::{self, pretty, table, text},
    newest::Newest,
    server::Server,
};

/// List bills, the newest first; show one; save its page; cancel it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill bills --status overdue --limit 5\n  \
    gristmill bills show 00000001-0000-8000-8000-000000000007\n  \
    gristmill bills pdf 00000001-0000-8000-8000-000000000007 --output bill.pdf\n  \
    gristmill bills cancel 00000001-0000-8000-8000-000000000007 --yes")]
pub(crate) struct Bills {
    #[command(subcommand)]
    action: Option<Action>,

    /// Only those that stand like this: open, paid, overdue or cancelled
    #[arg(long)]
    status: Option<Status>,

    /// Only those that this billing run made
    #[arg(long, value_name = "ID")]
    run: Option<Uuid>,

    #[command(flatten)]
    newest: Newest,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show a bill with all its codes, as JSON
    Show {
        /// The bill
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        #[command(flatten)]
        server: Server,
    },
    /// Save a bill's page
    Pdf {
        /// The bill
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// Where to
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        server: Server,
    },
    /// Withdraw an open bill of which nothing was paid: it cannot be opened again, nor its debt billed again
    Cancel {
        /// The bill
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// Do not ask before
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
}

impl Bills {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(Action::Show { id, server }) => show(&Api::open(server)?, id).await?,
            Some(Action::Pdf { id, output, server }) => pdf(&Api::open(server)?, id, output).await?,
            Some(Action::Cancel { id, yes, server }) => return cancel(&Api::open(server)?, id, yes).await,
            None => self.list().await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn list(self) -> anyhow::Result<()> {
        let mut query = Vec::new();
        query.extend(self.status.map(|status| ("status", status.to_string())));
        query.extend(self.run.map(|run| ("run_id", run.to_string())));
        let none = "no bills: `gristmill bill-run` makes them from the debts that are due";
        self.newest.show("v1/bills", &query, none, |bills| Ok(bill_table(bills))).await
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

async fn cancel(api: &Api, id: Uuid, yes: bool) -> anyhow::Result<ExitCode> {
    let bill: Value = api.get(&format!("v1/bills/{id}"), &[]).await?;
    let what = format!("bill {} of {}, {}", text(&bill["number"]), text(&bill["payer"]["name"]), amount(&bill));
    let again = bill["status"] == "cancelled";
    if !yes && !again && !confirm(&format!("{what}: a cancelled bill cannot be opened again"), "Cancel it?")? {
        eprintln!("left as it is");
        return Ok(ExitCode::FAILURE);
    }
    let _: Value = api.change(Method::POST, &format!("v1/bills/{id}/cancel"), None).await?;
    println!("cancelled: {what}  id {id}");
    Ok(ExitCode::SUCCESS)
}

fn amount(bill: &Value) -> String {
    human::amount(&bill["amount"])
}

fn bill_table(bills: &[Value]) -> String {
    const HEAD: [&str; 6] = ["NUMBER", "STATUS", "DUE", "AMOUNT", "PAYER", "ID"];
    let right = [true, false, false, true, false, false];
    let rows = bills.iter().map(|bill| {
        [
            text(&bill["number"]),
            text(&bill["status"]),
            text(&bill["due_date"]),
            amount(bill),
            text(&bill["payer"]["name"]).chars().take(24).collect(),
            text(&bill["id"]),
        ]
    });
    table(HEAD, right, &rows.collect::<Vec<_>>())
}
