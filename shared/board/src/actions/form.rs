//! The fields that a button sends along.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use gristmill_core::escapes::{self, EscapeError};
use http::request::Parts;

use super::answer::NotDone;

/// The fields of a form, in its order. The frame has read and checked them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Form(Arc<[(String, String)]>);

impl Form {
    /// Reads a body.
    ///
    /// # Errors
    /// Returns why the form is refused: it holds what no text of Postgres can hold.
    pub(super) fn read(body: &[u8]) -> Result<Self, EscapeError> {
        let fields: Arc<[_]> = form_urlencoded::parse(body).into_owned().collect();
        // A field may be a query itself: what a button was pressed for.
        fields.iter().try_for_each(|(_, value)| escapes::check(value))?;
        escapes::check(&String::from_utf8_lossy(body))?;
        Ok(Self(fields))
    }

    /// The first field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All fields of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Form {
    type Rejection = NotDone;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotDone> {
        parts.extensions.get().cloned().ok_or_else(|| NotDone::Failed("the form was not read".into()))
    }
}
