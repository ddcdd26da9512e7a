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
    // behind a block there is room for the byte that has no meaning
    text.resize(BLOCK_BYTES + 1, 0);
    let mut end = 0;
    loop {
        let block = &mut text[end..BLOCK_BYTES];
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, block, last);
        bytes = &bytes[read..];
        end += written;
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::Malformed(..) if end < BLOCK_BYTES => {
                text[end] = 0xff;
                end += 1;
            }
            DecoderResult::Malformed(..) => {
                text[end] = 0xff;
                out(&text[..=end]);
                end = 0;
            }
            DecoderResult::OutputFull => {
                out(&text[..end]);
                end = 0;
            }
        }
    }
    out(&text[..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_meaning_goes_out_with_the_rest() {
        for unit in [&b"\x81\n"[..], b"a\x81\n", b"\x81\x40\x81\n"] {
            let bytes = unit.repeat(100_000);
            let (mut decoder, mut text, mut times) = (Decoder::new(Charset::Named(encoding_rs::GBK)), Vec::new(), 0);
            decoder.push(&bytes, |more| {
                text.extend_from_slice(more);
                times += 1;
            });
            decoder.finish(|more| text.extend_from_slice(more));
            let blocks = text.len() / (BLOCK_BYTES - 16) + 1;
            assert!(times <= blocks, "{times} of {blocks}");
            let mut one = Vec::new();
            let mut decoder = Decoder::new(Charset::Named(encoding_rs::GBK));
            bytes.iter().for_each(|byte| decoder.push(&[*byte], |more| one.extend_from_slice(more)));
            assert_eq!(text, one);
            assert_eq!(text.iter().filter(|byte| **byte == 0xff).count(), 100_000);
        }
    }
}
