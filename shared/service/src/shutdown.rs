//! When to stop: Ctrl-C, SIGTERM, or the death of the parent.

use std::io::{self, Read as _};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a child goes on when its parent is dead: the engines are about to go too.
const ORPHANED: Duration = Duration::from_secs(3);

/// A token that the first signal cancels (SIGINT, SIGTERM, SIGHUP); the second one ends the process at once.
///
/// # Errors
/// When signals cannot be listened for.
pub fn on_signal() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let listen = |kind| {
        signal(kind).map_err(|error| io::Error::new(error.kind(), format!("cannot listen for signals: {error}")))
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = listen(SignalKind::hangup())?;
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = hangup.recv() => "SIGHUP",
            }
        };
        let first = next().await;
        tracing::info!(signal = first, "stopping; a second signal ends it at once");
        cancel.cancel();
        next().await;
        // children and engines see the end of their pipes
        std::process::exit(130);
    });
    Ok(token)
}

/// Cancels `token` when standard input ends, which a parent holds open for as long as it lives.
///
/// # Errors
/// When there is no thread for it.
pub fn with_parent(token: &CancellationToken) -> io::Result<()> {
    let token = token.clone();
    // a thread of its own: tokio's standard input would keep the runtime from ending
    let watch = move || {
        let mut buffer = [0; 64];
        while !matches!(std::io::stdin().read(&mut buffer), Ok(0) | Err(_)) {}
        if !token.is_cancelled() {
            tracing::warn!("the parent is gone: stopping");
            token.cancel();
            std::thread::sleep(ORPHANED);
            std::process::exit(1);
        }
    };
    std::thread::Builder::new().name("parent".to_owned()).spawn(watch).map(drop)
}
