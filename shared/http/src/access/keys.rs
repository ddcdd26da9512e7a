//! Fixed keys.

use futures::future::ready;
use gristmill_core::{KeyFault, Keyring, MIN_KEY_CHARS};
use http::{header, request::Parts};

use super::{Access, Allowed, Refused, Right};

/// Fixed keys, sent as `Authorization: Bearer KEY`. Put TLS before them.
///
/// ```
/// # fn main() -> Result<(), gristmill_http::KeyError> {
/// use gristmill_http::Keys;
///
/// let access = Keys::new().worker("4f2c86d1a9be73505d1e")?.producer("b70a52c4e8d9136f2ac1")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Keys(Keyring<Role>);

/// What who has a key may do.
#[derive(Clone, Copy)]
enum Role {
    Worker,
    Producer,
}

/// A key that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is guessed too easily.
    #[error("a key has fewer than {MIN_KEY_CHARS} characters: use a longer one, such as of `openssl rand -hex 20`")]
    Short,
    /// It would be two keys.
    #[error("a key is there twice: give each its own")]
    Twice,
}

impl Keys {
    /// None yet: nobody may do anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who has this key may work and enqueue.
    ///
    /// # Errors
    /// When the key has fewer than 16 characters, or is there already.
    pub fn worker(self, key: &str) -> Result<Self, KeyError> {
        self.with(key, Role::Worker)
    }

    /// Who has this key may enqueue.
    ///
    /// # Errors
    /// When the key has fewer than 16 characters, or is there already.
    pub fn producer(self, key: &str) -> Result<Self, KeyError> {
        self.with(key, Role::Producer)
    }

    fn with(mut self, key: &str, role: Role) -> Result<Self, KeyError> {
        self.0.insert(key, role).map_err(|fault| match fault {
            KeyFault::Short => KeyError::Short,
            KeyFault::Twice => KeyError::Twice,
        })?;
        Ok(self)
    }

    /// What it is refused with, if it is.
    fn allowed(&self, request: &Parts, right: Right) -> Result<(), fn() -> Refused> {
        let sent = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        let key = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        match (key.and_then(|key| self.0.get(key)), right) {
            (Some(Role::Worker), _) | (Some(Role::Producer), Right::Enqueue) => Ok(()),
            (Some(Role::Producer), Right::Work) => Err(Refused::forbidden),
            (None, _) => Err(Refused::unauthorized),
        }
    }
}

impl Access for Keys {
    fn allows<'a>(&'a self, request: &'a Parts, right: Right) -> Allowed<'a> {
        Box::pin(ready(self.allowed(request, right).map_err(|refused| refused())))
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};

    use super::*;

    #[test]
    fn each_key_may_do_its_part() {
        let (works, produces) = ("0123456789abcdef", "fedcba9876543210");
        let keys = Keys::new().worker(works).unwrap().producer(produces).unwrap();
        let asked = |header: Option<String>, right| {
            let request =
                header.into_iter().fold(Request::builder(), |request, it| request.header("authorization", it));
            keys.allowed(&request.body(()).unwrap().into_parts().0, right).map_err(|refused| refused().0.status())
        };
        let bearer = |key: &str| Some(format!("Bearer {key}"));
        for right in [Right::Enqueue, Right::Work] {
            assert_eq!(asked(bearer(works), right), Ok(()));
            assert_eq!(asked(Some(format!("bearer  {works}")), right), Ok(()));
            for nobody in
                [None, bearer("0123456789abcdeF"), bearer(""), Some(works.to_owned()), Some(format!("Basic {works}"))]
            {
                assert_eq!(asked(nobody, right), Err(StatusCode::UNAUTHORIZED));
            }
        }
        assert_eq!(asked(bearer(produces), Right::Enqueue), Ok(()));
        assert_eq!(asked(bearer(produces), Right::Work), Err(StatusCode::FORBIDDEN));
        assert_eq!(Keys::new().worker("short").err(), Some(KeyError::Short));
        assert_eq!(keys.producer(works).err(), Some(KeyError::Twice));
    }
}
