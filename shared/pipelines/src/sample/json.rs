//! The texts of lines of JSON. A number there has one meaning, so it says nothing.

use std::{borrow::Cow, collections::BTreeMap};

use memchr::memchr2;
use serde_json::value::RawValue;

use crate::{Kind, names::same, preface::Lines};

/// Each line that starts before `left`, and each text of it with its name.
pub(super) fn each(data: &[u8], first_line: u64, left: usize, mut each: impl FnMut(u64, Option<(&str, &[u8])>)) {
    for start in Lines::new(data).take_while(|line| line.at < left) {
        let (line, rest) = (first_line + start.line - 1, &data[start.at..]);
        each(line, None);
        let raw = &rest[..memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())];
        let object: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(raw).unwrap_or_default();
        for (name, value) in &object {
            if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(value.get()) {
                each(line, Some((name, text.as_bytes())));
            }
        }
    }
}

/// The column that a name means.
pub(super) fn place(kind: Kind, name: &str) -> Option<usize> {
    kind.columns().iter().position(|column| same(column, name))
}
