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
/// Whoever uses it depends on `serde` and `sqlx`. Attributes are kept, so an enum that stands in the OpenAPI document
/// derives `utoipa::ToSchema` itself.
#[macro_export]
macro_rules! string_enum {
    ($(#[$attribute:meta])* $vis:vis enum $name:ident { $($variants:tt)* }) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize, ::sqlx::Type,
            $crate::strum::Display, $crate::strum::EnumString, $crate::strum::IntoStaticStr, $crate::strum::VariantNames,
        )]
        #[serde(rename_all = "snake_case")]
        #[sqlx(type_name = "text", rename_all = "snake_case")]
        #[strum(crate = "::gristmill_core::strum", serialize_all = "snake_case")]
        #[strum(parse_err_ty = $crate::UnknownVariant, parse_err_fn = $crate::UnknownVariant::of::<Self>)]
        $(#[$attribute])*
        $vis enum $name { $($variants)* }
    };
}

#[cfg(test)]
mod tests {
    use sqlx::{Postgres, Type, TypeInfo as _};
    use strum::VariantNames as _;

    crate::string_enum! {
        /// Where a parcel is.
        #[derive(PartialOrd, Ord, Default)]
        enum Place {
            /// With the sender.
            #[default]
            AtHome,
            /// On its way.
            Sent,
        }
    }

    #[test]
    fn it_is_one_word_wherever_it_is_written() {
        assert_eq!(Place::VARIANTS, ["at_home", "sent"]);
        assert_eq!(Place::default().to_string(), "at_home");
        assert_eq!(<&str>::from(Place::Sent), "sent");
        assert_eq!("sent".parse(), Ok(Place::Sent));
        assert_eq!(serde_json::to_string(&Place::AtHome).unwrap(), "\"at_home\"");
        assert_eq!(<Place as Type<Postgres>>::type_info().name(), "text");
        assert!(Place::AtHome < Place::Sent);
    }

    #[test]
    fn another_word_is_refused_with_the_allowed_ones() {
        let error = "At_Home".parse::<Place>().unwrap_err();
        assert_eq!(error.to_string(), "'At_Home' is none of at_home, sent");
    }
}
