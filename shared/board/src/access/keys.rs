use axum::response::IntoResponse as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::{BoxFuture, ready};
use gristmill_core::{Keyring, MIN_KEY_CHARS};
use http::{StatusCode, header, request::Parts};

use super::{Access, Denied, Person};
use crate::BoardError;

/// Fixed keys. A browser asks for one by itself (HTTP Basic: any name, the key as the password); a script sends it as
/// `Authorization: Bearer KEY`. Put TLS before it.
///
/// ```
/// # fn main() -> Result<(), gristmill_board::BoardError> {
/// use gristmill_board::Keys;
///
/// let access = Keys::new()
///     .operator("ops", "4f2c86d1a9be73505d1e")?
///     .viewer("support", "b70a52c4e8d9136f2ac1")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Keys(Keyring<Person>);

impl Keys {
    /// None yet: nobody is let in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who has this key may look and act, and is called `name`.
    ///
    /// # Errors
    /// When the key has fewer than 16 characters, or somebody has it already.
    pub fn operator(self, name: impl Into<String>, key: &str) -> Result<Self, BoardError> {
        self.with(Person::operator(name), key)
    }

    /// Who has this key may look, and is called `name`.
    ///
    /// # Errors
    /// When the key has fewer than 16 characters, or somebody has it already.
    pub fn viewer(self, name: impl Into<String>, key: &str) -> Result<Self, BoardError> {
        self.with(Person::viewer(name), key)
    }

    fn with(mut self, person: Person, key: &str) -> Result<Self, BoardError> {
        let name = person.name.clone();
        if let Some(other) = self.0.get(key) {
            return Err(BoardError::SameKey { name, other: other.name.clone() });
        }
        self.0.insert(key, person).map_err(|_| BoardError::ShortKey { name, min: MIN_KEY_CHARS })?;
        Ok(self)
    }

    fn of(&self, request: &Parts) -> Option<&Person> {
        let sent = request.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, sent) = sent.split_once(' ')?;
        let key = if scheme.eq_ignore_ascii_case("bearer") {
            sent.trim().to_owned()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = String::from_utf8(STANDARD.decode(sent.trim()).ok()?).ok()?;
            pair.split_once(':')?.1.to_owned()
        } else {
            return None;
        };
        self.0.get(&key)
    }
}

impl Access for Keys {
    fn person<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Person, Denied>> {
        let found = self.of(request).cloned().ok_or_else(|| {
            let ask = [(header::WWW_AUTHENTICATE, r#"Basic realm="Board", charset="UTF-8""#)];
            (StatusCode::UNAUTHORIZED, ask, "A key is needed: as the password, whatever the name.")
                .into_response()
                .into()
        });
        Box::pin(ready(found))
    }
}
