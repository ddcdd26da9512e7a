//! What is measured. Every upload alternates with the yardstick, so that both see the same machine.

pub(crate) mod history;
pub(crate) mod jobs;
pub(crate) mod many;
pub(crate) mod peers;
pub(crate) mod programs;
pub(crate) mod requests;
pub(crate) mod small;

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use sqlx::PgPool;

use crate::{
    client,
    figures::{Goal, median, mib, seconds, times},
    files::Files,
    process::{self, Role},
    report::Report,
    stack::Stack,
    yardstick,
};

/// Y and the clean file. Returns Y.
pub(crate) async fn clean(
    stack: &Stack,
    files: &Files,
    runs: usize,
    upload: bool,
    report: &mut Report,
) -> anyhow::Result<Duration> {
    let file = files.clean()?;
    let (mut ys, mut accepted, mut completed, mut profiles) = (vec![], vec![], vec![], vec![]);
    for _ in 0..runs {
        ys.push(yardstick::run(stack, &file).await?);
        if upload {
            stack.reset().await?;
            let wal = wal(&stack.pool).await?;
            let (sent, _, spent) = process::watch(&stack.roots, client::send(stack, &file, false)).await;
            let sent = sent?;
            ensure!(sent.upload.rows.accepted == files.rows, "{:?}", sent.upload);
            accepted.push(sent.accepted);
            profiles.push((sent.completed, spent, wal_since(&stack.pool, &wal).await?));
            completed.push(sent.completed);
        }
    }
    let y = median(ys);
    report.row("Y: `psql \\copy` into a keyed table", seconds(y), String::new(), "");
    if !upload {
        return Ok(y);
    }
    let total = median(completed);
    let rate = files.rows as f64 / total.as_secs_f64();
    report.row("first byte → `202`", seconds(median(accepted)), String::new(), "");
    let measured = format!("**{}** ({rate:.0} rows/s)", seconds(total));
    report.against("**first byte → `completed` on SSE**", measured, times(total, y), "Y", Goal::AtMost(0.35));
    profiles.sort_unstable_by_key(|profile| profile.0);
    let (_, spent, wal) = &profiles[profiles.len() / 2];
    let all: f64 = spent.values().sum();
    for (role, cpu) in spent {
        report.row(
            &format!("– processor time: {}", role.name()),
            format!("{cpu:.2} s"),
            format!("{:.0} %", cpu / all * 100.0),
            "",
        );
    }
    report.row("– WAL written", mib(*wal), String::new(), "");
    Ok(y)
}

/// 1 % bad rows and 1 % duplicates.
pub(crate) async fn dirty(
    stack: &Stack,
    files: &Files,
    runs: usize,
    y: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = files.dirty()?;
    let mut taken = vec![];
    for _ in 0..runs {
        stack.reset().await?;
        let sent = client::send(stack, &file, false).await?;
        let rows = &sent.upload.rows;
        ensure!(rows.rejected > 0 && rows.duplicate > 0 && rows.read == files.rows, "{:?}", sent.upload);
        taken.push(sent.completed);
    }
    let total = median(taken);
    report.against("1 % bad rows, 1 % duplicates", seconds(total), times(total, y), "Y", Goal::AtMost(0.4));
    Ok(())
}

/// The same file again, by force: every row is a duplicate.
pub(crate) async fn force(
    stack: &Stack,
    files: &Files,
    runs: usize,
    y: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = files.clean()?;
    stack.reset().await?;
    client::send(stack, &file, false).await?;
    let mut taken = vec![];
    for _ in 0..runs {
        let sent = client::send(stack, &file, true).await?;
        ensure!(sent.upload.rows.duplicate == files.rows, "{:?}", sent.upload);
        taken.push(sent.completed);
    }
    let total = median(taken);
    report.against("the same file again with `force`", seconds(total), times(total, y), "Y", Goal::AtMost(0.5));
    let same = client::send(stack, &file, false).await?;
    let compared = format!("{:.2} × Y", times(same.accepted, y));
    report.row("the same file again: answered with the first", seconds(same.accepted), compared, "");
    Ok(())
}

/// All debts of a file billed in one run.
pub(crate) async fn billing(
    stack: &Stack,
    files: &Files,
    runs: usize,
    y: Duration,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = files.clean()?;
    let (mut taken, mut resident) = (vec![], 0);
    for _ in 0..runs {
        stack.reset().await?;
        client::send(stack, &file, false).await?;
        let (billed, peaks, _) = process::watch(&stack.roots, client::bill(stack)).await;
        let (time, bills) = billed?;
        ensure!(bills == files.rows, "{bills} bills of {} debts", files.rows);
        taken.push(time);
        resident = peaks.resident.get(&Role::Worker).copied().unwrap_or_default().max(resident);
    }
    let total = median(taken);
    let rate = files.rows as f64 / total.as_secs_f64();
    let measured = format!("{} ({rate:.0} bills/s)", seconds(total));
    report.against("all its debts billed in one run", measured, times(total, y), "Y", Goal::AtMost(0.4));
    report.row("– largest resident size: a worker", mib(resident), String::new(), "bounded");
    Ok(())
}

