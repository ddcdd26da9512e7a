//! JSON bodies, with errors that say where they are wrong.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use gristmill_core::{Strict, in_words};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{Code, FieldError, Problem, Result};

/// A JSON object, of any content type.
pub(crate) struct Body<T>(pub(crate) T);

/// The same of a request that puts something in the place of what is there: with one field at least, as nobody means an
/// empty object to set everything back.
pub(crate) struct Whole<T>(pub(crate) T);

/// The same of a request that needs no body: none is an empty object.
pub(crate) struct Options<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        read(&bytes(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Whole<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = bytes(request, state).await?;
        let new = read(&bytes)?;
        // It was read as an object: what is between its braces is blank, or a field.
        let text = bytes.trim_ascii();
        if text[1..text.len() - 1].trim_ascii().is_empty() {
            let detail = "The body is an empty object, which would set everything back: name a field, one that is to have its \
                          default as null or with that value.";
            return Err(Problem::new(Code::NoObject, detail));
        }
        Ok(Self(new))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Options<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = bytes(request, state).await?;
        read(if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Bytes::from_request(request, state)
        .await
        .map_err(|error| Problem::new(Code::InvalidBody, format!("The body cannot be read: {error}.")))
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let said = |error: serde_json::Error| {
        let error = in_words(&error.to_string());
        Problem::new(Code::InvalidBody, format!("The body is not the JSON that is expected: {error}."))
    };
    let text = text.trim_ascii();
    if text.first() != Some(&b'{') {
        let found = match text.first() {
            None => "is empty",
            // What is no JSON at all is said as such.
            Some(_) => match serde_json::from_slice(text).map_err(said)? {
                Value::Array(_) => "is an array",
                Value::String(_) => "is a text",
                Value::Number(_) => "is a number",
                _ => "is a single word",
            },
        };
        return Err(Problem::new(Code::NoObject, format!("The body {found}, not a JSON object: send {{ … }}.")));
    }
    refuse_nul(text)?;
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = T::deserialize(Strict(&mut json)).map_err(said)?;
    json.end().map_err(said)?;
    Ok(read)
}

/// No text of Postgres holds a NUL. The escape is the only way to write one in JSON, and nearly no body has it.
fn refuse_nul(text: &[u8]) -> Result<()> {
    if !text.windows(6).any(|escape| escape == br"\u0000") {
        return Ok(());
    }
    // It may be an escaped backslash and `u0000`; and what cannot be read is told by who reads it.
    let Ok(value) = serde_json::from_slice(text) else { return Ok(()) };
    let Some(field) = with_nul(&value) else { return Ok(()) };
    let detail = "has a NUL character in it, which no text may have".to_owned();
    Err(Problem::new(Code::InvalidBody, format!("{field}: {detail}.")).errors(vec![FieldError { field, detail }]))
}

/// The path to the first text with a NUL, as in `items[3].name`; of a name with one, the path to what has it.
fn with_nul(value: &Value) -> Option<String> {
    let join = |step: &str, rest: String| match rest.as_str() {
        "" => step.to_owned(),
        rest if rest.starts_with('[') => format!("{step}{rest}"),
        rest => format!("{step}.{rest}"),
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, item)| Some(join(&format!("[{n}]"), with_nul(item)?)))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') { Some(name.replace('\0', r"\0")) } else { Some(join(name, with_nul(value)?)) }
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        many: Vec<Inner>,
        #[serde(default)]
        pairs: Vec<(i32, String)>,
        #[serde(default)]
        choice: Option<Choice>,
        #[serde(default)]
        any: Value,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        a: i32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Unit,
        New(Inner),
        Fields { b: i32 },
    }

    fn code(text: &str) -> &'static str {
        read::<Outer>(text.as_bytes()).expect_err(text).code().as_str()
    }

    #[test]
    fn only_objects_are_objects() {
        for text in ["", " \n", "[]", "[null]", "null", "true", "1", "\"{}\""] {
            assert_eq!(code(text), "no-object", "{text}");
        }
        for text in [
            r#"{"inner": [1]}"#,
            r#"{"many": [[1]]}"#,
            r#"{"choice": {"new": [1]}}"#,
            r#"{"choice": {"fields": [1]}}"#,
            "{",
            "[1",
            "{} {}",
            r#"{"any": "\ud800"}"#,
        ] {
            assert_eq!(code(text), "invalid-body", "{text}");
        }
        let good = r#" {"inner": {"a": 1}, "many": [{"a": 2}], "pairs": [[3, "x"]], "choice": "unit", "any": [1.50, {"b": [{}]}]} "#;
        let good: Outer = read(good.as_bytes()).unwrap();
        assert_eq!(good.many, [Inner { a: 2 }]);
        assert_eq!(good.pairs, [(3, "x".to_owned())]);
        assert_eq!(good.any, json!([1.5, { "b": [{}] }]));
        let choice = |text: &str| read::<Outer>(text.as_bytes()).unwrap().choice.unwrap();
        assert_eq!(choice(r#"{"choice": {"new": {"a": 1}}}"#), Choice::New(Inner { a: 1 }));
        assert_eq!(choice(r#"{"choice": {"fields": {"b": 2}}}"#), Choice::Fields { b: 2 });
    }

    #[test]
    fn nul_is_found_wherever_it_is() {
        for (text, place) in [
            (r#"{"any": "a\u0000"}"#, "any: "),
            (r#"{"any": [1, {"x": {"y": "\u0000"}}]}"#, "any[1].x.y: "),
            (r#"{"any": {"k\u0000": 1}}"#, r"any.k\0: "),
            (r#"{"any": [["\\\u0000"]]}"#, "any[0][0]: "),
        ] {
            let problem = format!("{:?}", read::<Outer>(text.as_bytes()).expect_err(text));
            let place = format!("{place}has a NUL").replace('\\', r"\\");
            assert!(problem.contains(&place), "{problem}");
        }
        let escaped: Outer = read(br#"{"any": "\\u0000"}"#).unwrap();
        assert_eq!(escaped.any, json!(r"\u0000"));
    }
}
