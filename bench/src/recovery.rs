//! The private Postgres is killed while a file comes in: how long until it accepts connections again, against what a file
//! waits for it; and the file must be whole in the end.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use sqlx::{Connection as _, PgConnection};
use tokio_util::io::ReaderStream;

use crate::{client::Upload, files::Files, report::Report, stack::Stack};

/// What a file waits (`shared/uploads/src/receive/retry.rs`).
const WAITS: Duration = Duration::from_secs(600);
/// What the sender takes for the small file, so that it is still coming in when much of it is loaded.
const SENDING: Duration = Duration::from_secs(10);
/// After this nobody comes back.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1_200);

struct Recovered {
    wal: u64,
    took: Duration,
    /// From the first byte to the end of the upload.
    completed: Duration,
}

/// Kills it at several points of the small file, and near the end of one ten times as large.
pub(crate) async fn recovery(stack: &Stack, files: &Files, report: &mut Report) -> anyhow::Result<()> {
    let (clean, large) = (files.clean()?, files.large()?);
    let small = [0.3, 0.6, 0.9, 0.99].map(|share| (&clean, files.rows, SENDING, share));
    let kills = small.into_iter().chain([(&large, files.rows * 10, Duration::ZERO, 0.95)]);
    for (file, rows, sending, share) in kills {
        stack.reset().await?;
        let found = killed(stack, file, rows, sending, share).await?;
        report.row(
            &format!(
                "Postgres killed when {:.0} % of {rows} rows had come: until it accepts connections",
                share * 100.0
            ),
            format!("{:.1} s, {} MiB of WAL read again", found.took.as_secs_f64(), found.wal >> 20),
            format!("the file: {} rows, completed after {:.1} s", rows, found.completed.as_secs_f64()),
            "< 600 s, which a file waits",
        );
        ensure!(found.took < WAITS, "the file waits less than that");
    }
    Ok(())
}

async fn killed(stack: &Stack, file: &Path, rows: u64, sending: Duration, share: f64) -> anyhow::Result<Recovered> {
    let length = tokio::fs::metadata(file).await?.len();
    let sent = Arc::new(AtomicU64::new(0));
    let since = Instant::now();
    let counted = Arc::clone(&sent);
    let blocks = ReaderStream::with_capacity(tokio::fs::File::open(file).await?, 256 * 1024);
    let body = blocks.then(move |block| {
        let counted = Arc::clone(&counted);
        async move {
            let bytes = block.as_ref().map_or(0, |block| block.len() as u64);
            let before = counted.fetch_add(bytes, Relaxed);
            tokio::time::sleep_until((since + sending.mul_f64(before as f64 / length as f64)).into()).await;
            block
        }
    });
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/uploads?kind=debts", stack.api))
        .bearer_auth(&stack.key)
        .header("content-type", "text/csv")
        .header("content-length", length)
        .body(reqwest::Body::wrap_stream(body))
        .send();
    let kill = async {
        while (sent.load(Relaxed) as f64) < share * length as f64 {
            ensure!(since.elapsed() < GIVE_UP_AFTER, "nobody takes the file");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        kill(stack).await
    };
    let (answer, killed) = tokio::join!(answer, kill);
    let (wal, took) = killed?;
    let answer = answer?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "the file did not outlast it: {status}: {text}");
    let upload: Upload = serde_json::from_str(&text)?;
    let upload = ended(stack, &upload.id).await?;
    let completed = since.elapsed();
    ensure!(upload.state == "completed" && upload.rows.read == rows && upload.rows.accepted == rows, "{upload:?}");
    let kept: i64 = sqlx::query_scalar("select count(*) from debts").fetch_one(&stack.pool).await?;
    ensure!(kept as u64 == rows, "{kept} rows are kept of {rows}");
    Ok(Recovered { wal, took, completed })
}

/// How much WAL there is since the last checkpoint, and how long the server was away.
async fn kill(stack: &Stack) -> anyhow::Result<(u64, Duration)> {
    let folder: String = sqlx::query_scalar("show data_directory").fetch_one(&stack.pool).await?;
    let file = std::fs::read_to_string(Path::new(&folder).join("postmaster.pid"))?;
    let pid = file.lines().next().context("postmaster.pid is empty")?.trim().to_owned();
    let sql = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::int8 from pg_control_checkpoint()";
    let wal: i64 = sqlx::query_scalar(sql).fetch_one(&stack.pool).await?;
    let since = Instant::now();
    ensure!(Command::new("kill").args(["-9", &pid]).status()?.success(), "Postgres cannot be killed");
    // Its processes see that it is gone, and some answer for a moment.
    while Path::new(&format!("/proc/{pid}")).exists() && since.elapsed() < GIVE_UP_AFTER {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    loop {
        if let Ok(mut connection) = PgConnection::connect(&stack.database_url).await
            && sqlx::query("select 1").execute(&mut connection).await.is_ok()
        {
            return Ok((u64::try_from(wal)?, since.elapsed()));
        }
        ensure!(since.elapsed() < GIVE_UP_AFTER, "Postgres does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The upload when it has ended, however often the API cannot say.
async fn ended(stack: &Stack, id: &str) -> anyhow::Result<Upload> {
    let (http, since) = (reqwest::Client::new(), Instant::now());
    loop {
        let asked = http.get(format!("{}/v1/uploads/{id}", stack.api)).bearer_auth(&stack.key).send().await;
        if let Ok(answer) = asked
            && answer.status().is_success()
            && let Ok(upload) = serde_json::from_str::<Upload>(&answer.text().await?)
            && !["receiving", "processing"].contains(&upload.state.as_str())
        {
            return Ok(upload);
        }
        ensure!(since.elapsed() < GIVE_UP_AFTER, "the upload does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
