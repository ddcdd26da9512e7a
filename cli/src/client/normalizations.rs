//! Merchants: ask for one, look at what was asked, and say what you know better.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand, ValueEnum};
use jiff::{Zoned, civil::Date};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    all::All,
    api::Api,
    human::{pretty, short, table, text},
    newest::Newest,
    server::Server,
};

/// How often an answer is asked for.
const EVERY: Duration = Duration::from_millis(100);

/// Ask which merchant a card's statement means, and wait for the answer
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill normalize 'Payment Netflix APRIL***' --amount 12.99\n  \
    gristmill normalize 'SQ *BLUE BOTTLE COFFEE OAKLAND CA' --date 2026-01-31 --currency USD --json")]
pub(crate) struct Normalize {
    /// As the statement shows it
    description: String,
    /// The transaction's day; today unless given
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// In the currency's major unit
    #[arg(long, default_value = "0", allow_hyphen_values = true, value_name = "AMOUNT")]
    amount: String,
    /// ISO 4217, such as USD
    #[arg(long)]
    currency: Option<String>,
    /// How long to wait for the answer, in seconds; 0: only say what the request is called
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
    /// The whole answer, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Normalize {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let body = json!({
            "date": self.date.unwrap_or_else(|| Zoned::now().date()),
            "description": self.description,
            "amount": self.amount,
            "currency": self.currency,
        });
        let accepted: Value = api.change(Method::POST, "v1/normalizations", Some(&body)).await?;
        let path = format!("v1/normalizations/{}", text(&accepted["request_id"]));
        let until = Instant::now() + Duration::from_secs(self.wait);
        let answer = loop {
            let answer: Value = api.get(&path, &[]).await?;
            if answer["state"] != "queued" || Instant::now() >= until {
                break answer;
            }
            tokio::time::sleep(EVERY).await;
        };
        if self.json {
            println!("{answer}");
        } else {
            println!("{}", line(&answer));
        }
        let failed = answer["state"] == "failed";
        Ok(if failed { ExitCode::from(super::NOT_COMPLETED) } else { ExitCode::SUCCESS })
    }
}

/// `Netflix  (0.98, streaming)`, or why there is none yet.
fn line(answer: &Value) -> String {
    let merchant = &answer["merchant"];
    match answer["state"].as_str() {
        Some("completed") if merchant["matched"].is_null() => "n/a: no merchant that we know".to_owned(),
        Some("completed") => {
            let of = [("matched by", "matched"), ("score", "score"), ("category", "mcc"), ("Wikidata", "wikidata_id")];
            let known = of.iter().filter(|(_, field)| !merchant[field].is_null());
            let facts: Vec<String> =
                known.map(|(label, field)| format!("{label} {}", rounded(&merchant[field]))).collect();
            format!("{}  ({})", text(&merchant["name"]), facts.join(", "))
        }
        Some("failed") => format!("failed: {}", text(&answer["detail"])),
        _ => format!("not answered yet: `gristmill normalizations show {}` asks again", text(&answer["request_id"])),
    }
}

/// A score to two places; what is no broken number as it is.
fn rounded(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) => format!("{number:.2}"),
        None => text(value),
    }
}

/// List requests for merchants; manage rules that take precedence over the dictionary
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill normalizations list --limit 5\n  \
    gristmill normalizations add-rule contains 'acme widgets' Acme\n  gristmill normalizations rules")]
pub(crate) struct Normalizations {
    #[command(subcommand)]
    what: NormalizationsCommand,
}

#[derive(Subcommand, Debug)]
enum NormalizationsCommand {
    /// List requests, newest first
    List {
        #[command(flatten)]
        newest: Newest,
    },
    /// Show one, as JSON
    Show {
        /// The request
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        #[command(flatten)]
        server: Server,
    },
    /// List your rules, in the order in which they apply
    Rules(All),
    /// Add a rule after the existing ones
    AddRule {
        /// How it is tested
        test: Test,
        /// Words, one behind the other, or an expression
        pattern: String,
        /// The merchant
        name: String,
        #[command(flatten)]
        server: Server,
    },
    /// Delete a rule
    DeleteRule {
        /// The rule
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Test {
    /// Its words stand in the descriptor, whatever the punctuation and the capitals
    Contains,
    /// The expression matches somewhere, in any capitals
    Regex,
}

impl Normalizations {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            NormalizationsCommand::List { newest } => {
                let none = "nothing was asked: `gristmill normalize DESCRIPTION` asks";
                newest.show("v1/normalizations", &[], none, |requests| Ok(request_table(requests))).await?;
            }
            NormalizationsCommand::Show { id, server } => {
                pretty(&Api::open(server)?.get(&format!("v1/normalizations/{id}"), &[]).await?)?;
            }
            NormalizationsCommand::Rules(all) => {
                let none = Some("no rules: `gristmill normalizations add-rule contains WORDS NAME` makes one");
                all.show("v1/normalization-rules", none, |rules| Ok(rule_table(rules))).await?;
            }
            NormalizationsCommand::AddRule { test, pattern, name, server } => {
                let test = if matches!(test, Test::Contains) { "contains" } else { "regex" };
                let body = json!({ "test": test, "pattern": pattern, "name": name });
                pretty(&Api::open(server)?.change(Method::POST, "v1/normalization-rules", Some(&body)).await?)?;
            }
            NormalizationsCommand::DeleteRule { id, server } => {
                let api = Api::open(server)?;
                let path = format!("v1/normalization-rules/{id}");
                let _gone: Response = api.send(api.request(Method::DELETE, &path, &[])).await?;
                println!("deleted");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn request_table(requests: &[Value]) -> String {
    let rows = requests.iter().map(|request| {
        let merchant = text(&request["merchant"]["name"]);
        [text(&request["request_id"]), text(&request["state"]), short(&text(&request["description"]), 40), merchant]
    });
    table(["ID", "STATE", "DESCRIPTION", "MERCHANT"], [false; 4], &rows.collect::<Vec<_>>())
}

fn rule_table(rules: &[Value]) -> String {
    let rows = rules
        .iter()
        .map(|rule| [text(&rule["id"]), text(&rule["test"]), short(&text(&rule["pattern"]), 50), text(&rule["name"])]);
    table(["ID", "TEST", "PATTERN", "MERCHANT"], [false; 4], &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_told_to_two_places() {
        let merchant = json!({ "name": "Netflix", "matched": "dictionary", "score": 0.877_475_3, "mcc": 4_899 });
        let answer = json!({ "state": "completed", "merchant": merchant });
        assert_eq!(line(&answer), "Netflix  (matched by dictionary, score 0.88, category 4899)");
        let ruled = json!({ "name": "Acme", "matched": "rule", "score": 1.0, "mcc": null });
        let answer = json!({ "state": "completed", "merchant": ruled });
        assert_eq!(line(&answer), "Acme  (matched by rule, score 1.00)");
    }
}
