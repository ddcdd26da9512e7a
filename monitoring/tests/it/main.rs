//! A role's port, asked over HTTP.
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod actions;
mod bills;
mod dashboard;
mod names;
mod pages;
mod site;

use std::time::Duration;

use futures::StreamExt as _;
use gristmill_monitoring::{Engines as _, Health, Server};
use gristmill_platform::config::RedisConfig;
use gristmill_platform::testing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

async fn serve(health: Health) -> (String, CancellationToken) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (url, shutdown) = (format!("http://{}", server.addr()), CancellationToken::new());
    tokio::spawn(server.serve(health, shutdown.clone()));
    (url, shutdown)
}

async fn get(url: String) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_role_answers_about_itself() {
    let stack = testing::stack().await;
    let health = Health::of("worker").with_database(stack.pool.clone()).with_redis(&stack.redis()).unwrap();
    let (url, shutdown) = serve(health).await;
    metrics::counter!("gristmill_test_total").increment(3);

    assert_eq!(get(format!("{url}/healthz")).await, (200, "ok\n".to_owned()));
    let (status, ready) = get(format!("{url}/readyz")).await;
    assert_eq!(status, 200, "{ready}");
    assert_eq!(ready, r#"{"role":"worker","status":"ready","checks":{"postgres":"ok","redis":"ok"}}"#);
    let (_, text) = get(format!("{url}/metrics")).await;
    assert!(text.contains("gristmill_test_total 3"), "{text}");
    if cfg!(target_os = "linux") {
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }

    shutdown.cancel();
    stack.pool.close().await;
}

#[tokio::test]
async fn a_role_that_is_of_no_use_says_why() {
    let stuck = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = std::sync::Arc::clone(&stuck);
    let unwell = move || asked.load(std::sync::atomic::Ordering::SeqCst).then(|| "nothing moves".to_owned());
    let (url, _shutdown) = serve(Health::of("worker").with_life(unwell)).await;
    assert_eq!(get(format!("{url}/healthz")).await, (200, "ok\n".to_owned()));
    stuck.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(get(format!("{url}/healthz")).await, (503, "nothing moves\n".to_owned()));
}

#[tokio::test]
async fn a_role_without_its_engines_is_alive_but_not_ready() {
    let stack = testing::stack().await;
    stack.pool.close().await;
    let nowhere = RedisConfig { redis_url: Some("redis://127.0.0.1:1".into()), ..stack.redis() };
    let health = Health::of("api").with_database(stack.pool.clone()).with_redis(&nowhere).unwrap();
    let (url, _shutdown) = serve(health).await;
    assert_eq!(get(format!("{url}/healthz")).await.0, 200);
    let (status, ready) = get(format!("{url}/readyz")).await;
    assert_eq!(status, 503);
    assert!(
        ready.contains(r#""redis":"does not answer"#) && ready.contains(r#""postgres":"does not answer"#),
        "{ready}"
    );
}

#[tokio::test]
async fn a_database_without_the_schema_is_not_ready() {
    let stack = testing::stack().await;
    sqlx::query("delete from _sqlx_migrations where version = 1").execute(&stack.pool).await.unwrap();
    let (url, _shutdown) = serve(Health::of("api").with_database(stack.pool.clone())).await;
    let (status, ready) = get(format!("{url}/readyz")).await;
    assert_eq!(status, 503);
    assert!(ready.contains("gristmill migrate"), "{ready}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = Server::bind(server.addr()).await.err().unwrap();
    assert!(format!("{error:#}").contains("GRISTMILL_MONITOR_ADDR"), "{error:#}");
}

/// What a connection that was written this to is answered until its end.
async fn until_closed(addr: std::net::SocketAddr, text: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer));
    // A reset is an end too.
    let _ = read.await.expect("it is closed from the other side");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn nobody_holds_a_port_by_doing_nothing() {
    let short = Duration::from_millis(300);
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap().with_timeouts(short, short, short, 4);
    let (addr, shutdown) = (server.addr(), CancellationToken::new());
    let echo = axum::routing::post(|body: axum::body::Bytes| async move { format!("{} bytes", body.len()) });
    let more = axum::Router::new().route("/echo", echo);
    tokio::spawn(server.serve_beside(more, Health::of("worker"), shutdown.clone()));

    assert_eq!(until_closed(addr, "").await, "", "an idle connection");
    assert!(!until_closed(addr, "GET /healthz HTTP/1.1\r\nhost: x\r\nx: ").await.contains("200 OK"), "half a head");
    let answered = until_closed(addr, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answered.starts_with("HTTP/1.1 200 OK"), "a connection that is kept and not used: {answered}");
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n";
    let whole = until_closed(addr, &format!("{head}0123456789")).await;
    assert!(whole.contains("10 bytes"), "{whole}");
    let half = until_closed(addr, &format!("{head}01234")).await;
    assert!(!half.contains("200 OK"), "a body that stops: {half}");
    shutdown.cancel();
}

#[tokio::test]
async fn a_request_has_one_host() {
    let (url, shutdown) = serve(Health::of("worker")).await;
    let addr = url.strip_prefix("http://").unwrap().parse().unwrap();
    let ask = async |version: &str, hosts: &str| {
        let request = format!("GET /healthz {version}\r\n{hosts}connection: close\r\n\r\n");
        until_closed(addr, &request).await.split(' ').nth(1).unwrap().to_owned()
    };
    for hosts in ["", "host: x\r\nhost: x\r\n", "host: a b\r\n", "host: u@x\r\n"] {
        assert_eq!(ask("HTTP/1.1", hosts).await, "400", "{hosts}");
    }
    assert_eq!(ask("HTTP/1.1", "host: [::1]:80\r\n").await, "200");
    assert_eq!(ask("HTTP/1.0", "").await, "200", "HTTP/1.0 knows no host");
    shutdown.cancel();
}

#[tokio::test]
async fn more_connections_than_there_are_places_are_closed() {
    let long = Duration::from_secs(600);
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap().with_timeouts(long, long, long, 2);
    let (addr, shutdown) = (server.addr(), CancellationToken::new());
    tokio::spawn(server.serve(Health::of("worker"), shutdown.clone()));
    let held =
        [tokio::net::TcpStream::connect(addr).await.unwrap(), tokio::net::TcpStream::connect(addr).await.unwrap()];
    // Both are taken before the next one: connections are taken in their order.
    assert_eq!(until_closed(addr, "").await, "");
    drop(held);
    let url = format!("http://{addr}/healthz");
    let mut tries = 0;
    loop {
        let _ = rustls::crypto::ring::default_provider().install_default();
        match reqwest::get(&url).await {
            Ok(answer) => break assert_eq!(answer.status().as_u16(), 200),
            Err(error) if tries > 600 => panic!("no place becomes free: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    }
    shutdown.cancel();
}

#[tokio::test]
async fn who_looks_at_what_never_ends_does_not_hold_up_the_end() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (url, shutdown) = (format!("http://{}/for-ever", server.addr()), CancellationToken::new());
    let endless =
        || async { axum::body::Body::from_stream(futures::stream::repeat("tick\n").map(Ok::<_, std::io::Error>)) };
    let more = axum::Router::new().route("/for-ever", axum::routing::get(endless));
    let served = tokio::spawn(server.serve_beside(more, Health::of("monitor"), shutdown.clone()));
    let mut answer = reqwest::get(url).await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());

    shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(10), served).await.unwrap().unwrap();
}