/// Files with bad rows, with Postgres reached by TCP and by its socket in turns: what the wire costs.
pub(crate) async fn tcp(
    tcp: &Stack,
    socket: &Stack,
    files: &Files,
    runs: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let many = (files.dirty()?, runs, "1 % bad rows, 1 % duplicates, Postgres by TCP");
    let few = (files.few()?, 15 * runs, "500 rows, some of them bad, Postgres by TCP");
    for (file, runs, what) in [many, few] {
        let (mut by_tcp, mut by_socket) = (vec![], vec![]);
        for _ in 0..runs {
            for (stack, taken) in [(tcp, &mut by_tcp), (socket, &mut by_socket)] {
                stack.reset().await?;
                taken.push(client::send(stack, &file, false).await?.completed);
            }
        }
        let (by_tcp, by_socket) = (median(by_tcp), median(by_socket));
        let measured = format!("{:.3} s", by_tcp.as_secs_f64());
        report.against(what, measured, times(by_tcp, by_socket), "the socket's", Goal::AtMost(1.05));
    }
    Ok(())
}

/// A file ten times as large, once, after the small one: rate and memory.
pub(crate) async fn large(stack: &Stack, files: &Files, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let (small, file) = (files.clean()?, files.large()?);
    let mut taken = vec![];
    for _ in 0..runs {
        stack.reset().await?;
        taken.push(client::send(stack, &small, false).await?.completed);
    }
    let small_rate = files.rows as f64 / median(taken).as_secs_f64();
    stack.reset().await?;
    let redis = tokio::spawn(redis_peak(stack.redis_url.clone()));
    let (sent, peaks, _) = process::watch(&stack.roots, client::send(stack, &file, false)).await;
    let sent = sent?;
    redis.abort();
    let rate = (files.rows * 10) as f64 / sent.completed.as_secs_f64();
    let measured = format!("{} ({rate:.0} rows/s)", seconds(sent.completed));
    let (what, goal) = ("a file ten times as large", Goal::AtLeast(1.0));
    report.against(what, measured, rate / small_rate, "the small file's rate", goal);
    let used = PEAK.load(std::sync::atomic::Ordering::Relaxed);
    let peak = |role| peaks.resident.get(&role).copied().unwrap_or_default();
    for (what, bytes, most) in [
        ("– largest resident size: API (with scheduler)", peak(Role::Api), 123.0),
        ("– largest resident size: a worker", peak(Role::Worker), 151.0),
        ("– largest memory used by Redis", used, 4.0),
    ] {
        // As it is written: in whole MiB.
        let figure = (bytes as f64 / f64::from(1 << 20)).round();
        report.figure(what, mib(bytes), figure, " MiB", Goal::AtMost(most));
    }
    Ok(())
}

static PEAK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

async fn redis_peak(url: String) -> anyhow::Result<()> {
    let mut redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    loop {
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut redis).await?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
        PEAK.fetch_max(used.unwrap_or_default(), std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Many watchers of one running upload: each must see every event.
pub(crate) async fn watchers(stack: &Stack, files: &Files, watchers: usize, report: &mut Report) -> anyhow::Result<()> {
    stack.reset().await?;
    let file = files.clean()?;
    let watching = async {
        let id: String = loop {
            let newest: Option<String> = sqlx::query_scalar("select id::text from uploads order by id desc limit 1")
                .fetch_optional(&stack.pool)
                .await?;
            if let Some(id) = newest {
                break id;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        try_join_all((0..watchers).map(|_| client::events(&stack.http, &stack.api, &stack.key, &id))).await
    };
    let both = async { tokio::join!(client::send(stack, &file, false), watching) };
    let ((sent, seen), peaks, spent) = process::watch(&stack.roots, both).await;
    let (sent, seen) = (sent?, seen?);
    let most = seen.iter().map(|(events, _)| *events).max().context("no watchers")?;
    let complete = seen.iter().filter(|(events, upload)| *events == most && upload.state == "completed").count();
    ensure!(complete == watchers, "{} of {watchers} watchers missed an event", watchers - complete);
    report.row(
        &format!("{watchers} watchers of a running upload"),
        format!("{} each saw all {most} events", seconds(sent.completed)),
        format!(
            "API {:.2} s of processor, {} resident",
            spent.get(&Role::Api).copied().unwrap_or_default(),
            mib(peaks.resident.get(&Role::Api).copied().unwrap_or_default())
        ),
        "no watcher misses an event",
    );
    Ok(())
}

/// Runs an example of a crate in release and returns what it prints.
pub(crate) fn example(package: &str, name: &str, args: &[&str]) -> anyhow::Result<String> {
    example_with(package, name, &[], args)
}

/// The same with options of Cargo.
pub(crate) fn example_with(package: &str, name: &str, options: &[&str], args: &[&str]) -> anyhow::Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "--quiet", "--package", package, "--example", name]);
    cargo.args(options).arg("--").args(args);
    let output = cargo.output().context("cargo does not run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn wal(pool: &PgPool) -> anyhow::Result<String> {
    Ok(sqlx::query_scalar("select pg_current_wal_insert_lsn()::text").fetch_one(pool).await?)
}

async fn wal_since(pool: &PgPool, before: &str) -> anyhow::Result<u64> {
    let bytes: f64 = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)::float8")
        .bind(before)
        .fetch_one(pool)
        .await?;
    Ok(bytes as u64)
}
