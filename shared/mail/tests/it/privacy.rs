//! TLS, passwords and signatures.

use std::sync::Arc;

use gristmill_mail::Report;
use gristmill_platform::testing::smtp::{Act, Setup, SmtpServer};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::{Post, letter, letters};

/// A server that has a certificate of its own making, and the file to trust it by.
async fn server(wrapped: bool, login: bool, post: &Post) -> (SmtpServer, std::path::PathBuf) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let file = post.stack.dir.join("ca.pem");
    std::fs::write(&file, cert.pem()).unwrap();
    let login = login.then(|| ("ana@acme".to_owned(), "s:cret".to_owned()));
    let setup = Setup { tls: Some(Arc::new(tls)), wrapped, login, ..Setup::default() };
    (SmtpServer::with(setup, |_| Act::Behave).await, file)
}

async fn send(post: &mut Post, url: String, ca: Option<&std::path::Path>) -> Report {
    post.config.smtp_url = Some(url.into());
    post.config.smtp_ca = ca.map(Into::into);
    post.mailer().deliver(&post.turn(), vec![letter(0)]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_with_a_password() {
    let mut post = Post::nowhere().await;
    let (server, ca) = server(false, true, &post).await;
    let port = server.port();
    let good = format!("smtp://ana%40acme:s%3Acret@localhost:{port}");
    let report = send(&mut post, good.clone(), None).await;
    assert!(report.unreachable && report.error.as_ref().unwrap().contains("STARTTLS"), "not trusted: {report:?}");
    let report = send(&mut post, good.replace("s%3Acret", "wrong"), Some(&ca)).await;
    assert!(report.unreachable && report.error.unwrap().contains("5.7.8"), "a wrong password is no fault of the mail");
    let report = send(&mut post, good.replace("ana%40acme:s%3Acret@", ""), Some(&ca)).await;
    assert!(report.unreachable && report.error.unwrap().contains("530"));
    assert_eq!(send(&mut post, good, Some(&ca)).await.sent, 1);
    assert!(server.accepted()[0].encrypted);
    assert_eq!(server.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_first_byte() {
    let mut post = Post::nowhere().await;
    let (server, ca) = server(true, false, &post).await;
    assert_eq!(send(&mut post, format!("smtps://localhost:{}", server.port()), Some(&ca)).await.sent, 1);
    assert!(server.accepted()[0].encrypted);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_in_the_clear_unless_it_is_wanted() {
    let plain = SmtpServer::start().await;
    let mut post = Post::nowhere().await;
    let report = send(&mut post, format!("smtp://localhost:{}", plain.port()), None).await;
    assert!(report.unreachable && plain.count() == 0, "{report:?}");
    let url = format!("smtp://localhost:{}?tls=opportunistic", plain.port());
    assert_eq!(send(&mut post, url, None).await.sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_signed() {
    let server = SmtpServer::start().await;
    let mut post = Post::to(&server).await;
    post.config.dkim_domain = Some("acme.example".to_owned());
    post.config.dkim_selector = Some("2026".to_owned());
    post.config.dkim_key = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rsa.pem").into());
    post.mailer().deliver(&post.turn(), letters(2)).await.unwrap();
    for mail in server.accepted() {
        let head = mail.raw.split("\r\nFrom:").next().unwrap();
        assert!(head.starts_with("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=acme.example;"), "{head}");
        assert!(
            head.contains("h=from:from:to:subject:date:message-id:mime-version:content-type:auto-submitted;"),
            "{head}"
        );
    }
}
