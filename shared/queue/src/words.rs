//! Closed sets of words.

/// A word that is none of those allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is none of {}", allowed.join(", "))]
pub struct UnknownWord {
    found: String,
    allowed: &'static [&'static str],
}

impl UnknownWord {
    /// `found` where one of the words of `T` should be.
    #[must_use]
    pub fn of<T: strum::VariantNames>(found: &str) -> Self {
        Self { found: found.to_owned(), allowed: T::VARIANTS }
    }
}

/// An enum that is one word wherever it is written: in the database, in JSON, in a query, to people. The words are the
/// variants' names in snake case; `strum::VariantNames` lists them, and another word is an [`UnknownWord`].
///
/// Whoever uses it depends on `serde`, `sqlx` and `utoipa`.
#[macro_export]
macro_rules! words {
    ($(#[$attribute:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize, ::sqlx::Type, ::utoipa::ToSchema,
            $crate::strum::Display, $crate::strum::EnumString, $crate::strum::IntoStaticStr, $crate::strum::VariantNames,
        )]
        #[serde(rename_all = "snake_case")]
        #[sqlx(type_name = "text", rename_all = "snake_case")]
        #[strum(crate = "::gristmill_queue::strum", serialize_all = "snake_case")]
        #[strum(parse_err_ty = $crate::UnknownWord, parse_err_fn = $crate::UnknownWord::of::<Self>)]
        $(#[$attribute])*
        pub enum $name { $($variants)* }
    };
}
