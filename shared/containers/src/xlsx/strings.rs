//! The texts that cells share.

use std::io::BufRead;

use quick_xml::events::Event;

use crate::{
    ContainerError,
    error::Exceeded,
    xml::{Xml, add},
};

/// All of them, one behind the other.
#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    pub(super) fn read(part: impl BufRead, most: usize) -> Result<Self, ContainerError> {
        let (mut xml, mut strings, mut one) = (Xml::new(part), Self::default(), RichText::default());
        loop {
            let event = xml.next()?;
            match &event {
                Event::Eof => return Ok(strings),
                Event::End(element) if element.local_name().as_ref() == b"si" => {
                    strings.text.push_str(&one.take());
                    strings.ends.push(strings.text.len());
                    if strings.text.len() + strings.ends.len() * size_of::<usize>() > most {
                        let sentence =
                            format!("the workbook's texts are larger than {most} bytes: save it as CSV and send that");
                        return Err(Exceeded(sentence).into());
                    }
                }
                _ => one.see(&event)?,
            }
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }
}

/// A text of runs, each written in its own way; how it is spoken is left out.
#[derive(Default)]
pub(super) struct RichText {
    text: String,
    in_text: bool,
    is_spoken: bool,
}

impl RichText {
    pub(super) fn see(&mut self, event: &Event<'_>) -> Result<(), ContainerError> {
        match event {
            Event::Start(element) => match element.local_name().as_ref() {
                b"t" => self.in_text = !self.is_spoken,
                b"rPh" => self.is_spoken = true,
                _ => {}
            },
            Event::End(element) => match element.local_name().as_ref() {
                b"t" => self.in_text = false,
                b"rPh" => self.is_spoken = false,
                _ => {}
            },
            event if self.in_text => add(&mut self.text, event)?,
            _ => {}
        }
        Ok(())
    }

    /// The text so far, which begins anew.
    pub(super) fn take(&mut self) -> String {
        unescaped(std::mem::take(self).text)
    }
}

/// Characters that XML has not are written as `_x000D_`.
pub(super) fn unescaped(text: String) -> String {
    if !text.contains("_x") {
        return text;
    }
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(at) = rest.find("_x") {
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let char = code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        match char {
            Some(char) => {
                plain.push(char);
                rest = &behind[7..];
            }
            None => {
                plain.push_str("_x");
                rest = &behind[2..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::{Strings, unescaped};

    #[test]
    fn texts_are_what_is_shown() {
        let xml = "<?xml version=\"1.0\"?><x:sst xmlns:x=\"u\"><x:si><x:t>a &amp; b&#233;</x:t></x:si><x:si/>\
                   <x:si><x:r><x:rPr><x:b/></x:rPr><x:t xml:space=\"preserve\">one </x:t></x:r><x:r><x:t>two</x:t></x:r>\
                   <x:rPh sb=\"0\" eb=\"1\"><x:t>spoken</x:t></x:rPh></x:si><x:si><x:t><![CDATA[<c>]]></x:t></x:si></x:sst>";
        let strings = Strings::read(xml.as_bytes(), 1_000).unwrap();
        let all: Vec<_> = (0..5).map(|number| strings.get(number)).collect();
        assert_eq!(all, [Some("a & bé"), Some(""), Some("one two"), Some("<c>"), None]);
        let error = Strings::read(xml.as_bytes(), 20).err().unwrap().to_string();
        assert_eq!(error, "the workbook's texts are larger than 20 bytes: save it as CSV and send that");
    }

    #[test]
    fn own_entities_are_refused() {
        let xml = "<!DOCTYPE sst [<!ENTITY a \"aaaa\">]><sst><si><t>&a;</t></si></sst>";
        assert!(Strings::read(xml.as_bytes(), 1_000).err().unwrap().to_string().contains("DOCTYPE"));
        let xml = "<sst><si><t>&a;</t></si></sst>";
        assert!(Strings::read(xml.as_bytes(), 1_000).err().unwrap().to_string().contains("&a;"));
    }

    #[test]
    fn characters_that_xml_has_not_are_read() {
        for (text, is) in [
            ("plain", "plain"),
            ("a_x000D_b", "a\rb"),
            ("_x005F_x000D_", "_x000D_"),
            ("_x", "_x"),
            ("_xyzzy_", "_xyzzy_"),
            ("_xD800_", "_xD800_"),
            ("é_x00e9_é", "ééé"),
            ("_x00é9_", "_x00é9_"),
        ] {
            assert_eq!(unescaped(text.to_owned()), is, "{text}");
        }
    }
}
