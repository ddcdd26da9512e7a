//! How what is encoded stands in the ledger.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

/// The only key of an object that is encoded.
const MARK: &str = "$encrypted";

/// What is encoded, and the key by which.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoded<'a> {
    /// The id of the key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// As text: base64, say.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked<'a> {
    #[serde(rename = "$encrypted", borrow)]
    encoded: Encoded<'a>,
}

impl<'a> Encoded<'a> {
    /// This text, encoded with this key.
    #[must_use]
    pub fn new(key: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> Self {
        Self { key: key.into(), data: data.into() }
    }

    /// What is encoded in this JSON; nothing: it is plain. That costs a look at its first characters.
    pub(crate) fn of(json: &'a str) -> Option<Self> {
        let inside = json.trim_ascii_start().strip_prefix('{')?.trim_ascii_start();
        if !inside.strip_prefix('"')?.starts_with(MARK) {
            return None;
        }
        serde_json::from_str::<Marked<'a>>(json).ok().map(|marked| marked.encoded)
    }

    /// As `jsonb` writes it.
    pub(crate) fn to_json(&self) -> String {
        let (key, data) = (Value::from(&*self.key), Value::from(&*self.data));
        format!(r#"{{"{MARK}": {{"key": {key}, "data": {data}}}}}"#)
    }
}

/// The id of the key that this JSON is encoded with.
pub(crate) fn key_of(json: &str) -> Option<String> {
    Encoded::of(json).map(|encoded| encoded.key.into_owned())
}

/// The id of the key that a payload or a result is encrypted with, as the ledger has it; nothing: it is plain.
#[must_use]
pub fn encryption_key(kept: &Value) -> Option<&str> {
    let object = kept.as_object().filter(|object| object.len() == 1)?;
    let encoded = object.get(MARK)?.as_object().filter(|encoded| encoded.len() == 2)?;
    encoded.get("data").filter(|data| data.is_string())?;
    encoded.get("key")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_as_it_was_written() {
        let encoded = Encoded::new("a \"key\"", "AAAA");
        let json = encoded.to_json();
        assert_eq!(json, r#"{"$encrypted": {"key": "a \"key\"", "data": "AAAA"}}"#);
        assert_eq!(Encoded::of(&json), Some(encoded));
        assert_eq!(encryption_key(&serde_json::from_str(&json).unwrap()), Some("a \"key\""));
        assert_eq!(key_of(" { \"$encrypted\" :{\"data\":\"x\",\"key\":\"k\"}}").as_deref(), Some("k"));
    }

    #[test]
    fn what_looks_like_it_is_plain() {
        for json in [
            "null",
            "\"$encrypted\"",
            "{}",
            r#"{"to":"$encrypted"}"#,
            r#"{"$encrypted":true}"#,
            r#"{"$encrypted":{"key":"k"}}"#,
            r#"{"$encrypted":{"key":"k","data":"x","n":1}}"#,
            r#"{"$encrypted":{"key":"k","data":"x"},"n":1}"#,
        ] {
            assert_eq!(Encoded::of(json), None, "{json}");
            assert_eq!(encryption_key(&serde_json::from_str(json).unwrap()), None, "{json}");
        }
    }
}
