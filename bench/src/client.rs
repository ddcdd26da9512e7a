//! A client of the API: sends a file, watches it to its end.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use crate::stack::Stack;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) rows: Rows,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rows {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) duplicate: u64,
}

/// How long a file took.
pub(crate) struct UploadTiming {
    /// First byte sent → everything stored (the `202`).
    pub(crate) accepted: Duration,
    /// First byte sent → `completed` seen on the event stream.
    pub(crate) completed: Duration,
    pub(crate) upload: Upload,
}

/// Sends a file and waits for its end on the event stream.
pub(crate) async fn send(stack: &Stack, file: &Path, force: bool) -> anyhow::Result<UploadTiming> {
    let body = ReaderStream::with_capacity(tokio::fs::File::open(file).await?, 256 * 1024);
    let length = tokio::fs::metadata(file).await?.len();
    send_body(stack, reqwest::Body::wrap_stream(body), length, force).await
}

/// Sends a file that is in memory, and waits for its end on the event stream.
pub(crate) async fn send_bytes(stack: &Stack, file: Bytes) -> anyhow::Result<UploadTiming> {
    let length = file.len() as u64;
    send_body(stack, file.into(), length, false).await
}

async fn send_body(stack: &Stack, body: reqwest::Body, length: u64, force: bool) -> anyhow::Result<UploadTiming> {
    let since = Instant::now();
    let answer = stack
        .http
        .post(format!("{}/v1/uploads?kind=debts&force={force}", stack.api))
        .bearer_auth(&stack.key)
        .header("content-type", "text/csv")
        .header("content-length", length)
        .body(body)
        .send()
        .await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{status}: {text}");
    let accepted = since.elapsed();
    let upload: Upload = serde_json::from_str(&text)?;
    let upload = watch(stack, &upload.id).await?;
    let completed = since.elapsed();
    ensure!(upload.state == "completed", "{upload:?}");
    Ok(UploadTiming { accepted, completed, upload })
}

/// Reads an upload's events to the last one.
pub(crate) async fn watch(stack: &Stack, id: &str) -> anyhow::Result<Upload> {
    let (events, last) = events(&stack.http, &stack.api, &stack.key, id).await?;
    ensure!(events > 0, "no events");
    Ok(last)
}

/// Reads an upload's events to the last one; how many there were, and the last one's upload.
pub(crate) async fn events(http: &reqwest::Client, api: &str, key: &str, id: &str) -> anyhow::Result<(usize, Upload)> {
    let url = format!("{api}/v1/uploads/{id}/events");
    let answer = http.get(url).bearer_auth(key).send().await?.error_for_status()?;
    let mut body = answer.bytes_stream();
    let mut lines = Lines::default();
    let (mut events, mut name) = (0, String::new());
    while let Some(bytes) = body.next().await {
        for line in lines.push(&bytes?) {
            // What has no id is a snapshot for a watcher who came before the first event.
            events += usize::from(line.starts_with("id:"));
            if let Some(event) = line.strip_prefix("event:") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data:")
                && ["completed", "failed", "cancelled"].contains(&name.as_str())
            {
                return Ok((events, serde_json::from_str(data).context("the last event is no upload")?));
            }
        }
    }
    bail!("the event stream ended before the upload did")
}

/// Bills all that is due: how long from the request to the end of the run, and how many bills it made.
pub(crate) async fn bill(stack: &Stack) -> anyhow::Result<(Duration, u64)> {
    let http = &stack.http;
    let url = format!("{}/v1/billing-runs", stack.api);
    let since = Instant::now();
    let begun = http.post(&url).bearer_auth(&stack.key).send().await?.error_for_status()?;
    let mut run: Run = serde_json::from_str(&begun.text().await?)?;
    while ["queued", "running"].contains(&run.state.as_str()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = http.get(format!("{url}/{}", run.id)).bearer_auth(&stack.key).send().await?.error_for_status()?;
        run = serde_json::from_str(&answer.text().await?)?;
    }
    ensure!(run.state == "completed", "{run:?}");
    Ok((since.elapsed(), run.bills))
}

/// Undoes a completed upload: how long until it is answered, from when on none of its rows counts, and until they are gone.
pub(crate) async fn undo(stack: &Stack, id: &str) -> anyhow::Result<(Duration, Duration)> {
    let since = Instant::now();
    let url = format!("{}/v1/uploads/{id}", stack.api);
    stack.http.delete(url).bearer_auth(&stack.key).send().await?.error_for_status()?;
    let answered = since.elapsed();
    let purged = "select purged_at is not null from uploads where id::text = $1";
    while !sqlx::query_scalar::<_, bool>(purged).bind(id).fetch_one(&stack.pool).await? {
        ensure!(since.elapsed() < Duration::from_secs(600), "the rows of an upload that was undone stay");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok((answered, since.elapsed()))
}

#[derive(Debug, Deserialize)]
struct Run {
    id: String,
    state: String,
    bills: u64,
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn push(&mut self, bytes: &Bytes) -> Vec<String> {
        self.0.push_str(&String::from_utf8_lossy(bytes));
        let rest = self.0.rfind('\n').map_or(0, |end| end + 1);
        let whole: String = self.0.drain(..rest).collect();
        whole.lines().map(str::to_owned).collect()
    }
}
