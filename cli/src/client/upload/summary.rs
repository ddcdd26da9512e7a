//! The last words about an upload.

use std::{process::ExitCode, time::Duration};

use gristmill_uploads::{State, Upload};
use serde::Serialize;

use crate::client::{
    NOT_COMPLETED,
    api::{Api, Page},
    human::{count, duration, rate},
    rejects::Reject,
};

/// Rejects shown.
const EXAMPLES: usize = 3;

/// What came of an upload that has ended, and the code to exit with.
pub(in crate::client) async fn print(
    api: &Api,
    upload: &Upload,
    took: Option<Duration>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let completed = upload.state == State::Completed;
    if json {
        println!("{}", serde_json::to_string(upload)?);
    } else {
        println!("{}", if completed { completed_line(upload, took) } else { failed_line(upload) });
        print_dialect(upload);
        print_rejects(api, upload).await;
    }
    Ok(if completed { ExitCode::SUCCESS } else { ExitCode::from(NOT_COMPLETED) })
}

/// Nobody waits for its end.
pub(super) fn print_accepted(upload: &Upload, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(upload)?);
    } else {
        println!("accepted: `gristmill watch {0}` shows how it goes on  id {0}", upload.id);
        print_dialect(upload);
    }
    Ok(ExitCode::SUCCESS)
}

/// The same file was completed before: nothing was done.
pub(super) fn print_same(upload: &Upload, json: bool) -> anyhow::Result<ExitCode> {
    #[derive(Serialize)]
    struct Same<'a> {
        #[serde(flatten)]
        upload: &'a Upload,
        same: bool,
    }
    if json {
        println!("{}", serde_json::to_string(&Same { upload, same: true })?);
        return Ok(ExitCode::SUCCESS);
    }
    let name = upload.filename.as_deref().map(|name| format!(" as {name}")).unwrap_or_default();
    let when =
        upload.completed_at.map(|at| at.strftime(" on %Y-%m-%d at %H:%M:%S UTC").to_string()).unwrap_or_default();
    println!("= the same file was completed before{name}{when}: nothing was done  id {}", upload.id);
    println!("  {}; --force loads it again", outcome(upload));
    Ok(ExitCode::SUCCESS)
}

/// How the file is written, where that is not plain or was said.
fn print_dialect(upload: &Upload) {
    if let Some(dialect) = &upload.dialect {
        println!("  read as {dialect}");
    }
}

fn completed_line(upload: &Upload, took: Option<Duration>) -> String {
    let read = upload.rows.read.unsigned_abs();
    let mut line = format!("✓ {} {}", count(read), if read == 1 { "row" } else { "rows" });
    if let Some(took) = took {
        line += &format!(" in {}", duration(took));
        line += &rate(read, took).map(|rate| format!(" ({} rows/s)", count(rate))).unwrap_or_default();
    }
    format!("{line}: {}  id {}", outcome(upload), upload.id)
}

fn failed_line(upload: &Upload) -> String {
    let reason = upload.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let detail = upload.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("✗ {}{reason}{detail}  id {}", upload.state, upload.id)
}

fn outcome(upload: &Upload) -> String {
    let rows = upload.rows;
    let conflicting = match rows.conflicting_duplicate {
        0 => String::new(),
        conflicting => format!(" ({} of them conflicting)", count(conflicting)),
    };
    let replaced = match rows.replaced {
        0 => String::new(),
        replaced => format!(" ({} of them replaced others)", count(replaced)),
    };
    format!(
        "{} accepted{replaced}, {} rejected, {} duplicate{conflicting}",
        count(rows.accepted),
        count(rows.rejected),
        count(rows.duplicate)
    )
}

/// The first bad records, and how to get the others.
async fn print_rejects(api: &Api, upload: &Upload) {
    let all = (upload.rows.rejected + upload.rows.duplicate).unsigned_abs();
    if all == 0 {
        return;
    }
    let (path, limit) = (format!("v1/uploads/{}/rejects", upload.id), EXAMPLES.to_string());
    // That they cannot be read just now is no reason to call the upload failed.
    let rejects: Vec<Reject> =
        api.get(&path, &[("limit", &limit)]).await.map_or_else(|_| vec![], |page: Page<_>| page.items);
    for reject in &rejects {
        println!("  {reject}");
    }
    let more = all.saturating_sub(rejects.len() as u64);
    if more > 0 || rejects.is_empty() {
        println!("  … {} more: gristmill rejects {} > rejects.csv", count(more), upload.id);
    }
}
