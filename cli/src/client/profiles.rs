//! What is saved of how files are written: listed, put, deleted.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_pipelines::{Delimiter, Kind, records::Records};
use gristmill_uploads::UploadId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api::{Api, segment},
    human::table,
    server::Server,
    upload::said::SaidOfFile,
};
use crate::report::Advice;

/// As many as a client may have.
const MOST: usize = 1_000;

/// Save how files are written, so that it need not be said with each: list, show, put and delete profiles
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    gristmill upload dividas.csv --dates dmy --columns debtId:Contrato\n  \
    gristmill profiles put bank --from-upload 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55\n  \
    gristmill profiles put bank --kind debts --dates dmy --header 'Contrato;Nome;CPF;E-mail;Valor;Vencimento' --delimiter ';'\n  \
    gristmill upload next.csv")]
pub(crate) struct Profiles {
    #[command(subcommand)]
    what: ProfilesCommand,
}

#[derive(Subcommand, Debug)]
enum ProfilesCommand {
    /// List profiles by name
    List {
        /// A line of JSON for each
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Show one
    Show(One),
    /// Save a profile, or replace the one of this name
    Put(Box<Put>),
    /// Delete one; files that are on their way stay as they are
    Delete(One),
}

#[derive(Args, Debug)]
struct One {
    /// The profile
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
struct Put {
    #[command(flatten)]
    one: One,
    /// Of which kind of files [default: that of the upload]
    #[arg(long, required_unless_present = "from_upload")]
    kind: Option<Kind>,
    /// The header of an upload, and what was said or found of it
    #[arg(long, value_name = "ID", value_parser = super::human::upload)]
    from_upload: Option<UploadId>,
    /// The line of a header, as it stands in the files: those that have it use the profile
    #[arg(long, value_name = "LINE")]
    header: Option<String>,
    #[command(flatten)]
    said: SaidOfFile,
}

impl Profiles {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            ProfilesCommand::List { json, server } => {
                let found = Api::open(server)?.list("v1/profiles", &[], MOST).await?.items;
                match (json, found.as_slice()) {
                    (true, all) => all.iter().for_each(|profile| println!("{profile}")),
                    (false, []) => eprintln!("no profiles: `gristmill profiles put NAME` makes one"),
                    (false, all) => print!("{}", rows(all)),
                }
            }
            ProfilesCommand::Show(one) => one.ask(Method::GET, None).await?,
            ProfilesCommand::Put(put) => {
                let body = put.body()?;
                put.one.ask(Method::PUT, Some(body)).await?;
            }
            ProfilesCommand::Delete(one) => {
                let api = Api::open(one.server.clone())?;
                api.send(api.request(Method::DELETE, &one.path(), &[])).await?;
                println!("deleted");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    fn path(&self) -> String {
        format!("v1/profiles/{}", segment(&self.name))
    }

    async fn ask(&self, method: Method, body: Option<Value>) -> anyhow::Result<()> {
        let profile: Value = Api::open(self.server.clone())?.change(method, &self.path(), body.as_ref()).await?;
        if self.json {
            println!("{profile}");
        } else {
            print!("{}", rows(std::slice::from_ref(&profile)));
            let header = profile["header"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let header: Vec<&str> = header.collect();
            if !header.is_empty() {
                println!("header: {}", header.join(" | "));
            }
        }
        Ok(())
    }
}

impl Put {
    fn body(&self) -> anyhow::Result<Value> {
        let says: serde_json::Map<String, Value> =
            self.said.parameters().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let delimiter = match self.kind {
            Some(kind) => self.said.said(kind)?.delimiter,
            None => None,
        };
        let header = self.header.as_deref().map(|line| names(line, delimiter.unwrap_or_default())).transpose()?;
        Ok(json!({ "kind": self.kind, "says": says, "header": header, "from_upload": self.from_upload }))
    }
}

fn names(line: &str, delimiter: Delimiter) -> anyhow::Result<Vec<String>> {
    let mut records = Records::new(line.as_bytes(), 1).delimited_by(delimiter);
    let record = records.next_record().filter(|record| record.columns() > 1).with_context(|| {
        Advice::new(
            format!("the --header has one name when it is cut by a {delimiter}"),
            "give the line of a header as it stands in the file, and its --delimiter",
        )
    })?;
    Ok(record.fields().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect())
}

fn rows(profiles: &[Value]) -> String {
    let mut rows = Vec::new();
    for profile in profiles {
        let says = profile["says"].as_object().into_iter().flatten();
        let says: Vec<String> =
            says.map(|(name, text)| format!("{name}={}", text.as_str().unwrap_or_default())).collect();
        let chosen = if profile["header"].is_null() { "by name" } else { "by its header" };
        let text = |field: &str| profile[field].as_str().unwrap_or("?").to_owned();
        rows.push([text("name"), text("kind"), chosen.to_owned(), says.join("&")]);
    }
    table(["NAME", "KIND", "CHOSEN", "SAYS"], [false; 4], &rows)
}
