//! JSON bodies, with errors that say where they are wrong.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    response::IntoResponse as _,
};
use gristmill_core::{Strict, in_words};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{
    MAX_BODY,
    problem::{Failure, FieldError, Problem, ProblemKind, Result},
};

/// A JSON object, of any content type.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = whole(request, state).await?;
        Ok(Self(object(&bytes).map_err(|error| match error.field.as_str() {
            "" if !is_object(&bytes) => Problem::new(ProblemKind::NoObject, format!("The body {}.", error.detail)),
            "" => Problem::new(ProblemKind::InvalidBody, format!("The body {}.", error.detail)),
            _ => Problem::fields(vec![error]),
        })?))
    }
}

fn is_object(text: &[u8]) -> bool {
    text.trim_ascii().first() == Some(&b'{')
}

/// A body as it came.
pub(crate) async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Bytes::from_request(request, state).await.map_err(|error| {
        let text = error.body_text();
        let problem = match error.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail =
                    format!("The body has more bytes than this route takes, {MAX_BODY} at most. Send less at once.");
                Problem::new(ProblemKind::BodyTooLarge, detail)
            }
            _ => Problem::new(ProblemKind::InvalidBody, format!("The body cannot be read: {text}.")),
        };
        problem.into()
    })
}

/// Reads one object. The error has the path to what is wrong; without one it is about the whole.
pub(crate) fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, FieldError> {
    if text.trim_ascii().is_empty() {
        return Err(FieldError::new("", "is empty: send a JSON object, { … }"));
    }
    if !is_object(text) {
        return Err(FieldError::new("", "is not a JSON object: send { … }"));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(Strict(&mut json)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let inner = error.into_inner();
        // Where the text is no JSON, no field is.
        if inner.is_syntax() || inner.is_eof() {
            FieldError::new("", format!("is no JSON: {inner}"))
        } else {
            with_unknown(path, &inner)
        }
    })?;
    json.end().map_err(|error| FieldError::new("", format!("is no JSON object alone: {error}")))?;
    Ok(read)
}

/// A field that is not known is the field at fault, and not what it is in.
fn with_unknown(path: String, error: &serde_json::Error) -> FieldError {
    let text = in_words(&error.to_string());
    let detail = text.rsplit_once(" at line ").map_or(text.as_str(), |(detail, _)| detail);
    let named = |start: &str| detail.strip_prefix(start).and_then(|rest| rest.split('`').next());
    let missing = named("missing field `");
    match named("unknown field `").or(missing) {
        Some(name) if path.is_empty() => FieldError::new(name, detail),
        Some(name) if path == name || path.ends_with(&format!(".{name}")) => FieldError::new(path.clone(), detail),
        Some(name) => FieldError::new(format!("{path}.{name}"), detail),
        None if path.is_empty() => FieldError::new("", format!("is not what is expected: {detail}")),
        None => FieldError::new(path, detail),
    }
}
