//! What is common to the XML of workbooks.

use std::io::{self, BufRead, Read};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

use crate::{ContainerError, error::Exceeded};

/// Bytes of one tag or text.
const MAX_EVENT: usize = 4 << 20;
/// Elements in each other.
const MAX_DEPTH: usize = 256;
/// Bytes of a cell's text; Excel has 32,767 letters.
const MAX_TEXT: usize = 1 << 20;

/// A part, event by event. Tags and names are of their local names: prefixes differ between programs.
pub(crate) struct Xml<R> {
    reader: Reader<Guard<R>>,
    buffer: Vec<u8>,
    /// Elements that have begun and not ended.
    depth: usize,
}

impl<R: BufRead> Xml<R> {
    pub(crate) fn new(part: R) -> Self {
        let mut reader = Reader::from_reader(Guard { part, read: 0 });
        let config = reader.config_mut();
        config.check_end_names = true;
        config.expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), depth: 0 }
    }

    /// The next event; the end of the file is one. Own entities could make much of little, and no program writes any.
    pub(crate) fn next(&mut self) -> Result<Event<'_>, ContainerError> {
        self.buffer.clear();
        self.reader.get_mut().read = 0;
        let event = self.reader.read_event_into(&mut self.buffer)?;
        match &event {
            Event::Start(_) => self.depth += 1,
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::Eof if self.depth > 0 => {
                return Err(ContainerError::damaged("the workbook", "an element has no end"));
            }
            _ => {}
        }
        if self.depth > MAX_DEPTH {
            return Err(Exceeded(format!("the workbook has more than {MAX_DEPTH} elements in each other")).into());
        }
        match event {
            Event::DocType(_) => Err(ContainerError::Unreadable(
                "the workbook defines entities (DOCTYPE), which none does: save it again".into(),
            )),
            event => Ok(event),
        }
    }
}

impl<R: BufRead> Xml<R> {
    /// Reads what is left, and looks at nothing of it.
    pub(crate) fn finish(&mut self) -> Result<(), ContainerError> {
        while !matches!(self.next()?, Event::Eof) {}
        Ok(())
    }
}

/// Lets no more than so much of a part be read for one event, which is in memory as a whole.
struct Guard<R> {
    part: R,
    read: usize,
}

impl<R: BufRead> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.part.read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Guard<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read > MAX_EVENT {
            return Err(io::Error::other(Exceeded(format!("the workbook has a text of more than {MAX_EVENT} bytes"))));
        }
        self.part.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.read += bytes;
        self.part.consume(bytes);
    }
}

/// The value of an attribute.
pub(crate) fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, ContainerError> {
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| ContainerError::damaged("the workbook", error))?;
        if attribute.key.local_name().as_ref() == name.as_bytes() {
            return Ok(Some(attribute.normalized_value(XmlVersion::Explicit1_0)?.into_owned()));
        }
    }
    Ok(None)
}

/// Adds a part of a text to it. Attributes and tags are not looked at.
pub(crate) fn add(text: &mut String, event: &Event<'_>) -> Result<(), ContainerError> {
    match event {
        Event::Text(part) => text.push_str(&utf8(part.xml10_content())?),
        Event::CData(part) => text.push_str(&utf8(part.xml10_content())?),
        Event::GeneralRef(reference) => text.push_str(&resolved(reference)?),
        _ => {}
    }
    if text.len() > MAX_TEXT {
        return Err(Exceeded(format!("a cell of the workbook has more than {MAX_TEXT} bytes")).into());
    }
    Ok(())
}

fn utf8<T>(text: Result<T, quick_xml::encoding::EncodingError>) -> Result<T, ContainerError> {
    text.map_err(|_| ContainerError::Unreadable("the workbook is not in UTF-8: save it again".to_owned()))
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, ContainerError> {
    if let Some(char) = reference.resolve_char_ref()? {
        return Ok(char.to_string());
    }
    let name = utf8(reference.decode())?;
    match quick_xml::escape::resolve_predefined_entity(&name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(ContainerError::damaged("the workbook", format!("it has an entity &{name};"))),
    }
}
