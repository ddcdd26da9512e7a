//! Characters of one byte each whose tables stand here: those that `encoding_rs` has not, and the one that is found, of which
//! the bytes without a meaning are to be told from the others.

use encoding_rs::Encoding;

/// What stands for a byte without a meaning.
const NONE: char = '\u{fffd}';

/// 0x80 to 0x9F; behind them it is Latin-1.
const WINDOWS_1252: &str = "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ";

const IBM_850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕ\
     µþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

const IBM_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσ\
     µτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The characters of the bytes from 0x80 on.
#[derive(Debug)]
pub(super) struct Table([char; 128]);

impl Table {
    pub(super) fn windows_1252() -> Self {
        let mut table: [char; 128] = std::array::from_fn(|byte| char::from(0x80 | byte.to_le_bytes()[0]));
        table.iter_mut().zip(WINDOWS_1252.chars()).for_each(|(place, char)| *place = char);
        Self(table)
    }

    pub(super) fn ibm_850() -> Self {
        Self::of(IBM_850)
    }

    pub(super) fn ibm_437() -> Self {
        Self::of(IBM_437)
    }

    fn of(chars: &str) -> Self {
        let mut table = [NONE; 128];
        table.iter_mut().zip(chars.chars()).for_each(|(place, char)| *place = char);
        Self(table)
    }

    /// Appends what the bytes say; the byte 0xFF for one that says nothing.
    pub(super) fn decode(&self, mut bytes: &[u8], text: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let (ascii, rest) = bytes.split_at(Encoding::ascii_valid_up_to(bytes));
            text.extend_from_slice(ascii);
            bytes = rest;
            while let [byte @ 0x80..=0xff, rest @ ..] = bytes {
                match self.0[usize::from(byte & 0x7f)] {
                    NONE => text.push(0xff),
                    char => text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                bytes = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_whole_and_right() {
        for (name, chars) in [("850", IBM_850), ("437", IBM_437)] {
            assert_eq!(chars.chars().count(), 128, "{name}");
        }
        assert_eq!(WINDOWS_1252.chars().count(), 32);
        let read = |table: &Table, bytes: &[u8]| {
            let mut text = Vec::new();
            table.decode(bytes, &mut text);
            text
        };
        assert_eq!(read(&Table::ibm_850(), b"Jos\x82 Concei\x87\xc6o \xf8"), "José Conceição °".as_bytes());
        assert_eq!(read(&Table::ibm_437(), b"Jos\x82, \xe1\xff"), "José, ß\u{a0}".as_bytes());
        assert_eq!(
            read(&Table::windows_1252(), b"\x80 \x9f \xa0\xffx\x81"),
            ["€ Ÿ \u{a0}ÿx".as_bytes(), b"\xff"].concat()
        );
    }

    #[test]
    fn windows_1252_is_what_others_say_it_is() {
        let table = Table::windows_1252();
        for byte in 0x80..=0xff_u8 {
            let mut text = Vec::new();
            table.decode(&[byte], &mut text);
            let (said, ..) = encoding_rs::WINDOWS_1252.decode(std::slice::from_ref(&byte));
            match byte {
                0x81 | 0x8d | 0x8f | 0x90 | 0x9d => assert_eq!(text, [0xff], "{byte:#x}"),
                _ => assert_eq!(text, said.as_bytes(), "{byte:#x}"),
            }
        }
    }
}
