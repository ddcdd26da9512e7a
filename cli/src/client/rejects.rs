//! The records of an upload that were not taken.

use std::{fmt, io::Write, process::ExitCode};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use gristmill_pipelines::CheckedReject;
use gristmill_uploads::UploadId;
use reqwest::{Method, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    api::{Api, Page},
    server::Server,
};
use crate::say::plain_line;

/// Get the records of an upload that were not taken, as CSV
#[derive(Args, Debug)]
#[command(
    override_usage = "gristmill rejects [OPTIONS] <ID>",
    after_help = "Example:\n  gristmill rejects 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55 > rejects.csv\n\n\
    The CSV has line, column, reason and message, then the record as it came: what begins with =, +, - or @ is a formula to a \
    spreadsheet, unless --spreadsheet is given. To be corrected and sent again it is better without."
)]
pub(crate) struct Rejects {
    /// The upload
    #[arg(value_parser = super::human::upload)]
    id: UploadId,

    /// A line of JSON for each record instead
    #[arg(long)]
    json: bool,

    /// For a spreadsheet: an apostrophe before each field that it would run as a formula
    #[arg(long, conflicts_with = "json")]
    spreadsheet: bool,

    #[command(flatten)]
    server: Server,
}

/// A record that was not taken.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reject {
    line: u64,
    column: Option<String>,
    reason: String,
    message: String,
    /// All that is wrong with it; none told by a server of before.
    #[serde(default)]
    faults: Vec<Fault>,
}

/// One thing that is wrong with a record.
#[derive(Debug, Serialize, Deserialize)]
struct Fault {
    column: Option<String>,
    code: String,
    message: String,
}

impl From<&CheckedReject> for Reject {
    fn from(reject: &CheckedReject) -> Self {
        let faults = reject.faults.iter().map(|fault| Fault {
            column: fault.column.map(str::to_owned),
            code: fault.code.to_string(),
            message: fault.message.clone(),
        });
        Self {
            line: reject.line,
            column: reject.column.map(str::to_owned),
            reason: reject.reason.to_string(),
            message: reject.message.clone(),
            faults: faults.collect(),
        }
    }
}

/// Each fault on a line of its own.
impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("line {}", self.line);
        if self.faults.is_empty() {
            return write_fault(f, &place, self.column.as_deref(), &self.reason, &self.message);
        }
        for (n, Fault { column, code, message }) in self.faults.iter().enumerate() {
            let place = if n == 0 { place.clone() } else { format!("\n  {:1$}", "", place.len()) };
            write_fault(f, &place, column.as_deref(), code, message)?;
        }
        Ok(())
    }
}

fn write_fault(
    f: &mut fmt::Formatter<'_>,
    place: &str,
    column: Option<&str>,
    code: &str,
    message: &str,
) -> fmt::Result {
    write!(f, "{place}  {}", plain_line(code))?;
    if let Some(column) = column {
        write!(f, "  {}", plain_line(column))?;
    }
    write!(f, "  {}", plain_line(message))
}

impl Rejects {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let path = format!("v1/uploads/{}/rejects", self.id);
        let out = std::io::stdout().lock();
        let written = if self.json {
            write_json(&api, &path, out).await
        } else {
            write_csv(&api, &path, self.spreadsheet, out).await
        };
        match written {
            // `gristmill rejects ID | head` has seen enough.
            Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error),
            Ok(()) => Ok(ExitCode::SUCCESS),
        }
    }
}

async fn write_csv(api: &Api, path: &str, spreadsheet: bool, mut out: impl Write) -> anyhow::Result<()> {
    let query: &[(&str, &str)] = if spreadsheet { &[("spreadsheet", "true")] } else { &[] };
    let request = api.request(Method::GET, path, query).header(header::ACCEPT, "text/csv");
    let mut body = api.send(request).await?.bytes_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| api.failed(error)).context("the list is not complete: run it again")?;
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}

async fn write_json(api: &Api, path: &str, mut out: impl Write) -> anyhow::Result<()> {
    let mut cursor = None::<String>;
    loop {
        let mut query = vec![("limit", "200")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page<Value> = api.get(path, &query).await?;
        for item in &page.items {
            writeln!(out, "{item}")?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(out.flush()?);
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(reject: Value) -> String {
        serde_json::from_value::<Reject>(reject).unwrap().to_string()
    }

    #[test]
    fn each_fault_has_a_line() {
        let (mail, date) = ("email is \"x\", expected an address", "debtDueDate is \"\u{1b}[31m\"");
        let mut reject = serde_json::json!({
            "line": 42, "column": "email", "reason": "bad_email", "message": format!("{mail}. Also: {date}"), "raw": "x",
            "faults": [
                { "column": "email", "code": "bad_email", "message": mail },
                { "column": "debtDueDate", "code": "bad_date", "message": date },
            ],
        });
        let told = shown(reject.clone());
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], format!("line 42  bad_email  email  {mail}"));
        assert!(lines[1].starts_with("           bad_date  debtDueDate  debtDueDate is "), "{told}");
        assert!(lines.len() == 2 && !told.contains('\u{1b}'), "{told}");
        // As servers tell it that know no faults.
        reject.as_object_mut().unwrap().remove("faults");
        assert!(shown(reject).starts_with(&format!("line 42  bad_email  email  {mail}. Also: ")));
    }
}
