//! From a file's bytes to chunks of its text while they arrive: what is not a file of rows is refused, what is found in its
//! beginning is told, and what is read is cut.
//!
//! The stages in their order: [`foreign`] knows other kinds of files by their first bytes; [`Decode`] makes text of what is
//! written in other characters; [`Elements`] makes lines of an array of JSON; [`Preface`] finds the header; the [`Splitter`] cuts; the first chunk shows how amounts
//! and dates are written. A plain file goes through all of them without being held.

use crate::{
    Chunk, Container, Dialect, FEW, Foreign, Format, HeaderError, Kind, Limits, LineCount, Piece, Profile, Question,
    SOME, Said, SplitLimits, Splitter, Start, UseProfile, Values,
    charset::{Charset, CharsetError, Decode},
    elements::{Begin, Elements, begin},
    foreign,
    found::Shown,
    preface::{Found, NoHeader, Preface, Why},
    sample::Sample,
};

/// So many bytes of the text are waited for until it is said how amounts and dates are written.
const MOST_HELD: u64 = 1 << 20;

/// What comes out of an [`Intake`]: the header, then chunks.
#[derive(Debug)]
pub enum Part {
    /// The header was found.
    Header {
        /// Its record; empty: lines of JSON follow.
        raw: Vec<u8>,
        /// Bytes of the text up to the end of its line.
        bytes: u64,
        /// What is known by now of how the file is written.
        dialect: Box<Dialect>,
    },
    /// How its amounts and dates are written is known, too. It comes before the first chunk, if there is something to tell.
    Values(Box<Dialect>),
    /// A run of whole records.
    Chunk(Chunk),
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It is another kind of file.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// In which characters it is written cannot be told, or is not what was said.
    #[error(transparent)]
    Charset(#[from] CharsetError),
    /// It has no header of its kind.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It may be read in more than one way.
    #[error("{}", sentences(.0))]
    Asks(Vec<Question>),
    /// Not one record.
    #[error("the file is empty: send the header and the records")]
    Empty,
}

impl From<Box<NoHeader>> for IntakeError {
    fn from(told: Box<NoHeader>) -> Self {
        match told.why {
            Why::Wrong(error) => Self::Header(error),
            Why::Asks(question) => Self::Asks(vec![question]),
        }
    }
}

/// What is open, as one text.
pub fn sentences(questions: &[Question]) -> String {
    questions.iter().map(Question::to_string).collect::<Vec<_>>().join(" ")
}

/// What is known of a file that has arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// How it is written.
    pub dialect: Dialect,
    /// Bytes of its text: those that header and chunks cover.
    pub text_bytes: u64,
    /// Lines of its text, counted apart from the splitter. An array of JSON has one an element.
    pub lines: u64,
}

/// Takes a file in while it arrives. The same bytes give the same parts, however they are pushed.
pub struct Intake {
    head: Vec<u8>,
    decode: Decode,
    text: Text,
}

/// Where in an archive or a workbook a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Within {
    /// What the file is.
    pub container: Container,
    /// The file of an archive.
    pub entry: Option<String>,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
}

impl Intake {
    /// At the start of a file of this kind, of which this was said.
    pub fn new(kind: Kind, said: Said, split: SplitLimits, limits: Limits) -> Self {
        let parameters = said.parameters().into_iter().map(str::to_owned).collect();
        let said = said.with_profile();
        let dialect = Dialect {
            profile: match &said.profile {
                UseProfile::Named(profile) => Some(profile.name.clone()),
                UseProfile::ByHeader | UseProfile::Never => None,
            },
            decimal: said.decimal,
            dates: said.dates,
            said: parameters,
            ..Dialect::default()
        };
        let decode = Decode::new(said.charset);
        let stage = Stage::Start(Vec::new());
        let (sample, held) = (None, Vec::new());
        let profiles = Vec::new();
        let text = Text {
            kind,
            said,
            profiles,
            split,
            limits,
            array: None,
            stage,
            sample,
            held,
            covered: 0,
            dialect,
            bytes: 0,
        };
        Self { head: Vec::new(), decode, text }
    }

    /// The same, where the header may choose one of these profiles: those of the client for the kind. Not if another one is named, or none.
    #[must_use]
    pub fn knowing(mut self, profiles: Vec<Profile>) -> Self {
        if self.text.said.profile == UseProfile::ByHeader {
            self.text.profiles = profiles;
        }
        self
    }

    /// The same of a text that comes from within a file. That of a sheet is in UTF-8, whatever is said of the file.
    #[must_use]
    pub fn within(mut self, Within { container, entry, sheet }: Within) -> Self {
        if container.is_workbook() {
            self.decode = Decode::new(None);
        }
        let dialect = &mut self.text.dialect;
        (dialect.container, dialect.entry, dialect.sheet) = (Some(container), entry, sheet);
        self
    }

