//! The stage between a file's bytes and its text.

use std::fmt;

use encoding_rs::Encoding;
use memchr::memchr2_iter;

use super::{
    Charset,
    decoder::Decoder,
    verdict::{Before, ONE_IN, Verdict, begun, judge},
};
use crate::{Example, Question, lines::LineCount};

/// From the first byte beyond ASCII on, so much is held before it is known what it is.
const WINDOW: usize = 1 << 20;
/// So many bytes tell whether a file may be UTF-16 without a byte order mark…
const FEW: usize = 4;
/// …and so many, or all of a shorter one, whether it is.
const SOME: usize = 4096;

/// Who said what a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sayer {
    /// The header, or a form's part.
    ContentType,
    /// The parameter `encoding=`.
    Parameter,
    /// What the client has saved.
    Profile,
}

impl fmt::Display for Sayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContentType => "Content-Type",
            Self::Parameter => "encoding=",
            Self::Profile => "the profile",
        })
    }
}

/// A file whose text cannot be read for certain. Says what was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// One byte a letter, and not as in Windows-1252.
    #[error(
        "The letters beyond ASCII are neither UTF-8 nor Windows-1252: byte 0x{byte:02X} on line {line} {how}. Send encoding= \
         with its name (macintosh, ibm850, windows-1250, …), or save it as UTF-8.",
        how = if *.between_letters { "stands between letters" } else { "has no meaning there" }
    )]
    Neither {
        /// The line of the byte, from 1.
        line: u64,
        /// One that shows it.
        byte: u8,
        /// Whether it stands beside a letter.
        between_letters: bool,
    },
    /// Two files in one.
    #[error(
        "The file has two encodings: line {utf8} is UTF-8 and line {other} is {what} (byte 0x{byte:02X}). Save it as one, or \
         send encoding=.",
        what = if *.western { "Windows-1252" } else { "not" }
    )]
    Two {
        /// A line in UTF-8, from 1.
        utf8: u64,
        /// A line that is none.
        other: u64,
        /// The first byte there that is none.
        byte: u8,
        /// Whether it could be Windows-1252.
        western: bool,
    },
    /// It was said to be UTF-8.
    #[error(
        "{by} says utf-8, but byte 0x{byte:02X} on line {line} is not: send the right {what}, or none.",
        what = what(*.by)
    )]
    NotUtf8 {
        /// Who said it.
        by: Sayer,
        /// The line of the byte, from 1.
        line: u64,
        /// The first one that is none.
        byte: u8,
    },
    /// It was said to be of one byte a letter, and is not.
    #[error("{by} says {said}, but the file is {found}: send the right {what}, or none.", what = what(*.by))]
    Wide {
        /// Who said it.
        by: Sayer,
        /// What it was said to be.
        said: Charset,
        /// What it is.
        found: Charset,
    },
}

impl CharsetError {
    /// The same, as what is to be said.
    pub fn question(&self) -> Question {
        let (parameter, choices) = match self {
            Self::Neither { .. } => ("encoding", &["macintosh", "ibm850", "windows-1250", "windows-1251"][..]),
            Self::Two { .. } => ("encoding", &["utf-8", "windows-1252"][..]),
            Self::NotUtf8 { .. } | Self::Wide { .. } => ("encoding", &[][..]),
        };
        let byte = |line: &u64, byte: &u8| vec![Example { line: *line, value: format!("0x{byte:02X}") }];
        let examples = match self {
            Self::Neither { line, byte: at, .. } | Self::NotUtf8 { line, byte: at, .. } => byte(line, at),
            Self::Two { other, byte: at, .. } => byte(other, at),
            Self::Wide { .. } => Vec::new(),
        };
        let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        Question { parameter, choices, examples, sentence: self.to_string() }
    }
}

fn what(by: Sayer) -> &'static str {
    match by {
        Sayer::ContentType => "charset",
        Sayer::Parameter | Sayer::Profile => "encoding",
    }
}

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// In which characters it was written; nothing but ASCII is UTF-8.
    pub charset: Charset,
    /// What shows that; none where it was said, or is ASCII.
    pub evidence: Option<Example>,
    /// Lines of the text.
    pub lines: u64,
    /// Half a unit of UTF-16 stood at its end: see [`source_len`](super::source_len).
    pub half: bool,
}

/// Reads a file's bytes into UTF-8 while they arrive, with or without knowing what they are. The same bytes give the same text,
/// however they are pushed.
///
/// What is UTF-8 or ASCII is passed on as it stands, damaged or not. Of others, a byte order mark becomes that of UTF-8, and
/// what has no meaning the byte 0xFF, which is no UTF-8: so its row is refused. It holds 1 MiB at most.
pub struct Decode {
    said: Option<(Charset, Sayer)>,
    state: State,
    charset: Option<Charset>,
    evidence: Option<Example>,
    /// Of the text that went out.
    lines: LineCount,
    /// Letters of UTF-8 in what was found to be another encoding.
    strays: Option<Strays>,
}

