//! Lines from one process to the engines, which end all at once at a given message.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Where in its exchange with an engine a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The engine never gets the message.
    Before,
    /// The engine has answered it; the process never gets the answer.
    After,
}

/// All lines of one process.
pub(super) struct Wires {
    seen: Mutex<Vec<String>>,
    death: Option<(usize, Side)>,
    /// The process tells nobody anything any more, and hears nothing.
    pub(super) dead: CancellationToken,
}

impl Wires {
    pub(super) fn new(death: Option<(usize, Side)>) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), death, dead: CancellationToken::new() })
    }

    /// What the process has said so far, in words for people.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The URL of an engine, by way of these wires.
    pub(super) async fn tap(self: &Arc<Self>, url: &str) -> String {
        let start = url.rfind("127.0.0.1:").unwrap() + "127.0.0.1:".len();
        let end = start + url[start..].find('/').unwrap();
        let target = SocketAddr::from(([127, 0, 0, 1], url[start..end].parse().unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wires = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(Ok((process, _))) = wires.dead.run_until_cancelled(listener.accept()).await {
                let wires = Arc::clone(&wires);
                tokio::spawn(async move { wires.dead.run_until_cancelled(wires.carry(process, target)).await });
            }
        });
        format!("{}{port}{}", &url[..start], &url[end..])
    }

    async fn carry(&self, mut process: TcpStream, target: SocketAddr) -> io::Result<()> {
        let mut engine = TcpStream::connect(target).await?;
        engine.set_nodelay(true)?;
        process.set_nodelay(true)?;
        let (mut said, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            tokio::select! {
                n = process.read(&mut said) => {
                    let n = n?;
                    if n == 0 {
                        return Ok(());
                    }
                    let number = {
                        let mut seen = self.seen.lock().unwrap();
                        seen.push(words(&said[..n]));
                        seen.len() - 1
                    };
                    if self.death == Some((number, Side::Before)) {
                        self.dead.cancel();
                        return Ok(());
                    }
                    engine.write_all(&said[..n]).await?;
                    if self.death == Some((number, Side::After)) {
                        // Not every message has an answer.
                        let _ = tokio::time::timeout(Duration::from_secs(2), engine.read(&mut answered)).await;
                        self.dead.cancel();
                        return Ok(());
                    }
                }
                n = engine.read(&mut answered) => {
                    let n = n?;
                    if n == 0 {
                        return Ok(());
                    }
                    process.write_all(&answered[..n]).await?;
                }
            }
        }
    }
}

/// The printable part of a message; a script by its name.
fn words(message: &[u8]) -> String {
    let printable = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' };
    let text: String = message.iter().map(printable).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    macro_rules! script {
        ($name:literal) => {{
            let prelude = include_str!("../../../src/redis/scripts/queue.lua");
            (
                $name,
                redis::Script::new(&[prelude, include_str!(concat!("../../../src/redis/scripts/", $name))].concat()),
            )
        }};
    }
    let scripts = [
        script!("claim.lua"),
        script!("push.lua"),
        script!("ack.lua"),
        script!("release.lua"),
        script!("renew.lua"),
        script!("reap.lua"),
    ];
    scripts.iter().fold(text, |text, (name, script)| text.replace(script.get_hash(), name))
}