    /// What the beginning shows the file to be, if not rows. The text of a sheet is rows, whatever its first cell says.
    fn foreign(&self) -> Option<Foreign> {
        let is_sheet = self.text.dialect.container.is_some_and(Container::is_workbook);
        foreign(&self.head).filter(|_| !is_sheet)
    }

    /// What was said of a part of the file, if it has none.
    fn misplaced(&self) -> Option<Foreign> {
        let Text { said, dialect, .. } = &self.text;
        let is_whole = dialect.entry.is_none() && dialect.sheet.is_none();
        let parameter = [("sheet", &said.sheet), ("entry", &said.entry)].into_iter().find(|(_, said)| said.is_some());
        parameter.filter(|_| is_whole).map(|(parameter, _)| Foreign::Whole(parameter))
    }

    /// Takes the next bytes of the file, and emits the parts that are complete.
    ///
    /// # Errors
    /// See [`IntakeError`]. Nothing may be pushed behind one.
    pub fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(Part)) -> Result<(), IntakeError> {
        self.head.extend_from_slice(&bytes[..bytes.len().min(SOME - self.head.len())]);
        match self.foreign() {
            Some(what) if self.head.len() == SOME => return Err(what.into()),
            // With some more bytes it is known what it is.
            Some(_) if self.head.len() >= FEW => return Ok(()),
            _ => {}
        }
        if let Some(misplaced) = self.misplaced() {
            return Err(misplaced.into());
        }
        let (text, mut told) = (&mut self.text, Ok(()));
        self.decode.push(bytes, |more| {
            if told.is_ok() {
                told = text.push(more, &mut emit);
            }
        })?;
        told
    }

    /// The file is over: emits what is left.
    ///
    /// # Errors
    /// As those of `push`.
    pub fn finish(self, mut emit: impl FnMut(Part)) -> Result<Arrived, IntakeError> {
        if let Some(what) = self.foreign().or_else(|| self.misplaced()) {
            return Err(what.into());
        }
        let Self { decode, mut text, .. } = self;
        let mut told = Ok(());
        let decoded = decode.finish(|more| {
            if told.is_ok() {
                told = text.push(more, &mut emit);
            }
        })?;
        told?;
        let Arrived { mut dialect, text_bytes, lines } = text.finish(decoded.lines, &mut emit)?;
        dialect.encoding = decoded.charset;
        if dialect.encoding != Charset::Utf8 {
            dialect.evidence.extend(decoded.evidence.map(|evidence| Shown::of("encoding", evidence)));
        }
        Ok(Arrived { dialect, text_bytes, lines })
    }
}

/// What is done with the text.
struct Text {
    kind: Kind,
    said: Said,
    /// Those that the header may choose.
    profiles: Vec<Profile>,
    split: SplitLimits,
    limits: Limits,
    /// The file is one of JSON.
    array: Option<Array>,
    stage: Stage,
    /// Of the rows, until enough of them have come.
    sample: Option<Sample>,
    /// The chunks of the sample…
    held: Vec<Chunk>,
    /// …and how many bytes of the text they cover.
    covered: u64,
    dialect: Dialect,
    bytes: u64,
}

/// An array that becomes lines.
struct Array {
    elements: Elements,
    lines: LineCount,
}

enum Stage {
    /// What came before it is known whether it is an array.
    Start(Vec<u8>),
    Preface(Box<Preface>),
    Rows(Box<Splitter>),
    Over,
}

impl Text {
    fn push(&mut self, text: &[u8], emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        match (&mut self.stage, &mut self.array) {
            (Stage::Start(start), _) => {
                start.extend_from_slice(text);
                self.start(false, emit)
            }
            (_, Some(array)) => {
                let mut rows = Vec::with_capacity(text.len());
                array.elements.push(text, &mut rows);
                array.lines.push(&rows);
                self.read(&rows, emit)
            }
            (_, None) => self.read(text, emit),
        }
    }

    /// What came first shows whether the file is an array.
    fn start(&mut self, whole: bool, emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        let Stage::Start(start) = &mut self.stage else { return Ok(()) };
        let found = begin(start, self.kind, whole);
        let start = if found == Begin::More { return Ok(()) } else { std::mem::take(start) };
        match found {
            Begin::More => Ok(()),
            Begin::Member(name) => Err(Foreign::Member(name).into()),
            Begin::Rows => {
                let preface = Preface::new(self.kind, self.said.clone(), self.limits);
                self.stage = Stage::Preface(Box::new(preface.knowing(std::mem::take(&mut self.profiles))));
                self.read(&start, emit)
            }
            Begin::Array { at } => {
                self.dialect.container = Some(Container::JsonArray);
                self.array = Some(Array { elements: Elements::new(), lines: LineCount::default() });
                let splitter = Splitter::at(self.split, Start { format: Format::Ndjson, skip: 0 });
                self.stage = Stage::Rows(Box::new(splitter));
                self.push(&start[at..], emit)
            }
        }
    }

