//! A ZIP archive with limits: what its directory says is checked before anything is unpacked, and what is unpacked is counted.

mod count;

use count::Directory;
use std::io::{BufReader, Read, Seek};

use zip::{
    CompressionMethod, ZipArchive,
    read::{ArchiveOffset, Config},
    result::ZipError,
};

use crate::{ContainerError, Limits, error::Exceeded};

/// As for a body that is compressed: so much of an entry comes before its ratio is looked at.
const UNPACKED_FREELY: u64 = 8 << 20;
/// Sheets are packed better than other files: equal cells of a column, tags.
const MIN_XML_RATIO: u64 = 400;
/// Bytes of the text that any workbook may become, however small it is: a row may be said to stand there many times.
const MADE_FREELY: u64 = 64 << 20;
/// Bytes of an archive's directory.
const MAX_DIRECTORY: u64 = 64 << 20;
/// Bytes of a part that says what a workbook consists of, unpacked.
const MAX_SMALL_XML_BYTES: u64 = 64 << 20;
/// Bytes of one XML part, unpacked.
const MAX_XML_BYTES: u64 = 8 << 30;
/// Of an entry that says what the file is.
const MIMETYPE_BYTES: u64 = 256;

pub(crate) struct Archive<R> {
    zip: ZipArchive<R>,
    pub(crate) limits: Limits,
}

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Zip,
    Xlsx,
    Ods,
}

impl<R: Read + Seek> Archive<R> {
    pub(crate) fn open(mut file: R, mut limits: Limits) -> Result<Self, ContainerError> {
        // Before its directory is read, which is in memory as a whole.
        let Directory { files, bytes, file_bytes } = count::directory(&mut file)?;
        if bytes > MAX_DIRECTORY {
            return Err(Exceeded(format!("the archive's directory has more than {MAX_DIRECTORY} bytes")).into());
        }
        let most = file_bytes.saturating_mul(limits.max_ratio.max(MIN_XML_RATIO)).max(MADE_FREELY);
        limits.max_text_bytes = limits.max_text_bytes.min(most);
        if files > limits.max_entries as u64 {
            let sentence = format!("the archive has {files} files: {} are allowed", limits.max_entries);
            return Err(Exceeded(sentence).into());
        }
        let mut zip = ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, file)?;
        if zip.has_duplicate_names() || zip.has_overlapping_entries()? {
            return Err(ContainerError::Unreadable(
                "the archive's files overlap or have the same name, as no program packs them: pack it again".to_owned(),
            ));
        }
        Ok(Self { zip, limits })
    }

    /// What its entries show it to be.
    pub(crate) fn found(&mut self) -> Result<Found, ContainerError> {
        if self.has("mimetype") {
            let mut mimetype = String::new();
            self.entry("mimetype")?.take(MIMETYPE_BYTES).read_to_string(&mut mimetype)?;
            return match mimetype.trim().strip_prefix("application/vnd.oasis.opendocument.") {
                Some("spreadsheet") => Ok(Found::Ods),
                Some(other) => Err(ContainerError::Unreadable(format!(
                    "the file is a document of OpenDocument ({other}), not a spreadsheet: save the table as .ods, .xlsx or CSV"
                ))),
                None => Ok(Found::Zip),
            };
        }
        if !self.has("[Content_Types].xml") {
            return match self.names().any(|name| name.ends_with(".iwa")) {
                true => Err(ContainerError::Unreadable(
                    "the file is an Apple Numbers document: export it as CSV or Excel and send that".to_owned(),
                )),
                false => Ok(Found::Zip),
            };
        }
        let has = |part: &str| self.names().any(|name| name.starts_with(part));
        let other = match () {
            () if has("xl/workbook.bin") => "a binary workbook of Excel (.xlsb): save it as .xlsx or CSV",
            () if has("word/") => "a Word document (.docx): save the table as .xlsx or CSV",
            () if has("ppt/") => "a PowerPoint document (.pptx): save the table as .xlsx or CSV",
            () => return Ok(Found::Xlsx),
        };
        Err(ContainerError::Unreadable(format!("the file is {other} and send that")))
    }

    /// Those that are no UTF-8 are in the characters of DOS, as ZIP has it.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        (0..self.zip.len()).filter_map(|entry| Some(self.zip.name_for_index(entry)?.ok()?.into_owned()))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// The bytes of a file, unpacked as they are read. At its end its checksum is compared.
    pub(crate) fn entry(&mut self, name: &str) -> Result<impl Read + use<'_, R>, ContainerError> {
        let limits = self.limits;
        self.bounded(name, limits.max_text_bytes, limits.max_ratio)
    }

    /// The same of a part of a workbook.
    pub(crate) fn xml(&mut self, name: &str) -> Result<BufReader<impl Read + use<'_, R>>, ContainerError> {
        let ratio = self.limits.max_ratio.max(MIN_XML_RATIO);
        Ok(BufReader::with_capacity(64 << 10, self.bounded(name, MAX_XML_BYTES, ratio)?))
    }

    /// The same of a part that is no sheet, and has no texts of one.
    pub(crate) fn small_xml(&mut self, name: &str) -> Result<BufReader<impl Read + use<'_, R>>, ContainerError> {
        let ratio = self.limits.max_ratio.max(MIN_XML_RATIO);
        Ok(BufReader::new(self.bounded(name, MAX_SMALL_XML_BYTES, ratio)?))
    }

    fn bounded(&mut self, name: &str, most: u64, ratio: u64) -> Result<impl Read + use<'_, R>, ContainerError> {
        let index = self
            .zip
            .index_for_name(name)
            .ok_or_else(|| ContainerError::damaged("the workbook", format!("it has no part {name}")))?;
        let entry = match self.zip.by_index(index) {
            Err(ZipError::UnsupportedArchive(why)) if why == ZipError::PASSWORD_REQUIRED => {
                return Err(ContainerError::Unreadable(format!(
                    "the archive's {name} is encrypted: unpack it and send the file"
                )));
            }
            entry => entry?,
        };
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ContainerError::Unreadable(format!(
                "the archive's {name} is packed in a way that is not read ({}): pack it by deflate, or send the file itself",
                entry.compression()
            )));
        }
        let packed = entry.compressed_size().max(1);
        Ok(Bounded { packed, inner: entry, read: 0, most, ratio, name: name.to_owned() })
    }
}

/// Counts what is unpacked.
struct Bounded<R> {
    inner: R,
    name: String,
    packed: u64,
    read: u64,
    most: u64,
    ratio: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        let Self { name, packed, most, ratio, .. } = self;
        let exceeded = if self.read > *most {
            format!("the archive's {name} has more than {most} bytes, unpacked")
        } else if self.read > UNPACKED_FREELY && self.read / *packed > *ratio {
            format!(
                "the archive's {name} becomes more than {ratio} times as large when it is unpacked: send it unpacked"
            )
        } else {
            return Ok(read);
        };
        Err(std::io::Error::other(Exceeded(exceeded)))
    }
}
