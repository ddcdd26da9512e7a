//! Fixed keys, and what each of them stands for.

use sha2::{Digest as _, Sha256};

/// Keys by their hashes, each with what it stands for.
#[derive(Clone)]
pub struct Keyring<T>(Vec<([u8; 32], T)>);

/// Characters that a key has at least: nobody counts how many are tried.
pub const MIN_KEY_CHARS: usize = 16;

/// A key that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It is guessed too easily.
    Short,
    /// It would be two keys.
    Twice,
}

impl<T> Keyring<T> {
    /// Puts a key to the others.
    ///
    /// # Errors
    /// When it has fewer than [`MIN_KEY_CHARS`] characters, or is there already.
    pub fn insert(&mut self, key: &str, stands_for: T) -> Result<(), KeyFault> {
        if key.chars().count() < MIN_KEY_CHARS {
            return Err(KeyFault::Short);
        }
        if self.get(key).is_some() {
            return Err(KeyFault::Twice);
        }
        self.0.push((hash(key), stands_for));
        Ok(())
    }

    /// What a key stands for, if it is one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&T> {
        // How long a comparison of hashes takes tells nothing of the key.
        let hash = hash(key);
        self.0.iter().find(|(known, _)| *known == hash).map(|(_, stands_for)| stands_for)
    }
}

impl<T> Default for Keyring<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_what_it_was_given_for() {
        let mut keys = Keyring::default();
        assert_eq!(keys.insert("0123456789abcdef", 1), Ok(()));
        assert_eq!(keys.insert("fedcba9876543210", 2), Ok(()));
        assert_eq!(keys.insert("0123456789abcdef", 3), Err(KeyFault::Twice));
        assert_eq!(keys.insert("0123456789abcde", 4), Err(KeyFault::Short));
        assert_eq!((keys.get("0123456789abcdef"), keys.get("fedcba9876543210")), (Some(&1), Some(&2)));
        assert_eq!((keys.get("0123456789abcdeF"), keys.get("")), (None, None));
    }
}
