//! Arrays of JSON, on one line or over many: each element becomes a line.

mod begin;

pub(crate) use begin::{Begin, begin};

/// Makes lines of the elements of an array: its n-th element is line n. Nothing is held.
///
/// Blanks between the words of an element are taken out where they say nothing, and a line end is a blank. What is wrong
/// between elements is put into words on a line of its own, or before the element: that is no JSON, so it becomes a reject.
#[derive(Debug)]
pub(crate) struct Elements {
    place: Place,
    /// Brackets and braces that are open in the element.
    depth: usize,
    /// Inside of a text…
    quoted: bool,
    /// …and behind its backslash.
    escaped: bool,
    /// Blanks have come that are not written yet.
    blank: bool,
    /// What was written last.
    last: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind the array's bracket.
    First,
    /// Behind a comma.
    Next,
    /// Behind commas without an element between, which was told.
    Told,
    /// In an element.
    Within,
    /// Behind the brace that ends one.
    Ended,
    /// Behind the array.
    Behind,
    /// In what stands there.
    Rest,
}

const NO_LAST: &[u8] = b"no element behind the last comma";
const NO_ELEMENT: &[u8] = b"no element before this comma";
const NO_COMMA: &[u8] = b"no comma before this element: ";
const BEHIND: &[u8] = b"behind the end of the array: ";
const NOT_CLOSED: &[u8] = b"the array is not closed";

impl Elements {
    /// Behind the bracket that opens the array.
    pub(crate) fn new() -> Self {
        Self { place: Place::First, depth: 0, quoted: false, escaped: false, blank: false, last: b'\n' }
    }

    /// Takes the next bytes, and writes what they become. The same bytes become the same, however they are pushed.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.quoted {
                rest = self.text(rest, out);
                continue;
            }
            rest = behind;
            match is_blank(byte) {
                true => self.blank = true,
                false => self.take(byte, out),
            }
        }
    }

    /// The text is over.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        match self.place {
            Place::Behind => return,
            Place::Rest => return self.end_line(out),
            Place::Within | Place::Ended => self.end_line(out),
            Place::First | Place::Next | Place::Told => {}
        }
        self.say(NOT_CLOSED, out);
    }

    /// Inside of a text. A line end closes it, as JSON has none there: so a quote that is lost turns nothing behind
    /// its line inside out.
    fn text<'b>(&mut self, bytes: &'b [u8], out: &mut Vec<u8>) -> &'b [u8] {
        let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r');
        let plain = if self.escaped { 0 } else { bytes.iter().position(stops).unwrap_or(bytes.len()) };
        let (plain, rest) = bytes.split_at(plain);
        out.extend_from_slice(plain);
        let Some((&byte, rest)) = rest.split_first() else { return rest };
        let escaped = std::mem::take(&mut self.escaped);
        match byte {
            b'\n' | b'\r' => self.quoted = false,
            b'"' if !escaped => self.quoted = false,
            b'\\' if !escaped => self.escaped = true,
            _ => {}
        }
        // a tab is none of a text's bytes either
        self.write(if matches!(byte, b'\n' | b'\r') { b'\t' } else { byte }, out);
        rest
    }

    /// Outside of texts.
    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.place, byte) {
            (Place::First, b']') => self.place = Place::Behind,
            (Place::Next | Place::Told, b']') => {
                self.say(NO_LAST, out);
                self.place = Place::Behind;
            }
            (Place::First | Place::Next, b',') => {
                self.say(NO_ELEMENT, out);
                self.place = Place::Told;
            }
            (Place::Told, b',') => {}
            (Place::First | Place::Next | Place::Told, _) => self.within(byte, out),
            (Place::Within | Place::Ended, b',' | b']') if self.depth == 0 => {
                self.end_line(out);
                self.place = if byte == b',' { Place::Next } else { Place::Behind };
            }
            (Place::Ended, b'{') => {
                self.end_line(out);
                out.extend_from_slice(NO_COMMA);
                self.within(byte, out);
            }
            (Place::Within | Place::Ended, _) => self.within(byte, out),
            (Place::Behind, _) => {
                out.extend_from_slice(BEHIND);
                (self.place, self.blank) = (Place::Rest, false);
                self.spaced(byte, out);
            }
            (Place::Rest, _) => self.spaced(byte, out),
        }
    }

    /// A byte of an element.
    fn within(&mut self, byte: u8, out: &mut Vec<u8>) {
        // the first one of a line has no blank before it
        self.blank &= matches!(self.place, Place::Within | Place::Ended);
        let ends = byte == b'}' && self.depth == 1;
        self.place = if ends { Place::Ended } else { Place::Within };
        match byte {
            b'"' => self.quoted = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.spaced(byte, out);
    }

    /// Writes a byte, behind a blank if blanks came that part two words.
    fn spaced(&mut self, byte: u8, out: &mut Vec<u8>) {
        let says = !matches!(self.last, b'{' | b'[' | b',' | b':') && !matches!(byte, b'}' | b']' | b',' | b':');
        if std::mem::take(&mut self.blank) && says {
            out.push(b' ');
        }
        self.write(byte, out);
    }

    fn write(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.last = byte;
    }

    fn say(&mut self, what: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(what);
        self.end_line(out);
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        self.write(b'\n', out);
        (self.quoted, self.escaped, self.blank) = (false, false, false);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
