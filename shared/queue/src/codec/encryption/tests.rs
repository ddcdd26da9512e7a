use super::*;
use crate::codec::ContentKind;

const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const B: &str = "__________________________________________8";

fn ring(text: &str) -> Encryption {
    text.parse().unwrap()
}

fn payload(job: &str) -> Content<'_> {
    Content::new(job, ContentKind::Payload)
}

#[test]
fn the_first_key_encrypts_and_all_decrypt() {
    let (old, both, new) = (ring(&format!("a:{A}")), ring(&format!("b:{B}, a:{A}")), ring(&format!("b:{B}")));
    let by_old = old.encode(payload("mail"), r#"{"to":"ana"}"#).unwrap().unwrap();
    let by_new = both.encode(payload("mail"), r#"{"to":"bob"}"#).unwrap().unwrap();
    assert_eq!((&*by_old.key, &*by_new.key), ("a", "b"));
    assert!(!by_old.data.contains("ana"));
    assert_eq!(both.decode(payload("mail"), &by_old).unwrap(), r#"{"to":"ana"}"#);
    assert_eq!(new.decode(payload("mail"), &by_new).unwrap(), r#"{"to":"bob"}"#);
    assert_eq!((both.keys(), new.keys()), (vec!["b".to_owned(), "a".to_owned()], vec!["b".to_owned()]));
    let again = old.encode(payload("mail"), r#"{"to":"ana"}"#).unwrap().unwrap();
    assert_ne!(again.data, by_old.data, "equal payloads do not look equal");
}

#[test]
fn what_was_changed_or_moved_does_not_decrypt() {
    let ring = ring(&format!("a:{A}"));
    let encoded = ring.encode(payload("mail"), "7").unwrap().unwrap();
    for content in [payload("mails"), Content::new("mail", ContentKind::Result)] {
        let error = ring.decode(content, &encoded).unwrap_err().to_string();
        assert!(error.contains("is another job's"), "{error}");
    }
    let other = if encoded.data.as_bytes()[40] == b'A' { "B" } else { "A" };
    let changed = format!("{}{other}{}", &encoded.data[..40], &encoded.data[41..]);
    for data in ["", "AAAA", "é", &changed] {
        assert!(ring.decode(payload("mail"), &Encoded::new("a", data)).is_err(), "{data}");
    }
    let other = Encryption::new("a", &[7; 32]).unwrap();
    assert!(other.decode(payload("mail"), &encoded).is_err());
}

#[test]
fn only_what_is_named_is_encrypted() {
    let all = ring(&format!("a:{A}"));
    let encoded = all.encode(payload("mail"), "7").unwrap().unwrap();
    let some = ring(&format!("a:{A}")).only(["bill"]);
    assert!(some.encode(payload("mail"), "7").unwrap().is_none());
    assert!(some.encode(payload("bill"), "7").unwrap().is_some());
    assert_eq!(some.decode(payload("mail"), &encoded).unwrap(), "7");
    let most = ring(&format!("a:{A}")).except(["mail"]);
    assert!(most.encode(payload("mail"), "7").unwrap().is_none());
    assert!(most.encode(payload("bill"), "7").unwrap().is_some());
}

#[test]
fn keys_that_are_none_are_refused_without_being_shown() {
    let short = "c2hvcnQ=";
    for (text, problem) in [
        (String::new(), "there is no key"),
        (" , ".into(), "there is no key"),
        (A.into(), "key 1 is not written as `id:base64`"),
        (format!("a:{A},{B}"), "key 2 is not written as `id:base64`"),
        (format!(":{A}"), "the id of key 1 is none"),
        (format!("a b:{A}"), "the id of key 1 is none"),
        (format!("a:{short}"), "key `a` has 5 bytes, and 32 are needed"),
        ("a:/_x".into(), "key `a` is not base64"),
        ("a:".into(), "key `a` has 0 bytes"),
        (format!("a:{A},b:{B},a:{B}"), "two keys have the id `a`"),
    ] {
        let error = text.parse::<Encryption>().unwrap_err().to_string();
        assert!(error.starts_with(problem), "{error}");
        assert!(![A, B, short].iter().any(|key| error.contains(key)), "{error}");
    }
    assert_eq!(Encryption::new("", &[0; 32]).unwrap_err(), KeyError::Id(1));
    let twice = Encryption::new("a", &[0; 32]).unwrap().and("a", &[1; 32]).unwrap_err();
    assert_eq!(twice, KeyError::Twice("a".into()));
}

#[test]
fn no_key_is_shown() {
    let text = format!("{:?}", ring(&format!("2026-11:{A}")).only(["mail"]));
    assert_eq!(text, r#"Encryption { keys: ["2026-11"], only: Some({"mail"}), except: {} }"#);
}
