//! Whether a text is an array of JSON, or has one in it.

use super::is_blank;
use crate::{
    Kind,
    lines::BYTE_ORDER_MARK,
    names::{same, shown},
};

/// So many bytes are looked at.
const MOST: usize = 16 << 10;

/// What the beginning of a text shows it to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// More of it is needed.
    More,
    /// A header, or lines of JSON; or none of them.
    Rows,
    /// An array whose first element, if there is one, stands here or behind.
    Array {
        /// Behind its bracket.
        at: usize,
    },
    /// An object whose member of this name is the array.
    Member(String),
}

/// Looks at the text that has come so far. It has the same outcome for every longer one, unless that is `More`.
pub(crate) fn begin(text: &[u8], kind: Kind, whole: bool) -> Begin {
    let whole = whole || text.len() >= MOST;
    let text = &text[..text.len().min(MOST)];
    if !whole && text.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(text) {
        return Begin::More;
    }
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let blanks = text[mark..].iter().take_while(|byte| is_blank(**byte)).count();
    let at = mark + blanks + 1;
    let known = match text.get(at - 1) {
        None => None,
        Some(b'[') => is_array(&text[at..], whole).map(|is| if is { Begin::Array { at } } else { Begin::Rows }),
        Some(b'{') => Object { text: &text[at..], at: 0, over_lines: false }.begin(kind),
        Some(_) => Some(Begin::Rows),
    };
    known.unwrap_or(if whole { Begin::Rows } else { Begin::More })
}

/// Whether an object or the array's end comes next: else it is a title in brackets.
fn is_array(text: &[u8], whole: bool) -> Option<bool> {
    let text = &text[text.iter().take_while(|byte| is_blank(**byte)).count()..];
    match text.first() {
        None => whole.then_some(true),
        Some(b'{') => Some(true),
        Some(b']') => match text[1..].iter().all(|byte| is_blank(*byte)) {
            true => whole.then_some(true),
            false => Some(false),
        },
        Some(_) => Some(false),
    }
}

/// An object, read behind its brace.
struct Object<'t> {
    text: &'t [u8],
    at: usize,
    /// A line has ended in it: it is no line of JSON.
    over_lines: bool,
}

impl Object<'_> {
    /// `None`: more of it is needed.
    fn begin(mut self, kind: Kind) -> Option<Begin> {
        loop {
            let Some(name) = self.name()? else { return Some(Begin::Rows) };
            if kind.columns().iter().any(|column| same(column, &name)) {
                return Some(Begin::Rows);
            }
            if self.next()? == b'[' {
                self.at += 1;
                if self.next()? == b'{' {
                    self.at += 1;
                    let named = self.names();
                    if self.over_lines {
                        return Some(Begin::Member(shown(&name).chars().take(60).collect()));
                    }
                    let named = named?;
                    if kind.needed_columns().iter().all(|column| named.iter().any(|name| same(column, name))) {
                        return Some(Begin::Member(shown(&name).chars().take(60).collect()));
                    }
                    self.value(1)?;
                }
                self.value(1)?;
            }
            self.value(0)?;
            if self.next()? != b',' {
                return Some(Begin::Rows);
            }
            self.at += 1;
        }
    }

    /// What the object that begins here names.
    fn names(&mut self) -> Option<Vec<String>> {
        let mut names = Vec::new();
        while let Some(name) = self.name()? {
            names.push(name);
            self.value(0)?;
            if self.next()? != b',' {
                break;
            }
            self.at += 1;
        }
        Some(names)
    }

    /// The name that comes next, up to behind its colon; none: something else does.
    fn name(&mut self) -> Option<Option<String>> {
        if self.next()? != b'"' {
            return Some(None);
        }
        let from = self.at;
        self.quoted()?;
        let name = String::from_utf8_lossy(&self.text[from + 1..self.at - 1]).into_owned();
        if self.next()? != b':' {
            return Some(None);
        }
        self.at += 1;
        Some(Some(name))
    }

    /// The next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            self.over_lines |= matches!(byte, b'\n' | b'\r');
            if !is_blank(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes behind so many brackets and braces that are open, or to the end of a value.
    fn value(&mut self, open: usize) -> Option<()> {
        let mut depth = open;
        loop {
            match self.next()? {
                b'"' => self.quoted()?,
                b',' | b'}' | b']' if depth == 0 => return Some(()),
                byte => {
                    match byte {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 && open > 0 {
                        return Some(());
                    }
                }
            }
        }
    }

    /// Goes behind a text.
    fn quoted(&mut self) -> Option<()> {
        loop {
            self.at += 1;
            match self.text.get(self.at)? {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        self.at += 1;
        Some(())
    }
}