/// Behind what told that a file is Windows-1252, bytes that are letters of UTF-8 as well: by accident, or because another file
/// was put behind the first.
struct Strays {
    /// The byte that was found to be Windows-1252, and its line.
    found: (u64, u8),
    count: u64,
    /// Bytes beyond ASCII, these included: lines would not do, as there may be one.
    beyond: u64,
    first: u64,
    last: u8,
}

impl Strays {
    /// Looks at the next bytes, which stand behind so many lines.
    fn look(&mut self, bytes: &[u8], lines: &LineCount) {
        let is = |lead: u8, next: Option<&u8>| matches!((lead, next), (0xc2 | 0xc3, Some(0x80..=0xbf)));
        let cut = is(self.last, bytes.first());
        let leads = memchr2_iter(0xc2, 0xc3, bytes).filter(|lead| is(bytes[*lead], bytes.get(lead + 1)));
        for stray in cut.then_some(0).into_iter().chain(leads) {
            if self.count == 0 {
                self.first = lines.line_at(&bytes[..stray]);
            }
            self.count += 1;
        }
        self.beyond += beyond(bytes);
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

fn beyond(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| !byte.is_ascii()).count() as u64
}

enum State {
    /// The first bytes, before it is known whether they are UTF-16.
    Start(Vec<u8>),
    /// Nothing but ASCII so far.
    Ascii,
    /// What came from the first byte beyond ASCII on.
    Held(Vec<u8>),
    Known(Decoder),
}

impl Decode {
    /// At the start of a file. What was said of it is believed, unless the file shows that it is wrong; a byte order mark says
    /// it for certain.
    pub fn new(said: Option<(Charset, Sayer)>) -> Self {
        let state = State::Start(Vec::new());
        Self { said, state, charset: None, evidence: None, lines: LineCount::default(), strays: None }
    }

    /// Takes the next bytes of the file; the text that is known by now goes out.
    ///
    /// # Errors
    /// What they are cannot be told, or is not what was said.
    pub fn push(&mut self, mut bytes: &[u8], mut out: impl FnMut(&[u8])) -> Result<(), CharsetError> {
        while let State::Start(head) = &mut self.state {
            let wanted = if head.len() < FEW { FEW } else { SOME };
            let more = bytes.len().min(wanted - head.len());
            head.extend_from_slice(&bytes[..more]);
            bytes = &bytes[more..];
            if head.len() < wanted {
                return Ok(());
            }
            if wanted == SOME || !may_be_wide(head) {
                self.begin(&mut out)?;
            }
        }
        self.take(bytes, &mut out)
    }

    /// The file is over.
    ///
    /// # Errors
    /// As those of `push`.
    pub fn finish(mut self, mut out: impl FnMut(&[u8])) -> Result<Decoded, CharsetError> {
        self.begin(&mut out)?;
        self.settle(true, &mut out)?;
        let half = match &mut self.state {
            State::Known(decoder) => decoder.finish(|text| tell(&mut self.lines, text, &mut out)),
            _ => false,
        };
        if let Some(Strays { found: (other, byte), count, beyond, first, .. }) = self.strays
            && count > 1
            && count * ONE_IN > beyond
        {
            return Err(CharsetError::Two { utf8: first, other, byte, western: true });
        }
        let charset = self.charset.unwrap_or(Charset::Utf8);
        Ok(Decoded { charset, evidence: self.evidence, lines: self.lines.lines(), half })
    }

    /// In which characters the file is written, once it is known.
    pub fn charset(&self) -> Option<Charset> {
        self.charset
    }

    /// What shows it, once it is known; none where it was said.
    pub fn evidence(&self) -> Option<&Example> {
        self.evidence.as_ref()
    }

    /// The beginning of the file is there.
    fn begin(&mut self, out: &mut impl FnMut(&[u8])) -> Result<(), CharsetError> {
        let State::Start(head) = &mut self.state else { return Ok(()) };
        let head = std::mem::take(head);
        let evidence = |text: &str| Some(Example { line: 1, value: text.to_owned() });
        let (found, evidence) = match (mark(&head), wide(&head), self.said) {
            (Some(charset), ..) => (Some(charset), evidence("byte order mark")),
            (None, Some(found), Some((said, by))) if !said.is_wide() => {
                return Err(CharsetError::Wide { by, said, found });
            }
            (None, Some(charset), _) => (Some(charset), evidence("0x00 beside each letter")),
            // programs send it whatever they send: it is looked at what it is said of
            (None, None, Some((charset, Sayer::ContentType))) if charset.is_one_byte() => {
                self.charset = Some(charset);
                (None, None)
            }
            (None, None, Some((charset, _))) if charset != Charset::Utf8 => (Some(charset), None),
            (None, None, _) => (None, None),
        };
        match found {
            Some(charset) => self.know(charset, evidence),
            None => self.state = State::Ascii,
        }
        self.take(&head, out)
    }

