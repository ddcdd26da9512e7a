//! Many small files, some at a time.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    client,
    figures::{Goal, median, middle, millis, percentile},
    files::Files,
    report::Report,
    stack::Stack,
};

const FILES: u64 = 1_000;
const ROWS: u64 = 1_000;
const AT_A_TIME: usize = 20;

/// Files a second, and how long one takes from its first byte to `completed` on its event stream.
pub(crate) async fn small(stack: &Stack, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let files: Vec<bytes::Bytes> =
        (0..FILES).map(|n| Ok(Files::small(ROWS, n)?.into())).collect::<anyhow::Result<_>>()?;
    let (mut rates, mut halves, mut ends) = (vec![], vec![], vec![]);
    for _ in 0..runs {
        stack.reset().await?;
        let since = Instant::now();
        let mut times: Vec<Duration> =
            stream::iter(&files).map(|file| one(stack, file.clone())).buffer_unordered(AT_A_TIME).try_collect().await?;
        rates.push(FILES as f64 / since.elapsed().as_secs_f64());
        halves.push(percentile(&mut times, 50));
        ends.push(percentile(&mut times, 99));
    }
    let (rate, end) = (middle(rates), median(ends));
    let what = format!("{FILES} files of {ROWS} rows, {AT_A_TIME} at a time");
    report.figure(&what, format!("{rate:.0} files/s"), rate, " files/s", Goal::AtLeast(200.0));
    let taken = format!("p50 {}, p99 {}", millis(median(halves)), millis(end));
    report.figure(
        "– one of them, first byte → `completed`",
        taken,
        end.as_secs_f64() * 1e3,
        " ms at p99",
        Goal::AtMost(300.0),
    );
    Ok(())
}

async fn one(stack: &Stack, file: bytes::Bytes) -> anyhow::Result<Duration> {
    let sent = client::send_bytes(stack, file).await?;
    ensure!(sent.upload.rows.accepted == ROWS, "{:?}", sent.upload);
    Ok(sent.completed)
}
