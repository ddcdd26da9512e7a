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
        "http://168.63.129.16/machine?comp=goalstate",
        "http://[::ffff:168.63.129.16]/",
        "http://[64:ff9b::168.63.129.16]/",
        "http://100.100.100.200/latest/meta-data/",
        "http://192.0.0.192/opc/v2/instance/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://[fd20:ce::254]/computeMetadata/v1/",
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
        let refused = outbound.check(address).expect_err(address);
        assert!(matches!(refused, UrlError::NotPublic(_)), "{address}: {refused:?}");
        assert!(!refused.to_string().contains(|c: char| c.is_ascii_digit()), "{refused}");
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

#[test]
fn what_is_put_in_stands_in_the_path() {
    let outbound = Outbound::new(&OutboundConfig::default()).unwrap();
    for good in
        ["https://example.com/reports/{id}", "https://example.com/{id}.json?all=1#top", "https://example.com/a{id}b/c"]
    {
        assert_eq!(outbound.check_with(good, "{id}"), Ok(()), "{good}");
    }
    for bad in [
        "https://{id}/x",
        "https://{id}.example.com/x",
        "https://example.com/x",
        "https://example.com/x?id={id}",
        "https://example.com/x#{id}",
        "https://example.com/{id}/{id}",
        "https://example.com/%7Bid%7D",
    ] {
        assert_eq!(outbound.check_with(bad, "{id}"), Err(UrlError::Place("{id}")), "{bad}");
    }
    assert_eq!(outbound.check_with("https://example.com:{id}/", "{id}"), Err(UrlError::Unreadable));
    assert_eq!(outbound.check_with("https://{id}@example.com/", "{id}"), Err(UrlError::UserInfo));
    assert!(matches!(outbound.check_with("https://10.0.0.1/{id}", "{id}"), Err(UrlError::NotPublic(_))));
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_what_is_inside() {
    let outbound =
        Outbound::with_lookup(&strict(), Arc::new(Changing(Mutex::new(vec![[10, 1, 2, 3].into()])))).unwrap();
    let refused = outbound.post("http://intranet.example/", HeaderMap::new(), "").await.unwrap_err();
    assert_eq!(
        crate::deliver::chain(&refused),
        "the name is not called: it leads to no public address, and to none of GRISTMILL_OUTBOUND_NETWORKS"
    );
    // Who listens there shows a certificate of other names.
    let inside = rcgen::generate_simple_self_signed(["secret.corp.internal".to_owned()]).unwrap();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![inside.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(inside.signing_key.serialize_der().into()),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = acceptor.accept(socket).await;
        }
    });
    let outbound = Outbound::new(&loopback()).unwrap();
    for (address, why) in [
        (format!("https://127.0.0.1:{port}/"), NoConnection::Certificate),
        ("http://127.0.0.1:1/".to_owned(), NoConnection::Refused),
    ] {
        let error = outbound.post(&address, HeaderMap::new(), "").await.unwrap_err();
        assert!(matches!(error, CallError::Connect(found) if found == why), "{error:?}");
        let said = crate::deliver::chain(&error);
        assert!(!said.contains("corp") && !said.contains("127."), "{said}");
    }
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
