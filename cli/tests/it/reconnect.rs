//! Connections that break: a small proxy before the API cuts them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    gristmill,
    stack::{stack, text},
    stderr, stdout,
};

/// What the proxy does and has seen.
#[derive(Default)]
struct Cuts {
    /// POSTs still to be cut in mid-body.
    posts: AtomicUsize,
    /// Answers to POSTs still to be swallowed: the server has the file, the client does not know.
    answers: AtomicUsize,
    /// Event streams still to be cut.
    events: AtomicUsize,
    seen_posts: AtomicUsize,
    seen_events: AtomicUsize,
    seen_resumed: AtomicUsize,
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

async fn proxy(api: SocketAddr, cuts: Arc<Cuts>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, api, cuts.clone()));
        }
    });
    addr
}

/// Passes bytes both ways until a cut is due. Requests begin at the begin of what is read: the client waits for answers.
async fn pass(mut client: TcpStream, api: SocketAddr, cuts: Arc<Cuts>) -> std::io::Result<()> {
    const BODY: usize = 400_000;
    const EVENTS: usize = 1_500;
    let mut server = TcpStream::connect(api).await?;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let (mut body_left, mut events_left, mut swallow) = (usize::MAX, usize::MAX, false);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let piece = &up[..read?];
                if piece.is_empty() {
                    return Ok(());
                }
                let head = String::from_utf8_lossy(piece).to_lowercase();
                if head.starts_with("post /v1/uploads") {
                    cuts.seen_posts.fetch_add(1, Ordering::SeqCst);
                    body_left = if take(&cuts.posts) { BODY } else { usize::MAX };
                    swallow = body_left == usize::MAX && take(&cuts.answers);
                }
                if head.starts_with("get ") && head.contains("/events ") {
                    cuts.seen_events.fetch_add(1, Ordering::SeqCst);
                    cuts.seen_resumed.fetch_add(usize::from(head.contains("last-event-id: ")), Ordering::SeqCst);
                    events_left = if take(&cuts.events) { EVENTS } else { usize::MAX };
                }
                if body_left < piece.len() {
                    return Ok(());
                }
                body_left = body_left.saturating_sub(piece.len());
                server.write_all(piece).await?;
            }
            read = server.read(&mut down) => {
                let piece = &down[..read?];
                if piece.is_empty() || swallow {
                    return Ok(());
                }
                let passed = piece.len().min(events_left);
                client.write_all(&piece[..passed]).await?;
                events_left -= passed;
                if events_left == 0 {
                    return Ok(());
                }
            }
        }
    }
}

async fn upload(cuts: Cuts, seed: u32) -> (Value, Arc<Cuts>) {
    let stack = stack();
    let file = stack.debts(&format!("cut{seed}.csv"), 40_000, "0", "0", seed);
    let cuts = Arc::new(cuts);
    let proxy = proxy(stack.api.trim_start_matches("http://").parse().unwrap(), cuts.clone()).await;
    let mut command = gristmill(stack.folder.path());
    command.args(["upload", text(&file), "--follow", "--json", "--api", &format!("http://{proxy}")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let last = stdout(&output).lines().last().unwrap().to_owned();
    let upload: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&upload["state"], &upload["rows"]["accepted"]), (&"completed".into(), &40_000.into()), "{upload}");
    (upload, cuts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_is_resumed() {
    let (_, cuts) = upload(Cuts { events: 5.into(), ..Cuts::default() }, 201).await;
    assert!(cuts.seen_events.load(Ordering::SeqCst) > 1, "no stream was cut");
    assert!(cuts.seen_resumed.load(Ordering::SeqCst) > 0, "no stream was resumed");
    assert_eq!(cuts.seen_posts.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_broke_off_is_sent_again() {
    let (_, cuts) = upload(Cuts { posts: 2.into(), ..Cuts::default() }, 202).await;
    assert_eq!(cuts.posts.load(Ordering::SeqCst), 0, "not every body was cut");
    assert!(cuts.seen_posts.load(Ordering::SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_looked_up() {
    let (upload, cuts) = upload(Cuts { answers: 1.into(), ..Cuts::default() }, 203).await;
    assert_eq!(cuts.seen_posts.load(Ordering::SeqCst), 1, "the file was not sent again");
    assert!(upload["same"].is_null());
}
