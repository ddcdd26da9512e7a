//! Mails: the list, one, as it was sent; and addresses that take none.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_mail::{Kind, State};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::Api,
    human::{pretty, short, table, text},
    newest::Newest,
    server::Server,
};

/// List mails and their outcome; report bounces
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  gristmill mail list --kind bill_new --limit 5\n  \
    gristmill mail bounce janet95@example.com --hard --reason '550 no such user'\n  \
    gristmill mail suppressions")]
pub(crate) struct Mail {
    #[command(subcommand)]
    what: MailCommand,
}

#[derive(Subcommand, Debug)]
enum MailCommand {
    /// List mails, newest first
    List {
        /// Only of this kind, such as bill_new or payment_receipt
        #[arg(long)]
        kind: Option<Kind>,
        /// Only those that stand like this: sending, sent, failed or suppressed
        #[arg(long)]
        state: Option<State>,
        /// Only those to this address
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        #[command(flatten)]
        newest: Newest,
    },
    /// Show one, as JSON with its text
    Show {
        /// The mail
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        #[command(flatten)]
        server: Server,
    },
    /// Save one as it was sent, where it was kept
    Eml {
        /// The mail
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// Where to
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        server: Server,
    },
    /// Send one once more: that failed, or was kept as there was no mail server
    Resend {
        /// The mail
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// Also one that was sent, so that its recipient gets it twice
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Tell of a mail that came back
    Bounce {
        /// The address it was sent to
        address: String,
        /// It will never take mail: no more is sent there
        #[arg(long)]
        hard: bool,
        /// Which mail it was: its header Message-ID
        #[arg(long, value_name = "ID")]
        message_id: Option<String>,
        /// MailCommand was said
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// The addresses that no mail goes to
    Suppressions {
        #[command(flatten)]
        server: Server,
    },
    /// Let mails go to an address again
    Lift {
        /// The address
        address: String,
        #[command(flatten)]
        server: Server,
    },
}

impl Mail {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            MailCommand::List { kind, state, to, newest } => {
                let mut query = Vec::new();
                query.extend(kind.map(|kind| ("kind", kind.to_string())));
                query.extend(state.map(|state| ("state", state.to_string())));
                query.extend(to.map(|to| ("recipient", to)));
                newest.show("v1/mail", &query, "no mails", |mails| Ok(mail_table(mails))).await?;
            }
            MailCommand::Show { id, server } => {
                let mail: Value = Api::open(server)?.get(&format!("v1/mail/{id}"), &[]).await?;
                pretty(&mail)?;
            }
            MailCommand::Eml { id, output, server } => eml(&Api::open(server)?, id, output).await?,
            MailCommand::Resend { id, force, server } => {
                let path = format!("v1/mail/{id}/resend?force={force}");
                let mail: Value = Api::open(server)?.change(Method::POST, &path, None).await?;
                println!("sent again to {}  mail {id}", text(&mail["recipient"]));
            }
            MailCommand::Bounce { address, hard, message_id, reason, server } => {
                let kind = if hard { "hard" } else { "soft" };
                let body = json!({ "recipient": address, "kind": kind, "message_id": message_id, "reason": reason });
                let answer: Value = Api::open(server)?.change(Method::POST, "v1/mail/bounces", Some(&body)).await?;
                let known = answer["mail_id"].as_str().map_or_else(String::new, |id| format!("  mail {id}"));
                let what = if hard { "no more mail goes to" } else { "noted for" };
                println!("{what} {address}{known}");
            }
            MailCommand::Suppressions { server } => suppressions(&Api::open(server)?).await?,
            MailCommand::Lift { address, server } => {
                let api = Api::open(server)?;
                let query = [("address", address.as_str())];
                api.send(api.request(Method::DELETE, "v1/mail/suppressions", &query)).await?;
                println!("mails go to {address} again");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn mail_table(mails: &[Value]) -> String {
    const HEAD: [&str; 4] = ["ID", "STATE", "TO", "SUBJECT"];
    let rows = mails.iter().map(|mail| {
        let state = match (mail["bounce"].is_string(), mail["attempts"].as_i64()) {
            (true, _) => "bounced".to_owned(),
            // No server was talked to: there is none.
            (_, Some(0)) if mail["state"] == "sent" => "kept".to_owned(),
            _ => text(&mail["state"]),
        };
        [text(&mail["id"]), state, short(&text(&mail["recipient"]), 32), short(&text(&mail["subject"]), 64)]
    });
    table(HEAD, [false; 4], &rows.collect::<Vec<_>>())
}

async fn eml(api: &Api, id: Uuid, output: PathBuf) -> anyhow::Result<()> {
    let response = api.send(api.request(Method::GET, &format!("v1/mail/{id}/eml"), &[])).await?;
    let raw = response.bytes().await.map_err(|error| api.failed(error))?;
    std::fs::write(&output, &raw).with_context(|| format!("{} cannot be written", output.display()))?;
    println!("{}", output.display());
    Ok(())
}

async fn suppressions(api: &Api) -> anyhow::Result<()> {
    let suppressions = api.list("v1/mail/suppressions", &[], usize::MAX).await?;
    suppressions.items.iter().for_each(|item| println!("{}  {}", text(&item["address"]), text(&item["reason"])));
    Ok(())
}
