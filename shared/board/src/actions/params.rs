use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::answer::NotDone;

/// What an action is done to, from its address. What cannot be an id is not there.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = NotDone;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, NotDone> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(params)| Self(params)).map_err(|_| NotDone::Gone)
    }
}
