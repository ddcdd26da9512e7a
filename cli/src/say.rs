//! What this program writes for people. Names, records and messages come from whoever sent them, and a terminal obeys some
//! characters: none of them goes out. The macros stand in for those of the standard library in the whole crate, so that no
//! line is forgotten.

use std::{borrow::Cow, fmt::Write as _};

use gristmill_core::human::is_unseen;

/// A text of any number of lines: what a terminal obeys is written as JSON escapes it (`\u001b`), so that JSON stays what it
/// is. Ends of lines and tabs stay.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unseen(c) && !matches!(c, '\n' | '\t'))
}

/// The same of what stands on one line, such as a name.
pub(crate) fn plain_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

fn escaped(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&unwanted) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if unwanted(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

macro_rules! println {
    () => { std::println!() };
    ($($text:tt)*) => { std::println!("{}", $crate::say::plain(&std::format!($($text)*))) };
}

macro_rules! print {
    ($($text:tt)*) => { std::print!("{}", $crate::say::plain(&std::format!($($text)*))) };
}

macro_rules! eprintln {
    () => { std::eprintln!() };
    ($($text:tt)*) => { std::eprintln!("{}", $crate::say::plain(&std::format!($($text)*))) };
}

macro_rules! eprint {
    ($($text:tt)*) => { std::eprint!("{}", $crate::say::plain(&std::format!($($text)*))) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_goes_out() {
        assert_eq!(plain("Ana e João\n\ta row"), "Ana e João\n\ta row");
        assert_eq!(plain("new\nline\x1b[31m\r\u{9b}2J\u{7}"), "new\nline\\u001b[31m\\u000d\\u009b2J\\u0007");
        assert_eq!(plain_line("a\nb\tc"), "a\\u000ab\\u0009c");
        assert_eq!(plain("invoice\u{202e}fdp.exe\u{feff}"), "invoice\\u202efdp.exe\\ufeff");
        assert_eq!(plain("\u{e0041}"), "\\udb40\\udc41");
        assert_eq!(plain("日本語 🦀 ñ"), "日本語 🦀 ñ");
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = serde_json::json!({ "name": "a\u{9b}b\u{200d}c\n" });
        let text = value.to_string();
        let said = plain(&text);
        assert!(said.chars().all(|c| !is_unseen(c)), "{said}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&said).unwrap(), value);
    }
}
