//! From the bytes of a file to UTF-8, when it is known what they are.

use encoding_rs::{DecoderResult, Encoding};

use super::{Charset, single::Table};

/// So much is decoded at a time, while it is in the processor's cache.
const BLOCK_BYTES: usize = 16 * 1024;

/// Reads one file's bytes. What has no meaning becomes the byte 0xFF, which no text of UTF-8 has: so the row is refused, and
/// nothing is read as another letter.
pub(super) struct Decoder {
    way: Way,
    text: Vec<u8>,
}

enum Way {
    /// It is UTF-8, damaged or not: passed on as it is.
    Pass,
    Table(Box<Table>),
    Library {
        decoder: Box<encoding_rs::Decoder>,
        /// Two bytes a unit; of one that is cut the first is kept here.
        wide: bool,
        half: Option<u8>,
    },
}

impl Decoder {
    pub(super) fn new(charset: Charset) -> Self {
        let library = |encoding: &'static Encoding| Way::Library {
            decoder: Box::new(encoding.new_decoder_without_bom_handling()),
            wide: charset.is_wide(),
            half: None,
        };
        let way = match charset {
            Charset::Utf8 => Way::Pass,
            Charset::Utf16Le => library(encoding_rs::UTF_16LE),
            Charset::Utf16Be => library(encoding_rs::UTF_16BE),
            Charset::Windows1252 => Way::Table(Box::new(Table::windows_1252())),
            Charset::Ibm850 => Way::Table(Box::new(Table::ibm_850())),
            Charset::Ibm437 => Way::Table(Box::new(Table::ibm_437())),
            Charset::Named(encoding) => library(encoding),
        };
        Self { way, text: Vec::new() }
    }

    /// Takes the next bytes; what they say goes out.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut out: impl FnMut(&[u8])) {
        match &mut self.way {
            Way::Pass => out(bytes),
            Way::Table(table) => {
                for block in bytes.chunks(BLOCK_BYTES) {
                    self.text.clear();
                    table.decode(block, &mut self.text);
                    out(&self.text);
                }
            }
            Way::Library { decoder, wide, half } => {
                if let (Some(first), [second, rest @ ..]) = (*half, bytes) {
                    *half = None;
                    library(decoder, &[first, *second], false, &mut self.text, &mut out);
                    bytes = rest;
                }
                if let (true, [rest @ .., last]) = (*wide && bytes.len() % 2 == 1, bytes) {
                    *half = Some(*last);
                    bytes = rest;
                }
                library(decoder, bytes, false, &mut self.text, &mut out);
            }
        }
    }

    /// The file is over. Whether it ends with half a unit.
    pub(super) fn finish(&mut self, mut out: impl FnMut(&[u8])) -> bool {
        let Way::Library { decoder, half, .. } = &mut self.way else { return false };
        library(decoder, &[], true, &mut self.text, &mut out);
        if half.is_some() {
            out(&[0xff]);
        }
        half.is_some()
    }
}

fn library(
    decoder: &mut encoding_rs::Decoder,
    mut bytes: &[u8],
    last: bool,
    text: &mut Vec<u8>,
    mut out: impl FnMut(&[u8]),
) {
    text.resize(BLOCK_BYTES, 0);
    loop {
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut text[..], last);
        bytes = &bytes[read..];
        out(&text[..written]);
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out(&[0xff]),
        }
    }
}
