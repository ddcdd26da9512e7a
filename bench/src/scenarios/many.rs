//! How cost grows with the number of files, not of rows: one client's large files, each with segments of its own.

use std::time::Duration;

use anyhow::ensure;

use crate::{
    client,
    figures::{Goal, median, seconds, times},
    files::Files,
    report::Report,
    stack::Stack,
};

/// Rows of each: just enough for segments of its own.
const ROWS: u64 = 110_000;
/// How often the file that is measured is sent while they come.
const LOOKS: u64 = 4;

/// Sends so many files, and measures another one behind them, in turns with an empty system.
pub(crate) async fn many(
    (empty, behind): (&Stack, &Stack),
    files: &Files,
    (many, runs): (u64, usize),
    report: &mut Report,
) -> anyhow::Result<()> {
    let small = files.of(ROWS)?;
    let mut next = 1_000_000;
    for number in 0..many {
        if number % many.div_ceil(LOOKS) == 0 {
            let took = look(behind, files, &mut next).await?;
            eprintln!("behind {number} files: {}", seconds(took));
        }
        let file = small.fresh(number)?;
        let sent = client::send(behind, &file, false).await?;
        ensure!(sent.upload.rows.accepted == ROWS, "{:?}", sent.upload);
    }
    settled(behind).await?;
    let (mut there, mut here) = (vec![], vec![]);
    for _ in 0..runs {
        empty.reset().await?;
        here.push(look(empty, files, &mut next).await?);
        there.push(look(behind, files, &mut next).await?);
    }
    let (there, here) = (median(there), median(here));
    let what = format!("first byte → `completed` behind {many} files of {ROWS} rows");
    report.against(&what, seconds(there), times(there, here), "the empty system's", Goal::AtMost(1.25));
    Ok(())
}

/// Sends the file that is measured, and takes it back.
async fn look(stack: &Stack, files: &Files, next: &mut u64) -> anyhow::Result<Duration> {
    *next += 1;
    let file = files.fresh(*next)?;
    stack.checkpoint().await?;
    let sent = client::send(stack, &file, false).await?;
    ensure!(sent.upload.rows.accepted == files.rows, "{:?}", sent.upload);
    client::undo(stack, &sent.upload.id).await?;
    Ok(sent.completed)
}

/// Waits until the scheduler has had its segments tended.
async fn settled(stack: &Stack) -> anyhow::Result<()> {
    let left = "select count(*) from (select from row_segments where state = 'sealed' and run_id is null
                group by table_name, client_id having count(*) >= 8) t";
    for _ in 0..150 {
        let left: i64 = sqlx::query_scalar(left).fetch_one(&stack.pool).await?;
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    anyhow::bail!("no job has tended the segments")
}
