//! What `up` tells the person before it.

use std::io::{IsTerminal, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use super::engines::Sources;
use super::file::url;
use super::key::CLIENT;
use crate::say::plain;

pub(super) fn print(
    workers: usize,
    sources: &Sources,
    api: SocketAddr,
    (monitor, link): (SocketAddr, &str),
    key: &Path,
) {
    let (bold, normal) = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let engines = match &sources.private {
        Some(postgres) => format!("private Postgres (data in {}) and Redis", short(postgres)),
        None => "those of DATABASE_URL and REDIS_URL".to_owned(),
    };
    let workers = match workers {
        0 => "none here: start `gristmill worker` with the settings under `env` in up.json".to_owned(),
        n => n.to_string(),
    };
    let lines = [
        ("API", url(api)),
        ("docs", format!("{}/docs", url(api))),
        (
            "dashboard",
            format!(
                "{}/login?token={link} (logs in once, within the hour; `gristmill dashboard` prints another)",
                url(monitor)
            ),
        ),
        ("metrics", format!("{}/metrics", url(monitor))),
        ("engines", engines),
        ("workers", workers),
        (
            "webhooks",
            "may be on this machine and without TLS here, unless GRISTMILL_OUTBOUND_… say otherwise".to_owned(),
        ),
        ("data", short(&sources.data_dir)),
        ("key", format!("{} (client {CLIENT})", short(key))),
        ("log", short(&sources.data_dir.join("gristmill.log"))),
    ];
    let mut text = format!("\n{bold}Gristmill is up.{normal}\n\n");
    for (name, value) in lines {
        text.push_str(&format!("  {bold}{name:<9}{normal} {value}\n"));
    }
    text.push_str("\n  gristmill upload FILE --follow     sends a file\n  Ctrl-C                             stops everything\n\n");
    // whoever started us may not listen
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
}

/// A worker that cannot work is told in the terminal: the log alone would be found by nobody who waits for a file.
pub(super) fn worker_does_not_stay(label: &str, log: &Path) {
    let said = match end_of(log) {
        Ok(text) => last_words(&text).lines().map(|line| format!("  {}\n", plain(line))).collect(),
        Err(error) => format!("  The log cannot be read: {error}\n"),
    };
    let _ = write!(
        std::io::stdout(),
        "{label} ends as soon as it starts, so it does no job; it is started again and again. The log is {}.\n{said}",
        short(log)
    );
}

/// What a log ends with: a log of weeks is long.
fn end_of(log: &Path) -> std::io::Result<String> {
    const MUCH: u64 = 64 << 10;
    let mut file = std::fs::File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MUCH)))?;
    let mut end = Vec::new();
    file.take(MUCH).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The last lines of a log that say what went wrong: from `error:` on.
fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let Some(from) = lines.iter().rposition(|line| line.starts_with("error:")) else { return String::new() };
    let of_it = |line: &&&str| ["error:", "cause:", "do:"].iter().any(|start| line.starts_with(start));
    lines[from..].iter().take_while(of_it).copied().collect::<Vec<_>>().join("\n")
}

/// A path as seen from here, where that is shorter.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let inside = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    inside.unwrap_or_else(|| path.to_path_buf()).display().to_string()
}

pub(super) fn stopping() {
    let _ = writeln!(std::io::stdout(), "stopping: what runs is finished first (a second Ctrl-C does not wait)");
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn the_last_error_is_told_whole() {
        let log = "error: old\nINFO x\nerror: mails cannot be sent\ncause: no URL\ndo:    set it\nWARN a worker died\n";
        assert_eq!(last_words(log), "error: mails cannot be sent\ncause: no URL\ndo:    set it");
        assert_eq!(last_words("INFO all is well\n"), "");
    }
}