    fn know(&mut self, charset: Charset, evidence: Option<Example>) {
        self.state = State::Known(Decoder::new(charset));
        self.charset = Some(charset);
        self.evidence = evidence;
    }

    fn take(&mut self, mut bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), CharsetError> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Start(_) => return Ok(()),
                State::Known(decoder) => {
                    if let Some(strays) = &mut self.strays {
                        strays.look(bytes, &self.lines);
                    }
                    decoder.push(bytes, |text| tell(&mut self.lines, text, out));
                    return Ok(());
                }
                State::Ascii => {
                    let (ascii, rest) = bytes.split_at(Encoding::ascii_valid_up_to(bytes));
                    tell(&mut self.lines, ascii, out);
                    bytes = rest;
                    if !rest.is_empty() {
                        self.state = State::Held(Vec::new());
                    }
                }
                State::Held(held) => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(WINDOW - held.len()));
                    held.extend_from_slice(taken);
                    bytes = rest;
                    if held.len() == WINDOW {
                        self.settle(false, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is held is enough, or all there is.
    fn settle(&mut self, whole: bool, out: &mut impl FnMut(&[u8])) -> Result<(), CharsetError> {
        let State::Held(held) = &mut self.state else { return Ok(()) };
        let held = std::mem::take(held);
        if let Some((said, by)) = self.said.filter(|(said, _)| said.is_one_byte()) {
            let sure = if whole { &held[..] } else { &held[..held.len() - begun(&held)] };
            if std::str::from_utf8(sure).is_ok() {
                return Err(CharsetError::Wide { by, said, found: Charset::Utf8 });
            }
            self.know(said, None);
            return self.take(&held, out);
        }
        let before = Before { line: self.lines.line(), last: self.lines.last() };
        let not_as_said = |line, byte| match self.said {
            Some((_, by)) => Err(CharsetError::NotUtf8 { by, line, byte }),
            None => Ok(()),
        };
        let (charset, line) = match judge(&held, before, whole) {
            Verdict::Utf8 { line } => (Charset::Utf8, line),
            // lines that are not as was said are refused
            Verdict::Two { utf8, .. } if self.said.is_some() => (Charset::Utf8, Some(utf8)),
            Verdict::Two { utf8, other, byte, western } => {
                return Err(CharsetError::Two { utf8, other, byte, western });
            }
            Verdict::Windows1252 { line, byte } => {
                not_as_said(line, byte)?;
                let (text, ..) = encoding_rs::WINDOWS_1252.decode(std::slice::from_ref(&byte));
                self.know(Charset::Windows1252, Some(Example { line, value: text.into_owned() }));
                self.take(&held, out)?;
                let last = held.last().copied().unwrap_or_default();
                self.strays = Some(Strays { found: (line, byte), count: 0, beyond: beyond(&held), first: 0, last });
                return Ok(());
            }
            Verdict::Neither { line, byte, between_letters } => {
                not_as_said(line, byte)?;
                return Err(CharsetError::Neither { line, byte, between_letters });
            }
        };
        let letter = || held.utf8_chunks().find_map(|part| part.valid().chars().find(|char| !char.is_ascii()));
        let evidence = line.and_then(|line| Some(Example { line, value: letter()?.to_string() }));
        self.know(charset, evidence.filter(|_| self.said.is_none()));
        self.take(&held, out)
    }
}

/// Text goes out.
fn tell(lines: &mut LineCount, text: &[u8], out: &mut impl FnMut(&[u8])) {
    if !text.is_empty() {
        lines.push(text);
        out(text);
    }
}

/// What a byte order mark says.
fn mark(head: &[u8]) -> Option<Charset> {
    match head {
        [0xef, 0xbb, 0xbf, ..] => Some(Charset::Utf8),
        [0xff, 0xfe, ..] => Some(Charset::Utf16Le),
        [0xfe, 0xff, ..] => Some(Charset::Utf16Be),
        _ => None,
    }
}

fn may_be_wide(head: &[u8]) -> bool {
    mark(head).is_none() && head[..FEW].contains(&0)
}

/// In UTF-16 every other byte of nearly all letters of the West is 0; a letter of another script does no harm.
fn wide(head: &[u8]) -> Option<Charset> {
    let units = head.len() / 2;
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let (nearly_all, hardly_any) = (|zeros: usize| 4 * zeros >= 3 * units, |zeros: usize| 10 * zeros <= units);
    if units < 2 {
        None
    } else if nearly_all(second) && hardly_any(first) {
        Some(Charset::Utf16Le)
    } else if nearly_all(first) && hardly_any(second) {
        Some(Charset::Utf16Be)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
