//! Webhooks: made, looked at, tried, replayed.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gristmill_webhooks::{EventType, deliveries::State};
use jiff::Timestamp;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    all::All,
    api::Api,
    confirm::confirm,
    human::{pretty, short, table, text},
    newest::Newest,
    server::Server,
};

/// Get events by webhook: list, create, test and change webhooks; see deliveries and send them again
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill webhooks list\n  \
    gristmill webhooks create https://example.com/hooks --events upload.completed,bill.paid\n  \
    gristmill webhooks test 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55\n  \
    gristmill webhooks deliveries 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55 --state failed\n  \
    gristmill webhooks replay 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55 --since 2026-01-31T09:00:00Z")]
pub(crate) struct Webhooks {
    #[command(subcommand)]
    what: WebhooksCommand,
}

#[derive(Subcommand, Debug)]
enum WebhooksCommand {
    /// List webhooks, newest first
    List(All),
    /// Create one; prints it with its secret, which is not shown again
    Create {
        /// The URL to call
        url: String,
        /// Events it gets, separated by commas
        #[arg(long, value_delimiter = ',', required = true, value_name = "EVENTS")]
        events: Vec<EventType>,
        /// A note
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Sign with a key of its own (Ed25519) instead of a secret that both sides have
        #[arg(long)]
        ed25519: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Show one, as JSON
    Show(One),
    /// Change one; what is not given stays
    Update {
        #[command(flatten)]
        one: One,
        /// The URL to call
        #[arg(long)]
        url: Option<String>,
        /// Events it gets, separated by commas
        #[arg(long, value_delimiter = ',', value_name = "EVENTS")]
        events: Option<Vec<EventType>>,
        /// A note
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Give one another secret; for 24 hours deliveries are signed with both
    Rotate(One),
    /// Call it no more; what waits for it is cancelled
    Disable(One),
    /// Call it again
    Enable(One),
    /// Send it something to try it with
    Test(One),
    /// WebhooksCommand became of its deliveries, the newest first
    Deliveries {
        /// The webhook
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// Only those that stand like this: pending, delivered, failed or cancelled
        #[arg(long)]
        state: Option<State>,
        #[command(flatten)]
        newest: Newest,
    },
    /// Send deliveries once more: one, or all that have failed
    Replay {
        #[command(flatten)]
        one: One,
        /// This one only
        #[arg(long, value_name = "ID", conflicts_with_all = ["status", "since", "until"])]
        delivery: Option<Uuid>,
        /// Those that stand like this: failed, cancelled or delivered
        #[arg(long, default_value_t = State::Failed)]
        status: State,
        /// Of events from then on
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Of events before then
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Take it away
    Delete {
        #[command(flatten)]
        one: One,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
struct One {
    /// The webhook
    #[arg(value_parser = super::human::id)]
    id: Uuid,
    #[command(flatten)]
    server: Server,
}

impl Webhooks {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            WebhooksCommand::List(all) => {
                let none = Some("no webhooks: `gristmill webhooks create URL --events …` makes one");
                all.show("v1/webhooks", none, |webhooks| Ok(webhook_table(webhooks))).await?;
            }
            WebhooksCommand::Create { url, events, description, ed25519, server } => {
                let signature = if ed25519 { "ed25519" } else { "hmac" };
                let body = json!({ "url": url, "events": events, "description": description, "signature": signature });
                pretty(&Api::open(server)?.change(Method::POST, "v1/webhooks", Some(&body)).await?)?;
            }
            WebhooksCommand::Show(one) => one.ask(Method::GET, "", None).await?,
            WebhooksCommand::Update { one, url, events, description } => {
                let body = json!({ "url": url, "events": events, "description": description });
                one.ask(Method::PUT, "", Some(body)).await?;
            }
            WebhooksCommand::Rotate(one) => one.ask(Method::POST, "/rotate", None).await?,
            WebhooksCommand::Disable(one) => one.ask(Method::POST, "/disable", None).await?,
            WebhooksCommand::Enable(one) => one.ask(Method::POST, "/enable", None).await?,
            WebhooksCommand::Test(one) => one.ask(Method::POST, "/test", None).await?,
            WebhooksCommand::Deliveries { id, state, newest } => {
                let query: Vec<_> = state.map(|state| ("state", state.to_string())).into_iter().collect();
                let path = format!("v1/webhooks/{id}/deliveries");
                newest.show(&path, &query, "no deliveries", |deliveries| Ok(delivery_table(deliveries))).await?;
            }
            WebhooksCommand::Replay { one, delivery: Some(delivery), .. } => {
                one.ask(Method::POST, &format!("/deliveries/{delivery}/replay"), None).await?;
            }
            WebhooksCommand::Replay { one, delivery: None, status, since, until } => {
                let mut query = vec![("status", status.to_string())];
                query.extend(since.map(|since| ("since", since.to_string())));
                query.extend(until.map(|until| ("until", until.to_string())));
                let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let path = one.path("/replay");
                let api = Api::open(one.server)?;
                let answer = api.send(api.request(Method::POST, &path, &query)).await?;
                pretty(&api.json(answer).await?)?;
            }
            WebhooksCommand::Delete { one, yes } => return delete(one, yes).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    fn path(&self, rest: &str) -> String {
        format!("v1/webhooks/{}{rest}", self.id)
    }

    /// Does it, and prints the answer.
    async fn ask(self, method: Method, rest: &str, body: Option<Value>) -> anyhow::Result<()> {
        let path = self.path(rest);
        pretty(&Api::open(self.server)?.change(method, &path, body.as_ref()).await?)
    }
}

fn webhook_table(webhooks: &[Value]) -> String {
    let rows = webhooks.iter().map(|webhook| {
        let state = if webhook["enabled"] == true { "enabled".to_owned() } else { text(&webhook["disabled_reason"]) };
        let events = webhook["events"].as_array().map_or(0, Vec::len).to_string();
        [text(&webhook["id"]), state, events, short(&text(&webhook["url"]), 60)]
    });
    table(["ID", "STATE", "EVENTS", "URL"], [false, false, true, false], &rows.collect::<Vec<_>>())
}

fn delivery_table(deliveries: &[Value]) -> String {
    let rows = deliveries.iter().map(|delivery| {
        let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        let last = attempts.last().map_or_else(String::new, |last| match last["status"].as_i64() {
            Some(status) => format!("{status} in {} ms", last["latency_ms"]),
            None => short(&text(&last["error"]), 50),
        });
        [text(&delivery["id"]), text(&delivery["type"]), text(&delivery["state"]), attempts.len().to_string(), last]
    });
    let head = ["ID", "TYPE", "STATE", "ATTEMPTS", "LAST"];
    table(head, [false, false, false, true, false], &rows.collect::<Vec<_>>())
}

async fn delete(one: One, yes: bool) -> anyhow::Result<ExitCode> {
    let what = format!("the webhook {} goes, and what waits for it is not sent", one.id);
    if !yes && !confirm(&what, "Remove it?")? {
        eprintln!("left as it is");
        return Ok(ExitCode::FAILURE);
    }
    let path = one.path("");
    let api = Api::open(one.server)?;
    let _gone: Response = api.send(api.request(Method::DELETE, &path, &[])).await?;
    println!("deleted");
    Ok(ExitCode::SUCCESS)
}
