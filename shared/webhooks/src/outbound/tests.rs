use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use gristmill_platform::config::{OutboundConfig, Ports};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

fn strict() -> OutboundConfig {
    OutboundConfig { outbound_http: true, outbound_ports: Ports::Any, outbound_networks: Vec::new() }
}

/// A resolver that answers one thing after another.
struct Changing(Mutex<Vec<IpAddr>>);

impl Lookup for Changing {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let next = self.0.lock().unwrap().remove(0);
        Box::pin(async move { Ok(vec![next]) })
    }
}

/// Answers every request with this, without a length, and closes.
async fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

fn loopback() -> OutboundConfig {
    OutboundConfig { outbound_networks: vec!["127.0.0.0/8".parse().unwrap()], ..strict() }
}

#[test]
fn tricks_with_written_addresses() {
    let outbound = Outbound::new(&strict()).unwrap();
    let refused = [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://①②⑦.⓪.⓪.①/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://172.31.255.255/",
        "http://192.168.1.1/",
        "http://192.0.2.1/",
        "http://198.18.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[64:ff9b:1::808:808]/",
        "http://[2002:7f00:1::]/",
        "http://[2002:a00:1::1]/",
        "http://[2001:0:7f00:1::]/",
        "http://[2001:db8::1]/",
        "http://[3fff::1]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
    ];
    for address in refused {
        assert!(
            matches!(outbound.check(address), Err(UrlError::NotPublic(_))),
            "{address}: {:?}",
            outbound.check(address)
        );
    }
    for address in
        ["http://8.8.8.8/", "http://[2606:4700::1111]/", "http://[64:ff9b::8.8.8.8]/", "https://example.com/"]
    {
        assert!(outbound.check(address).is_ok(), "{address}");
    }
}

#[test]
fn tricks_with_addresses_text() {
    let outbound = Outbound::new(&OutboundConfig::default()).unwrap();
    let why = |address: &str| outbound.check(address).unwrap_err();
    assert!(matches!(why("http://example.com/"), UrlError::Scheme { .. }));
    assert!(matches!(why("ftp://example.com/"), UrlError::Scheme { .. }));
    assert!(matches!(why("file:///etc/passwd"), UrlError::Scheme { .. }));
    assert!(matches!(why("gopher://example.com:70/x"), UrlError::Scheme { .. }));
    assert_eq!(why("https://user@example.com/"), UrlError::UserInfo);
    assert_eq!(why("https://:password@example.com/"), UrlError::UserInfo);
    // A backslash ends the host, as browsers read it.
    assert_eq!(outbound.check("https://example.com\\@127.0.0.1/").unwrap().host_str(), Some("example.com"));
    assert!(matches!(why("https://example.com:22/"), UrlError::Port { found: 22, .. }));
    assert_eq!(why("example.com/hooks"), UrlError::Unreadable);
    assert_eq!(why("https:///"), UrlError::Unreadable);
    assert_eq!(why(&format!("https://example.com/{}", "a".repeat(3_000))), UrlError::TooLong);
    assert!(outbound.check("https://example.com:8443/hooks?a=b").is_ok());
}

#[tokio::test]
async fn names_of_this_machine() {
    let port = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let outbound = Outbound::new(&strict()).unwrap();
    for host in ["localhost", "LOCALHOST"] {
        let result = outbound.post(&format!("http://{host}:{port}/"), HeaderMap::new(), "").await;
        assert!(matches!(result, Err(CallError::NotPublic(_))), "{host}: {result:?}");
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_later() {
    let port = server("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    let here = IpAddr::from([127, 0, 0, 1]);
    let elsewhere = IpAddr::from([127, 0, 0, 2]);
    let config = OutboundConfig { outbound_networks: vec!["127.0.0.1/32".parse().unwrap()], ..strict() };
    let lookup = Changing(Mutex::new(vec![here, elsewhere]));
    let outbound = Outbound::with_lookup(&config, Arc::new(lookup)).unwrap();
    let address = format!("http://rebind.example:{port}/");
    let first = outbound.post(&address, HeaderMap::new(), "").await.unwrap();
    assert_eq!((first.status.as_u16(), first.body.as_slice()), (200, b"ok".as_slice()));
    let second = outbound.post(&address, HeaderMap::new(), "").await;
    assert!(matches!(second, Err(CallError::NotPublic(NotPublic { address })) if address == elsewhere), "{second:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let port = server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    let outbound = Outbound::new(&loopback()).unwrap();
    let answer = outbound.post(&format!("http://127.0.0.1:{port}/"), HeaderMap::new(), "").await.unwrap();
    assert_eq!(answer.status.as_u16(), 302);
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    let port = server(concat!("HTTP/1.1 200 OK\r\nconnection: close\r\nretry-after: 7\r\n\r\n", "0123456789")).await;
    let outbound = Outbound::new(&loopback()).unwrap();
    let outbound = outbound.with_limits(Limits { body_bytes: 4, ..Limits::default() });
    let answer = outbound.post(&format!("http://127.0.0.1:{port}/"), HeaderMap::new(), "").await.unwrap();
    assert_eq!((answer.body.as_slice(), answer.cut), (b"0123".as_slice(), true));
    assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let outbound = Outbound::new(&loopback()).unwrap();
    let outbound = outbound.with_limits(Limits { timeout: Duration::from_millis(200), ..Limits::default() });
    let result = outbound.post(&address, HeaderMap::new(), "").await;
    assert!(matches!(result, Err(CallError::TimedOut(_))), "{result:?}");
}
