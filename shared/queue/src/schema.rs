//! The Postgres schema that holds the queue's tables.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{LazyLock, PoisonError, RwLock},
};

/// Where the queue's tables are: `gristmill`, unless another name is set. Two applications that share a database, each
/// with its own schema, know nothing of each other.
///
/// Statements are written for the schema `gristmill`; [`Schema::sql`] puts another name in its place. The caller's
/// `search_path` is never read or set, as its transaction holds the caller's statements, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Schema(&'static str);

/// Why a name is not one of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not the name of a schema here: write it with a-z, 0-9 and _, a letter first, at most 40 of them, not pg_…, not public"
)]
pub struct SchemaError(String);

const DEFAULT: &str = "gristmill";
/// The names of channels end in more: Postgres cuts a name at 63 bytes.
const LONGEST_NAME: usize = 40;

impl Default for Schema {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.0)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::str::FromStr for Schema {
    type Err = SchemaError;

    fn from_str(name: &str) -> Result<Self, SchemaError> {
        Self::new(name)
    }
}

impl Schema {
    /// The schema called `name`. A process keeps each name that it has used.
    ///
    /// # Errors
    /// Returns an error if Postgres would read the name in another way than it is written, or if it belongs to Postgres.
    pub fn new(name: &str) -> Result<Self, SchemaError> {
        let is_written_plainly = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_written_plainly || name.len() > LONGEST_NAME || name.starts_with("pg_") || name == "public" {
            return Err(SchemaError(name.to_owned()));
        }
        Ok(Self(if name == DEFAULT { DEFAULT } else { kept(DEFAULT, name, |name| name.to_owned()) }))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The statement with this schema in place of `gristmill.`. Written once and kept, as statements are static.
    #[must_use]
    pub fn sql(self, statement: &'static str) -> &'static str {
        if self.0 == DEFAULT {
            return statement;
        }
        kept(self.0, statement, |statement| self.rewrite(statement).into_owned())
    }

    /// The same for a statement that was put together.
    #[must_use]
    pub fn rewrite(self, statement: &str) -> Cow<'_, str> {
        if self.0 == DEFAULT {
            return Cow::Borrowed(statement);
        }
        Cow::Owned(statement.replace("gristmill.", &format!("{}.", self.0)))
    }
}

type Texts = HashMap<(&'static str, &'static str), &'static str>;

/// What `make` makes of `text`, made once for each `context`.
fn kept(context: &'static str, text: &str, make: impl Fn(&str) -> String) -> &'static str {
    static TEXTS: LazyLock<RwLock<Texts>> = LazyLock::new(RwLock::default);
    if let Some(known) = TEXTS.read().unwrap_or_else(PoisonError::into_inner).get(&(context, text)) {
        return known;
    }
    let mut texts = TEXTS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(&(context, text)) {
        return known;
    }
    let made: &'static str = Box::leak(make(text).into_boxed_str());
    texts.insert((context, Box::leak(text.to_owned().into_boxed_str())), made);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_plainly_or_refused() {
        for name in ["gristmill", "jobs", "shop_1", "a"] {
            assert_eq!(Schema::new(name).unwrap().name(), name);
        }
        for name in ["", "1a", "Jobs", "a-b", "a b", "pg_jobs", "public", "a\"; drop table jobs", "é", &"a".repeat(41)]
        {
            assert_eq!(Schema::new(name), Err(SchemaError(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn statements_name_the_schema_that_is_set() {
        let sql = "update gristmill.jobs j set state = 'dead' from gristmill.groups g where g.id = j.group_id";
        assert_eq!(Schema::default().sql(sql), sql);
        let shop = Schema::new("shop").unwrap();
        assert_eq!(shop.sql(sql), "update shop.jobs j set state = 'dead' from shop.groups g where g.id = j.group_id");
        assert!(std::ptr::eq(shop.sql(sql), shop.sql(sql)), "written once");
    }
}