    /// Takes the next bytes of what is cut.
    fn read(&mut self, text: &[u8], emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        self.bytes += text.len() as u64;
        match &mut self.stage {
            Stage::Preface(preface) => {
                let found = preface.push(text)?;
                self.begin(found, emit)
            }
            Stage::Start(_) | Stage::Rows(_) | Stage::Over => self.split(text, emit),
        }
    }

    /// `lines`: those that came.
    fn finish(mut self, lines: u64, emit: &mut impl FnMut(Part)) -> Result<Arrived, IntakeError> {
        self.start(true, emit)?;
        let lines = match self.array.take() {
            None => lines,
            Some(Array { elements, lines: mut count }) => {
                let mut rows = Vec::new();
                elements.finish(&mut rows);
                count.push(&rows);
                self.read(&rows, emit)?;
                if count.lines() == 0 {
                    return Err(IntakeError::Empty);
                }
                count.lines()
            }
        };
        if let Stage::Preface(preface) = &mut self.stage {
            match preface.finish()? {
                Found::Empty | Found::More => return Err(IntakeError::Empty),
                found => self.begin(found, emit)?,
            }
        }
        if let Stage::Rows(splitter) = std::mem::replace(&mut self.stage, Stage::Over) {
            let mut pieces = Vec::new();
            splitter.finish(|piece| pieces.push(piece));
            self.pass_on(pieces, emit)?;
        }
        self.release(emit)?;
        Ok(Arrived { dialect: self.dialect, text_bytes: self.bytes, lines })
    }

    /// It is known where the records begin: what was held of the text is cut.
    fn begin(&mut self, found: Found, emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        let splitter = match found {
            Found::More | Found::Empty => return Ok(()),
            Found::Csv(header) => {
                if let Some(profile) = &header.profile {
                    self.said.behind_header(profile);
                    (self.dialect.decimal, self.dialect.dates) = (self.said.decimal, self.said.dates);
                    self.dialect.profile = Some(profile.name.clone());
                }
                self.dialect.delimiter = Some(header.delimiter);
                self.dialect.header_line = header.line;
                self.dialect.sep_line = header.sep_line;
                self.dialect.columns = header.reading(Values::default()).places;
                Splitter::at(self.split, header.start())
            }
            Found::Ndjson => Splitter::new(self.split),
        };
        let Stage::Preface(preface) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(()) };
        self.stage = Stage::Rows(Box::new(splitter.behind(preface.skipped())));
        self.split(&preface.into_held(), emit)
    }

    fn split(&mut self, text: &[u8], emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        let mut pieces = Vec::new();
        if let Stage::Rows(splitter) = &mut self.stage {
            splitter.push(text, |piece| pieces.push(piece));
        }
        self.pass_on(pieces, emit)
    }

    fn pass_on(&mut self, pieces: Vec<Piece>, emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        for piece in pieces {
            match piece {
                Piece::Header { raw, bytes } => {
                    let layout = self.kind.read_header_as(&raw, &self.dialect.reading(), &self.limits)?;
                    self.sample = Some(Sample::new(self.kind, &layout, self.limits.max_record_bytes));
                    emit(Part::Header { raw, bytes, dialect: Box::new(self.dialect.clone()) });
                }
                Piece::Chunk(chunk) => match &mut self.sample {
                    Some(sample) => {
                        sample.push(&chunk);
                        // records too long are not in the sample, yet they come
                        self.covered += chunk.bytes;
                        let is_enough = sample.is_full()
                            || self.covered >= MOST_HELD
                            || chunk.data.len() >= self.split.first_chunk_bytes();
                        self.held.push(chunk);
                        if is_enough {
                            self.release(emit)?;
                        }
                    }
                    None => emit(Part::Chunk(chunk)),
                },
            }
        }
        Ok(())
    }

    /// Enough of the rows was looked at, or there are no more: what they say holds for all.
    fn release(&mut self, emit: &mut impl FnMut(Part)) -> Result<(), IntakeError> {
        let Some(sample) = self.sample.take() else { return Ok(()) };
        let found = sample.verdict(&self.said).map_err(IntakeError::Asks)?;
        let Values { decimal, dates, .. } = found.values;
        if (decimal, dates) != (self.dialect.decimal, self.dialect.dates) {
            (self.dialect.decimal, self.dialect.dates) = (decimal, dates);
            self.dialect.found = Values { decimal: None, dates: None, ..found.values };
            let shown = [("decimal", found.decimal), ("dates", found.dates)];
            let shown = shown.into_iter().filter_map(|(what, example)| Some(Shown::of(what, example?)));
            self.dialect.evidence.extend(shown);
            emit(Part::Values(Box::new(self.dialect.clone())));
        }
        std::mem::take(&mut self.held).into_iter().for_each(|chunk| emit(Part::Chunk(chunk)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
