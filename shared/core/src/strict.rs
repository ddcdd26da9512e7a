//! Structs from objects only.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// A reader, or a part of one, that gives arrays to no struct: what serde derives takes an array of a struct's fields for it as
/// well, at any depth.
pub struct Strict<T>(pub T);

/// What serde says of a number that does not fit, without the names of Rust's types: `expected u8` becomes
/// `expected a whole number from 0 to 255`.
#[must_use]
pub fn in_words(error: &str) -> String {
    const TYPES: [(&str, i64, u64); 8] = [
        ("u8", 0, u8::MAX as u64),
        ("u16", 0, u16::MAX as u64),
        ("u32", 0, u32::MAX as u64),
        ("u64", 0, u64::MAX),
        ("i8", i8::MIN as i64, i8::MAX as u64),
        ("i16", i16::MIN as i64, i16::MAX as u64),
        ("i32", i32::MIN as i64, i32::MAX as u64),
        ("i64", i64::MIN, i64::MAX as u64),
    ];
    let Some((before, after)) = error.rsplit_once("expected ") else { return error.to_owned() };
    let word = after.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(after);
    match TYPES.iter().find(|(name, ..)| *name == word) {
        Some((_, min, max)) => {
            format!("{before}expected a whole number from {min} to {max}{}", &after[word.len()..])
        }
        None => error.to_owned(),
    }
}

/// A struct's visitor, which takes objects only.
struct Fields<V>(V);

macro_rules! deserialize {
    ($($name:ident($($argument:ident: $type:ty),*) => $wrap:ident,)+) => {$(
        fn $name<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$name($($argument,)* $wrap(visitor))
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any() => Strict,
        deserialize_bool() => Strict,
        deserialize_i8() => Strict,
        deserialize_i16() => Strict,
        deserialize_i32() => Strict,
        deserialize_i64() => Strict,
        deserialize_i128() => Strict,
        deserialize_u8() => Strict,
        deserialize_u16() => Strict,
        deserialize_u32() => Strict,
        deserialize_u64() => Strict,
        deserialize_u128() => Strict,
        deserialize_f32() => Strict,
        deserialize_f64() => Strict,
        deserialize_char() => Strict,
        deserialize_str() => Strict,
        deserialize_string() => Strict,
        deserialize_bytes() => Strict,
        deserialize_byte_buf() => Strict,
        deserialize_option() => Strict,
        deserialize_unit() => Strict,
        deserialize_unit_struct(name: &'static str) => Strict,
        deserialize_newtype_struct(name: &'static str) => Strict,
        deserialize_seq() => Strict,
        deserialize_tuple(len: usize) => Strict,
        deserialize_tuple_struct(name: &'static str, len: usize) => Strict,
        deserialize_map() => Strict,
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) => Fields,
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) => Strict,
        deserialize_identifier() => Strict,
        deserialize_ignored_any() => Strict,
    }
}

macro_rules! visit {
    ($($name:ident: $type:ty,)+) => {$(
        fn $name<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$name(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    visit! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_str: &str,
        visit_borrowed_str: &'de str,
        visit_string: String,
        visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8],
        visit_byte_buf: Vec<u8>,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(some))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, choice: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Strict(choice))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(fields))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(from))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(seed).map(|(name, variant)| (name, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Strict(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Fields(visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn whole_numbers_are_told_by_their_bounds() {
        for (text, words) in [
            (
                "invalid value: integer `300`, expected u8",
                "invalid value: integer `300`, expected a whole number from 0 to 255",
            ),
            ("expected i16 at line 1 column 3", "expected a whole number from -32768 to 32767 at line 1 column 3"),
            ("invalid type: null, expected u8string", "invalid type: null, expected u8string"),
            ("EOF while parsing", "EOF while parsing"),
        ] {
            assert_eq!(in_words(text), words);
        }
    }
}
