//! Enums that are one word wherever they are written.

/// A word that is none of the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is none of {}", allowed.join(", "))]
pub struct UnknownVariant {
    found: String,
    allowed: &'static [&'static str],
}

impl UnknownVariant {
    /// `found` where one of the words of `T` should be.
    #[must_use]
    pub fn of<T: strum::VariantNames>(found: &str) -> Self {
        Self { found: found.to_owned(), allowed: T::VARIANTS }
    }
}

/// An enum that is one word wherever it is written: in the database, in JSON, in a query, to people. The words are the
/// variants' names in snake case; `strum::VariantNames` lists them, and another word is an [`UnknownVariant`].
///
/// Whoever uses it depends on `serde`, `sqlx` and `utoipa`.
#[macro_export]
macro_rules! string_enum {
    ($(#[$attribute:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize, ::sqlx::Type, ::utoipa::ToSchema,
            $crate::strum::Display, $crate::strum::EnumString, $crate::strum::IntoStaticStr, $crate::strum::VariantNames,
        )]
        #[serde(rename_all = "snake_case")]
        #[sqlx(type_name = "text", rename_all = "snake_case")]
        #[strum(crate = "::gristmill_queue::strum", serialize_all = "snake_case")]
        #[strum(parse_err_ty = $crate::UnknownVariant, parse_err_fn = $crate::UnknownVariant::of::<Self>)]
        $(#[$attribute])*
        pub enum $name { $($variants)* }
    };
}
