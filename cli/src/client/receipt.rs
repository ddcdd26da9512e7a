//! The receipt of a completed upload, added up again on this side.

use std::process::ExitCode;

use clap::Args;
use gristmill_uploads::{Rows, UploadId, read};
use serde_json::Value;

use super::{
    api::Api,
    human::{bytes, count, duration, rate, table},
    server::Server,
};

/// Show the proof that a completed upload adds up
#[derive(Args, Debug)]
#[command(
    override_usage = "gristmill receipt [OPTIONS] <ID>",
    after_help = "Example:\n  gristmill receipt 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55\n\n\
    Exit code: 1 when the sums do not add up."
)]
pub(crate) struct Receipt {
    /// The upload
    #[arg(value_parser = super::human::upload)]
    id: UploadId,

    /// Show every chunk
    #[arg(long)]
    chunks: bool,

    /// The receipt as the API gives it
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl Receipt {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let path = format!("v1/uploads/{}/receipt", self.id);
        let answer: Value = api.get(&path, &[]).await?;
        if self.json {
            println!("{answer}");
            return Ok(ExitCode::SUCCESS);
        }
        let receipt: read::Receipt = serde_json::from_value(answer)?;
        print(&receipt);
        if self.chunks {
            print_chunks(&receipt);
        }
        Ok(if faults(&receipt).is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(receipt: &read::Receipt) {
    let read::Receipt { rows, chunks, .. } = receipt;
    let took = |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).unsigned_abs();
    let whole = took(receipt.created_at, receipt.completed_at);
    let speed = rate(rows.read.unsigned_abs(), whole).map(|rate| format!("  ({} rows/s)", count(rate)));
    println!("upload    {}", receipt.upload_id);
    println!("file      {}, {}", receipt.filename.as_deref().unwrap_or("without a name"), receipt.kind);
    if let Some(dialect) = &receipt.dialect {
        println!("read as   {dialect}");
    }
    println!("size      {} bytes ({})", count(receipt.bytes), bytes(receipt.bytes.unsigned_abs()));
    println!("sha256    {}", receipt.sha256);
    println!("received  {}  in {}", at(receipt.received_at), duration(took(receipt.created_at, receipt.received_at)));
    println!("completed {}  in {}{}", at(receipt.completed_at), duration(whole), speed.unwrap_or_default());
    println!();
    println!(
        "rows      {} read = {} accepted + {} rejected + {} duplicate",
        count(rows.read),
        count(rows.accepted),
        count(rows.rejected),
        count(rows.duplicate)
    );
    if rows.replaced > 0 {
        println!("          {} of the accepted replaced a row of an earlier upload", count(rows.replaced));
    }
    if rows.superseded > 0 {
        println!(
            "          {} of the accepted were replaced by later uploads and do not count any more",
            count(rows.superseded)
        );
    }
    if rows.conflicting_duplicate > 0 {
        println!(
            "          {} of the duplicates say something else than the row that counts: gristmill rejects {}",
            count(rows.conflicting_duplicate),
            receipt.upload_id
        );
    }
    println!(
        "bytes     {}{} = {} header + {} in {} chunks",
        count(text_bytes(receipt)),
        if receipt.text_bytes.is_some() { " in UTF-8" } else { "" },
        count(receipt.header_bytes),
        count(chunks.iter().map(|chunk| chunk.bytes).sum::<i64>()),
        count(chunks.len() as u64)
    );
    if let (Some(lines), Some(read)) = (receipt.lines, lines_read(receipt)) {
        let blank: i64 = chunks.iter().filter_map(|chunk| chunk.blank).sum();
        println!(
            "lines     {} = {} header + {} in chunks, of which {} without a value",
            count(lines),
            count(header_lines(receipt)),
            count(read),
            count(blank)
        );
    }
    match faults(receipt).as_slice() {
        [] => println!("✓ it adds up"),
        faults => faults.iter().for_each(|fault| println!("✗ {fault}")),
    }
}

fn print_chunks(receipt: &read::Receipt) {
    const HEAD: [&str; 10] =
        ["CHUNK", "LINE", "BYTE", "BYTES", "READ", "ACCEPTED", "REJECTED", "DUPLICATE", "CONFLICTING", "SHA256"];
    let right = [true, true, true, true, true, true, true, true, true, false];
    let rows = receipt.chunks.iter().map(|chunk| {
        let Rows { read, accepted, rejected, duplicate, conflicting_duplicate, .. } = chunk.rows;
        let [no, line, byte, bytes] = [i64::from(chunk.no), chunk.first_line, chunk.first_byte, chunk.bytes].map(count);
        let [read, accepted, rejected, duplicate, conflicting] =
            [read, accepted, rejected, duplicate, conflicting_duplicate].map(count);
        [no, line, byte, bytes, read, accepted, rejected, duplicate, conflicting, chunk.sha256.clone()]
    });
    print!("\n{}", table(HEAD, right, &rows.collect::<Vec<_>>()));
}

/// What header and chunks have together.
fn text_bytes(receipt: &read::Receipt) -> i64 {
    receipt.text_bytes.unwrap_or(receipt.bytes)
}

/// Lines of the chunks, if they were counted.
fn lines_read(receipt: &read::Receipt) -> Option<i64> {
    receipt.chunks.iter().map(|chunk| chunk.lines).sum()
}

/// Lines before the first chunk.
fn header_lines(receipt: &read::Receipt) -> i64 {
    receipt.chunks.first().map_or(receipt.lines.unwrap_or(0), |chunk| chunk.first_line - 1)
}

/// What does not add up: nothing, unless something is very wrong.
fn faults(receipt: &read::Receipt) -> Vec<String> {
    let adds_up = |rows: &Rows| rows.read == rows.accepted + rows.rejected + rows.duplicate;
    let mut faults = Vec::new();
    if !adds_up(&receipt.rows) {
        faults.push("the rows do not add up".to_owned());
    }
    let mut sum = Rows::default();
    let mut next = receipt.header_bytes;
    for chunk in &receipt.chunks {
        if !adds_up(&chunk.rows) {
            faults.push(format!("the rows of chunk {} do not add up", chunk.no));
        }
        if chunk.first_byte != next {
            faults.push(format!("chunk {} begins at byte {}, not {next}", chunk.no, chunk.first_byte));
        }
        next = chunk.first_byte + chunk.bytes;
        sum.read += chunk.rows.read;
        sum.accepted += chunk.rows.accepted;
        sum.rejected += chunk.rows.rejected;
        sum.duplicate += chunk.rows.duplicate;
        sum.conflicting_duplicate += chunk.rows.conflicting_duplicate;
    }
    if next != text_bytes(receipt) {
        faults.push(format!("the chunks end at byte {next} of {}", text_bytes(receipt)));
    }
    if let (Some(lines), Some(read)) = (receipt.lines, lines_read(receipt))
        && header_lines(receipt) + read != lines
    {
        faults.push(format!("header and chunks have {} lines, the file has {lines}", header_lines(receipt) + read));
    }
    if sum != receipt.rows {
        faults.push("the chunks' rows are not the upload's".to_owned());
    }
    faults
}

fn at(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}
