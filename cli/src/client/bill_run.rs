//! Billing runs: begun and waited for, looked at, approved, stopped.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    NOT_COMPLETED,
    api::Api,
    human::{amount, count, table, text},
    server::Server,
};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Bill all debts that are due now, and wait for it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill bill-run --dry-run\n  gristmill bill-run --list\n  \
    gristmill bill-run --approve 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55")]
pub(crate) struct BillRun {
    /// Only say what it would do
    #[arg(long, conflicts_with_all = ["list", "approve", "cancel"])]
    dry_run: bool,

    /// List the last runs instead
    #[arg(long, conflicts_with_all = ["approve", "cancel"])]
    list: bool,

    /// Let a held run go on, and wait for it
    #[arg(long, value_name = "ID", conflicts_with = "cancel")]
    approve: Option<Uuid>,

    /// Stop a run; what it has billed stays billed
    #[arg(long, value_name = "ID")]
    cancel: Option<Uuid>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl BillRun {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        if self.list {
            return list(&api, self.json).await;
        }
        let request = match (self.approve, self.cancel) {
            (Some(id), _) => api.request(Method::POST, &format!("v1/billing-runs/{id}/approve"), &[]),
            (None, Some(id)) => api.request(Method::DELETE, &format!("v1/billing-runs/{id}"), &[]),
            (None, None) => api.request(Method::POST, "v1/billing-runs", &[]).json(&json!({ "dry_run": self.dry_run })),
        };
        let mut run: Value = api.json(api.send(request).await?).await?;
        let path = format!("v1/billing-runs/{}", text(&run["id"]));
        while ["queued", "running"].contains(&text(&run["state"]).as_str()) {
            tokio::time::sleep(LOOK_EVERY).await;
            run = api.get(&path, &[]).await?;
        }
        if self.json {
            println!("{run}");
        } else {
            tell(&run);
        }
        Ok(if run["state"] == "completed" || self.cancel.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NOT_COMPLETED)
        })
    }
}

fn tell(run: &Value) {
    let bills = count(run["bills"].as_u64().unwrap_or(0));
    let amount = amount(&run["amount"]);
    let id = text(&run["id"]);
    let unpayable = run["unpayable"].as_u64().unwrap_or(0);
    match run["state"].as_str() {
        Some("completed") if run["dry_run"] == true => {
            println!("it would make {bills} bills of {amount} in all");
            if unpayable > 0 {
                let why = "no rail of the settings can carry them, and no mail would be sent about them";
                println!("{} of them are not payable: {why}", count(unpayable));
            }
        }
        Some("completed") => {
            println!("{bills} bills of {amount} in all  run {id}");
            if unpayable > 0 {
                let why = format!("`not_payable` of GET /v1/bills?run_id={id} says why");
                println!("{} of them are not payable, and no mail is sent about them: {why}", count(unpayable));
            }
            if let (Some(mails), Some(made)) = (run["mails"].as_u64(), run["bills"].as_u64())
                && mails + unpayable < made
            {
                let kept = "without a mail server the first 1,000 of a run, to look at; sample bills are never mailed";
                println!("{} of them become mails: {kept}", count(mails));
            }
        }
        Some(state) => println!("{state}: {}  {bills} bills so far  run {id}", text(&run["detail"])),
        None => println!("{run}"),
    }
}

async fn list(api: &Api, as_json: bool) -> anyhow::Result<ExitCode> {
    const HEAD: [&str; 6] = ["ID", "STATE", "CAUSE", "BILLS", "AMOUNT", "BEGUN (UTC)"];
    let right = [false, false, false, true, true, false];
    let runs = api.list("v1/billing-runs", &[], 50).await?;
    if as_json {
        runs.items.iter().for_each(|run| println!("{run}"));
        return Ok(ExitCode::SUCCESS);
    }
    let rows = runs.items.iter().map(|run| {
        let state = if run["dry_run"] == true { "dry run".to_owned() } else { text(&run["state"]) };
        [
            text(&run["id"]),
            state,
            text(&run["cause"]),
            count(run["bills"].as_u64().unwrap_or(0)),
            amount(&run["amount"]),
            text(&run["created_at"]).chars().take(19).collect(),
        ]
    });
    print!("{}", table(HEAD, right, &rows.collect::<Vec<_>>()));
    if runs.more {
        eprintln!("there are more: GET /v1/billing-runs lists all");
    }
    Ok(ExitCode::SUCCESS)
}
