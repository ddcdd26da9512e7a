//! Ids that the compiler tells apart.

/// An id of its own type around a number or a UUID, so that one thing's id is refused where another's is wanted. In JSON, in
/// the database, in text and as a key of a map it is what it wraps. It comes from text by `FromStr`, from a document by
/// `Deserialize`, from a row by `sqlx`, and from the plain value by `From`; `get` gives the plain value to what knows no ids.
///
/// Whoever uses it depends on `serde` and `sqlx`.
///
/// ```
/// gristmill_core::id! {
///     /// A job.
///     pub struct JobId(uuid::Uuid);
/// }
///
/// fn cancel(job: JobId) {}
///
/// cancel(JobId::from(uuid::Uuid::nil()));
/// ```
///
/// What differs here is the id alone:
///
/// ```compile_fail,E0308
/// gristmill_core::id! {
///     /// An upload.
///     pub struct UploadId(uuid::Uuid);
/// }
/// gristmill_core::id! {
///     /// A job.
///     pub struct JobId(uuid::Uuid);
/// }
///
/// fn cancel(job: JobId) {}
///
/// cancel(UploadId::from(uuid::Uuid::nil()));
/// ```
#[macro_export]
macro_rules! id {
    ($(#[$attribute:meta])* $vis:vis struct $name:ident($plain:ty);) => {
        $(#[$attribute])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize, ::sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[repr(transparent)]
        $vis struct $name($plain);

        impl $name {
            /// The plain value.
            #[must_use]
            $vis const fn get(self) -> $plain {
                self.0
            }
        }

        impl ::std::convert::From<$plain> for $name {
            fn from(plain: $plain) -> Self {
                Self(plain)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = <$plain as ::std::str::FromStr>::Err;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

crate::id! {
    /// A client: whoever has keys, files and settings of its own.
    pub struct ClientId(i32);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sqlx::{
        Postgres, Type, TypeInfo as _,
        postgres::{PgHasArrayType, PgTypeInfo},
    };
    use uuid::Uuid;

    crate::id! {
        /// A client.
        struct Number(i32);
    }

    crate::id! {
        /// A job.
        struct Unique(Uuid);
    }

    const TEXT: &str = "0190b2f4-7d5c-7c3e-8a11-2f0f3a9b6c01";

    #[test]
    fn an_id_is_written_and_read_as_what_it_wraps() {
        let unique: Unique = TEXT.parse().unwrap();
        assert_eq!(unique.to_string(), TEXT);
        assert_eq!(serde_json::to_string(&unique).unwrap(), format!("\"{TEXT}\""));
        assert_eq!(serde_json::from_str::<Unique>(&format!("\"{TEXT}\"")).unwrap(), unique);
        assert_eq!(unique.get(), TEXT.parse::<Uuid>().unwrap());
        assert_eq!(format!("{:>6}", Number::from(7)), "     7", "the width is the number's");
        assert_eq!(Number::from(7).get(), 7);
        let counts = BTreeMap::from([(Number::from(-3), 1), (Number::from(12), 2)]);
        assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"-3":1,"12":2}"#);
    }

    #[test]
    fn text_that_is_no_id_is_refused_as_the_plain_type_refuses_it() {
        assert_eq!("2147483648".parse::<Number>().unwrap_err(), "2147483648".parse::<i32>().unwrap_err());
        assert_eq!("7 ".parse::<Number>().unwrap_err(), "7 ".parse::<i32>().unwrap_err());
        assert_eq!("".parse::<Unique>().unwrap_err(), "".parse::<Uuid>().unwrap_err());
    }

    #[test]
    fn the_database_sees_the_plain_type_alone_and_in_arrays() {
        assert_eq!(<Number as Type<Postgres>>::type_info().name(), "INT4");
        assert_eq!(<Unique as Type<Postgres>>::type_info().name(), "UUID");
        let array: PgTypeInfo = Unique::array_type_info();
        assert_eq!(array.name(), "UUID[]");
        assert!(Number::array_compatible(&<i32 as PgHasArrayType>::array_type_info()));
    }
}
