//! JSON bodies, with errors that say where they are wrong.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// A JSON body of any content type.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| Problem::new(Code::InvalidBody, format!("The body cannot be read: {error}.")))?;
        // An empty body is an empty object, so that a POST without options needs none.
        let text: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| {
            Problem::new(Code::InvalidBody, format!("The body is not the JSON that is expected: {error}."))
        })
    }
}
