//! Requests one after another on connections that stay open, by a client that costs little: what it takes, the service lacks.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    figures::{Goal, median, middle, millis, percentile, thousands},
    report::Report,
    stack::Stack,
};

const CONNECTIONS: usize = 64;
const LASTS: Duration = Duration::from_secs(10);
const BODY: &str = r#"{"date":"2021-04-01","description":"Payment Netflix APRIL***","amount":12.99}"#;

/// Single requests for merchants: each is committed with its job, and answered by a worker meanwhile.
pub(crate) async fn normalizations(stack: &Stack, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let (mut rates, mut ends) = (vec![], vec![]);
    for _ in 0..runs {
        let mut times = load(stack, "/v1/normalizations").await?;
        rates.push(times.len() as f64 / LASTS.as_secs_f64());
        ends.push(percentile(&mut times, 99));
    }
    let rate = middle(rates);
    let measured = format!("{}/s, p99 {}", thousands(rate), millis(median(ends)));
    report.figure("normalizations, single requests accepted", measured, rate, "/s", Goal::AtLeast(8_000.0));
    Ok(())
}

/// How long each answer took.
async fn load(stack: &Stack, path: &str) -> anyhow::Result<Vec<Duration>> {
    let host = stack.api.strip_prefix("http://").context("the API is not at http://")?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        stack.key,
        BODY.len()
    );
    let end = Instant::now() + LASTS;
    let clients = (0..CONNECTIONS).map(|_| tokio::spawn(one(host.to_owned(), request.clone(), end)));
    let mut times = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        times.extend(client.await??);
    }
    Ok(times)
}

async fn one(host: String, request: String, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut answer) = (Vec::new(), Vec::with_capacity(4096));
    while Instant::now() < end {
        let since = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        while !is_whole(&answer) {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the API hung up");
        }
        let status = answer.get(9..12).unwrap_or_default();
        ensure!(status.starts_with(b"2"), "{}", String::from_utf8_lossy(&answer));
        times.push(since.elapsed());
    }
    Ok(times)
}

/// Whether all of an answer with a length has come.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    answer.len() >= end + 4 + length.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nabcde";
        assert!(is_whole(answer));
        for end in 0..answer.len() {
            assert!(!is_whole(&answer[..end]), "{end}");
        }
    }
}
