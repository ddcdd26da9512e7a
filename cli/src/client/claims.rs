//! Claims: the list, one, its voiding, and the providers whose claims come to most.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gristmill_claims::claims::State;
use jiff::civil::Date;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    api::Api,
    confirm::confirm,
    human::{self, count, pretty, table, text},
    newest::Newest,
    server::Server,
};

/// List claims, the newest first; show one, void one; list the providers whose claims come to most
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill claims --state pending --limit 5\n  \
    gristmill claims show 0195b3a4-7c1e-8000-8000-2f6c3f1a9d55\n  \
    gristmill claims void 0195b3a4-7c1e-8000-8000-2f6c3f1a9d55 --yes\n  \
    gristmill claims top-providers --from 2026-01-01 --to 2026-03-31")]
pub(crate) struct Claims {
    #[command(subcommand)]
    action: Option<Action>,

    /// Only those of this provider
    #[arg(long, value_name = "NPI")]
    provider: Option<String>,

    /// Only those of this member
    #[arg(long, value_name = "NUMBER")]
    subscriber: Option<String>,

    /// Only those whose payment stands like this: pending, posted or void
    #[arg(long)]
    state: Option<State>,

    /// Only those of this day or later
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,

    /// Only those of this day or earlier
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,

    #[command(flatten)]
    newest: Newest,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show a claim with its lines, as JSON
    Show {
        /// The claim
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        #[command(flatten)]
        server: Server,
    },
    /// Void a claim: it does not count any more, and what was paid is taken back
    Void {
        /// The claim
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// Do not ask before
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
    /// List the providers with the highest net fees; ten times a minute at most
    TopProviders {
        /// Only claims of this day or later
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// Only claims of this day or earlier
        #[arg(long, value_name = "DATE")]
        to: Option<Date>,
        /// List at most N
        #[arg(long, default_value_t = 10, value_name = "N")]
        limit: usize,
        /// A line of JSON for each
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: Server,
    },
}

impl Claims {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(Action::Show { id, server }) => show(&Api::open(server)?, id).await?,
            Some(Action::Void { id, yes, server }) => return void(&Api::open(server)?, id, yes).await,
            Some(Action::TopProviders { from, to, limit, json, server }) => {
                top(&Api::open(server)?, from, to, limit, json).await?;
            }
            None => self.list().await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn list(self) -> anyhow::Result<()> {
        let mut query = days(self.from, self.to);
        query.extend(self.provider.map(|provider| ("provider", provider)));
        query.extend(self.subscriber.map(|subscriber| ("subscriber", subscriber)));
        query.extend(self.state.map(|state| ("state", state.to_string())));
        let none = "no claims: `gristmill upload FILE --kind claims` brings them";
        self.newest.show("v1/claims", &query, none, |claims| Ok(claim_table(claims))).await
    }
}

fn days(from: Option<Date>, to: Option<Date>) -> Vec<(&'static str, String)> {
    let named = [("from", from), ("to", to)];
    named.into_iter().filter_map(|(name, day)| Some((name, day?.to_string()))).collect()
}

async fn show(api: &Api, id: Uuid) -> anyhow::Result<()> {
    let claim: Value = api.get(&format!("v1/claims/{id}"), &[]).await?;
    pretty(&claim)?;
    Ok(())
}

async fn void(api: &Api, id: Uuid, yes: bool) -> anyhow::Result<ExitCode> {
    let path = format!("v1/claims/{id}");
    if !yes {
        let claim: Value = api.get(&path, &[]).await?;
        let what =
            format!("the claim is {} and comes to {}", text(&claim["payment"]["state"]), money(&claim["net_fee"]));
        if !confirm(&what, "Void it?")? {
            eprintln!("left as it is");
            return Ok(ExitCode::FAILURE);
        }
    }
    let claim: Value = api.change(Method::POST, &format!("{path}/void"), None).await?;
    println!("{}  id {id}", text(&claim["payment"]["state"]));
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct Top {
    items: Vec<Value>,
}

async fn top(api: &Api, from: Option<Date>, to: Option<Date>, limit: usize, json: bool) -> anyhow::Result<()> {
    let mut query = days(from, to);
    query.push(("limit", limit.to_string()));
    let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Top { items } = api.get("v1/claims/top-providers", &query).await?;
    if json {
        items.iter().for_each(|provider| println!("{provider}"));
        return Ok(());
    }
    let rows = items.iter().map(|provider| {
        [
            text(&provider["provider_npi"]),
            money(&provider["net_fee"]),
            number(&provider["claims"]),
            number(&provider["lines"]),
        ]
    });
    const HEAD: [&str; 4] = ["PROVIDER", "NET FEE", "CLAIMS", "LINES"];
    print!("{}", table(HEAD, [false, true, true, true], &rows.collect::<Vec<_>>()));
    Ok(())
}

fn claim_table(claims: &[Value]) -> String {
    const HEAD: [&str; 7] = ["DATE", "PROVIDER", "SUBSCRIBER", "LINES", "NET FEE", "PAYMENT", "ID"];
    let right = [false, false, false, true, true, false, false];
    let rows = claims.iter().map(|claim| {
        [
            text(&claim["service_date"]),
            text(&claim["provider_npi"]),
            text(&claim["subscriber"]).chars().take(24).collect(),
            number(&claim["line_count"]),
            money(&claim["net_fee"]),
            text(&claim["payment"]["state"]),
            text(&claim["id"]),
        ]
    });
    table(HEAD, right, &rows.collect::<Vec<_>>())
}

fn money(value: &Value) -> String {
    human::amount(value)
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(|| text(value), count)
}
