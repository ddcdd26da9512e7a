use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::*;

/// RFC 8463, appendix A.3.
const SIGNED_BY_OTHERS: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\nFrom: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// As a receiver does it.
fn verify(raw: &str, check: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let (signature, mail) = raw.split_at(raw.find("\r\nFrom:").unwrap() + 2);
    let (head, body) = canonical::split(mail.as_bytes());
    let tags: HashMap<&str, String> = signature
        .split_once(':')
        .unwrap()
        .1
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| (name.trim(), value.split_whitespace().collect()))
        .collect();
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, &canonical::body(body)));
    let names: Vec<&str> = tags["h"].split(':').collect();
    let unsigned = &signature[..signature.rfind("b=").unwrap() + 2];
    let input = header_hash_input(head, &names, unsigned);
    hash == tags["bh"] && check(&input, &STANDARD.decode(&tags["b"]).unwrap())
}

fn ed25519(public: &[u8]) -> impl Fn(&[u8], &[u8]) -> bool {
    move |input, signature| {
        let hash = digest::digest(&digest::SHA256, input);
        UnparsedPublicKey::new(&ED25519, public).verify(hash.as_ref(), signature).is_ok()
    }
}

const MAIL: &str = "From: Acme <bills@acme.example>\r\nTo: Ana <ana@example.com>\r\nSubject: a bill,\r\n  folded \t here\r\nDate: Fri, 27 Nov 2026 02:33:36 +0000\r\nMessage-ID: <1@acme.example>\r\n\r\nHello  Ana, \r\n\r\n.\r\n\r\n\r\n";

#[test]
fn a_signature_of_the_standard_is_verified() {
    let public = STANDARD.decode(PUBLIC).unwrap();
    assert!(verify(SIGNED_BY_OTHERS, ed25519(&public)));
    assert!(verify(&SIGNED_BY_OTHERS.replace("To: Suzie Q <", "to:  Suzie  Q\t<"), ed25519(&public)), "relaxed");
    assert!(!verify(&SIGNED_BY_OTHERS.replace("hungry", "thirsty"), ed25519(&public)));
    assert!(!verify(&SIGNED_BY_OTHERS.replace("dinner", "lunch"), ed25519(&public)));
}

#[test]
fn mails_are_signed_by_ed25519() {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap().public_key().as_ref().to_vec();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec()));
    let dkim = Dkim::new("acme.example", "s1", &key).unwrap();
    let signed = String::from_utf8(dkim.sign(MAIL.as_bytes())).unwrap();
    assert!(verify(&signed, ed25519(&public)));
    assert!(!verify(&signed.replace("Ana,", "Bob,"), ed25519(&public)));
    let forged = signed.replace("\r\nTo:", "\r\nFrom: else <x@y.example>\r\nTo:");
    assert!(!verify(&forged, ed25519(&public)), "a second From breaks it");
    assert!(signed.contains("d=acme.example;\r\n s=s1;") && signed.ends_with(MAIL));
}

#[test]
fn mails_are_signed_by_rsa() {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../tests/rsa.pem")).unwrap();
    let dkim = Dkim::new("acme.example", "s1", &key).unwrap();
    let Key::Rsa(pair) = &dkim.key else { panic!("it is an RSA key") };
    let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    let signed = String::from_utf8(dkim.sign(MAIL.as_bytes())).unwrap();
    let check =
        |input: &[u8], signature: &[u8]| components.verify(&RSA_PKCS1_2048_8192_SHA256, input, signature).is_ok();
    assert!(verify(&signed, check));
    assert!(!verify(&signed.replace("Ana,", "Bob,"), check));
    assert!(signed.split("\r\n").all(|line| line.len() < 200), "lines are folded");
}
