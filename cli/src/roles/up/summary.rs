//! What `up` tells the person before it.

use std::io::{IsTerminal, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use super::file::url;
use super::key::CLIENT;
use super::sources::Sources;

pub(super) fn print(
    workers: usize,
    sources: &Sources,
    api: SocketAddr,
    (monitor, link): (SocketAddr, &str),
    key: &Path,
) {
    let (bold, plain) = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let short = |path: &Path| {
        let here = std::env::current_dir().ok();
        let inside = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
        inside.unwrap_or_else(|| path.to_path_buf()).display().to_string()
    };
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
    let mut text = format!("\n{bold}Gristmill is up.{plain}\n\n");
    for (name, value) in lines {
        text.push_str(&format!("  {bold}{name:<9}{plain} {value}\n"));
    }
    text.push_str("\n  gristmill upload FILE --follow     sends a file\n  Ctrl-C                             stops everything\n\n");
    // whoever started us may not listen
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
}

pub(super) fn stopping() {
    let _ = writeln!(std::io::stdout(), "stopping: what runs is finished first (a second Ctrl-C does not wait)");
}
