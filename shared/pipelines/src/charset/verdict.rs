//! Whether bytes beyond ASCII are UTF-8 or Windows-1252, by all lines that are there. Never a guess: what could be another
//! encoding as well is a question.
//!
//! A letter of UTF-8 is hardly ever anything else, so lines that have as many as other bytes settle it. Of
//! one byte a letter there are many encodings that have the same letters at other places: it is Windows-1252 where its letters
//! stand in words as letters do, and its signs as signs. `é` is 0x8E on a Mac and 0x82 in DOS, which in Windows-1252 are `Ž`
//! and `‚`; Cyrillic and Greek words are runs of letters with accents.

use memchr::memchr2;

/// Where at least one line in so many is not UTF-8, it is not that line that is wrong.
pub(super) const ONE_IN: u64 = 100;
/// So many lines before the first letter count as looked at.
const LINES_BEFORE: u64 = 10_000;
/// So many bytes beyond ASCII stand behind each other in no word of Western Europe…
const RUN: usize = 4;
/// …where so many of them are letters.
const LETTERS: usize = 3;

/// What stands before the bytes that are looked at: nothing but ASCII.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// The line that they start on, from 1.
    pub(super) line: u64,
    /// The byte before them.
    pub(super) last: u8,
}

/// What they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// UTF-8, perhaps with damaged lines. This line has the first of its letters.
    Utf8 { line: Option<u64> },
    /// This byte on this line is a letter or a sign of it.
    Windows1252 { line: u64, byte: u8 },
    /// One line is UTF-8; another one is not, but Windows-1252 perhaps.
    Two { utf8: u64, other: u64, byte: u8, western: bool },
    /// This byte is neither.
    Neither { line: u64, byte: u8, between_letters: bool },
}

/// `whole`: no byte follows.
pub(super) fn judge(bytes: &[u8], before: Before, whole: bool) -> Verdict {
    let mut tally = Tally::default();
    let mut rest = if whole { bytes } else { &bytes[..bytes.len() - begun(bytes)] };
    let (mut line, mut last) = (before.line, before.last);
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        tally.line(&rest[..end], line, last);
        let next = match &rest[end..] {
            [b'\r', b'\n', ..] => end + 2,
            [] => end,
            _ => end + 1,
        };
        (rest, line, last) = (&rest[next..], line + 1, b'\n');
    }
    tally.verdict(before.line.min(LINES_BEFORE) + line - before.line)
}

/// How many bytes at the end more bytes could make a character of.
pub(super) fn begun(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let is_begun = |bytes: &[u8]| std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none());
    (1..=tail.len()).find(|n| is_begun(&tail[tail.len() - n..]) && tail[tail.len() - n] >= 0xc0).unwrap_or(0)
}

/// Its line, what it is, and whether letters are beside it.
type Byte = (u64, u8, bool);

#[derive(Default)]
struct Tally {
    /// Lines with letters of UTF-8, damaged or not, and the first of them.
    valid: u64,
    first_valid: u64,
    /// Other lines beyond ASCII.
    wrong: u64,
    first_wrong: Option<(u64, u8)>,
    /// Bytes on those lines that stand where a letter or a sign of Windows-1252 stands…
    western: u64,
    first_western: Option<(u64, u8)>,
    /// …and those that do not: the line of the first, and whether letters are beside it.
    odd: u64,
    first_odd: Option<Byte>,
    /// Bytes that may be `ő` and `ű`, which stand in one encoding where `õ` and `û` do in another; and the first of each.
    hungarian: [(u64, Option<Byte>); 2],
}

impl Tally {
    fn line(&mut self, bytes: &[u8], line: u64, before: u8) {
        if bytes.is_ascii() {
            return;
        }
        let (mut letters, mut strays) = (0_usize, 0_usize);
        for part in bytes.utf8_chunks() {
            letters += part.valid().chars().filter(|char| !char.is_ascii()).count();
            strays += usize::from(!part.invalid().is_empty());
        }
        if letters > 0 && letters >= strays {
            if self.valid == 0 {
                self.first_valid = line;
            }
            self.valid += 1;
            return;
        }
        self.wrong += 1;
        let mut at = 0;
        while let Some(found) = bytes[at..].iter().position(|byte| !byte.is_ascii()) {
            let start = at + found;
            let run = bytes[start..].iter().take_while(|byte| !byte.is_ascii()).count();
            at = start + run;
            let alien = run >= RUN && bytes[start..at].iter().filter(|byte| **byte >= 0xc0).count() >= LETTERS;
            for here in start..at {
                let last = if here == 0 { before } else { bytes[here - 1] };
                let next = bytes.get(here + 1).copied().unwrap_or(b'\n');
                let byte = bytes[here];
                self.first_wrong.get_or_insert((line, byte));
                match if alien { Sign::Odd } else { sign(last, byte, next) } {
                    Sign::Western => {
                        self.western += 1;
                        self.first_western.get_or_insert((line, byte));
                    }
                    Sign::Either => {}
                    Sign::Hungarian(letter) => {
                        let (count, first) = &mut self.hungarian[letter];
                        *count += 1;
                        first.get_or_insert((line, byte, true));
                    }
                    Sign::Odd => {
                        self.odd += 1;
                        self.first_odd.get_or_insert((line, byte, is_letter(last) || is_letter(next)));
                    }
                }
            }
        }
    }

    fn verdict(&self, lines: u64) -> Verdict {
        let utf8 = Verdict::Utf8 { line: Some(self.first_valid).filter(|line| *line > 0) };
        let Some((other, byte)) = self.first_wrong else { return utf8 };
        let few = self.wrong * ONE_IN <= lines;
        // no language of Western Europe has both
        let [(o, first_o), (u, first_u)] = self.hungarian;
        let hungarian = if o > 0 && u > 0 { o + u } else { 0 };
        let western = self.first_western.filter(|_| (self.odd + hungarian) * ONE_IN <= self.western);
        // in Windows-1252 the letters of UTF-8 are accidents, such as `Ã©`
        if self.valid * ONE_IN > self.wrong {
            return match few || self.wrong == 1 {
                true => utf8,
                false => Verdict::Two { utf8: self.first_valid, other, byte, western: western.is_some() },
            };
        }
        match western {
            Some((line, byte)) => Verdict::Windows1252 { line, byte },
            None if few => utf8,
            None => {
                let (line, byte, between_letters) =
                    self.first_odd.or(first_o).or(first_u).unwrap_or((other, byte, true));
                Verdict::Neither { line, byte, between_letters }
            }
        }
    }
}

/// What a byte says for Windows-1252.
enum Sign {
    /// It is a letter or a sign of it, where one may stand.
    Western,
    /// It may be one there.
    Either,
    /// It may be one, or this letter of Hungarian: `ő` or `ű`.
    Hungarian(usize),
    /// It is none, or not there.
    Odd,
}

/// What `byte` is between the two.
fn sign(last: u8, byte: u8, next: u8) -> Sign {
    let (behind, ahead) = (is_letter(last), is_letter(next));
    match byte {
        // quotes, an ellipsis, a dash: behind a word
        0x85 | 0x96 | 0x97 if behind && ahead => Sign::Either,
        0x92 if behind && ahead => Sign::Either,
        0x85 | 0x92 | 0x96 | 0x97 => Sign::Western,
        0x93 | 0x94 if !(behind && ahead) => Sign::Western,
        // quotes, a bullet, the euro: before a word or alone
        0x80 | 0x82 | 0x84 | 0x91 | 0x95 if !behind => Sign::Western,
        // œ, as in cœur and œil
        0x8c | 0x9c if matches!(next, b'u' | b'i' | b'U' | b'I') => Sign::Western,
        0x99 if !ahead => Sign::Either,
        0x80..=0x9f => Sign::Odd,
        // a blank, a hyphen nobody sees, an accent for an apostrophe, a point between two
        0xa0 | 0xad | 0xb4 | 0xb7 if behind && ahead => Sign::Either,
        0xa0..=0xbf if behind && ahead => Sign::Odd,
        // § ª « ° º »
        0xa0 | 0xa7 | 0xaa | 0xab | 0xb0 | 0xba | 0xbb => Sign::Western,
        0xa1..=0xbf | 0xd7 | 0xf7 => Sign::Either,
        // the letters of Iceland, which are others in Turkey; a `ÿ`, which no word begins or ends with
        0xd0 | 0xde | 0xf0 | 0xfe | 0xff => Sign::Odd,
        0xc0..=0xde if last.is_ascii_lowercase() && next.is_ascii_lowercase() => Sign::Odd,
        // Portuguese has no `õ` but in `ões`, `õe` and `õem`
        0xd5 | 0xf5 if !matches!(next, b'e' | b'E') => Sign::Hungarian(0),
        0xdb | 0xfb => Sign::Hungarian(1),
        _ if last.is_ascii_alphabetic() || next.is_ascii_alphabetic() => Sign::Western,
        _ => Sign::Either,
    }
}

/// Of ASCII or of Windows-1252.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0xc0 && !matches!(byte, 0xd7 | 0xf7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &[u8]) -> Verdict {
        judge(file, Before { line: 1, last: b'\n' }, true)
    }

    fn in_1252(text: &str) -> Vec<u8> {
        encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
    }

    fn written_in(encoding: &'static encoding_rs::Encoding, text: &str) -> Vec<u8> {
        let (bytes, _, lost) = encoding.encode(text);
        assert!(!lost, "{text}");
        bytes.into_owned()
    }

    #[test]
    fn words_of_western_europe_are_windows_1252() {
        for text in [
            "José da Conceição",
            "AÇÃO, SÃO PAULO, ÓRGÃO, PÊSSEGO",
            "Ana – Bia",
            "d’Ávila, “Casa”, 5 €, Nº 3, 1ª parcela",
            "R$\u{a0}1.234,56, José\u{a0}Silva",
            "Müller, Groß, Jürgen, naïf, cœur, Œuvre d'été",
            "Muñoz ¿qué? ¡sí! Ñandú",
            "Põe, Simões, corações, LIÇÕES, août, déjà",
            "Tõnu Kõiv, Ülo",
            "Køge, Ærø, Åse, Ærlig",
            "niño\r\nJoão\rMário\n",
        ] {
            let found = judged(&in_1252(text));
            assert!(matches!(found, Verdict::Windows1252 { line: 1, .. }), "{text}: {found:?}");
            assert_eq!(judged(text.as_bytes()), Verdict::Utf8 { line: Some(1) }, "{text}");
        }
        assert_eq!(judged(b"a\nb\r\nJo\xe3o\n"), Verdict::Windows1252 { line: 3, byte: 0xe3 });
    }

    #[test]
    fn words_in_other_encodings_are_a_question() {
        use encoding_rs as e;
        for (encoding, text) in [
            (e::MACINTOSH, "José"),
            (e::MACINTOSH, "João, Conceição, Antônio"),
            (e::WINDOWS_1251, "Иван Петров"),
            (e::WINDOWS_1253, "Γιώργος Παπαδόπουλος"),
            (e::WINDOWS_1250, "Michał Leśniak"),
            (e::WINDOWS_1250, "Erdős,Gyűrű"),
            (e::WINDOWS_1250, "Erdős\nGyűrű\nKovács\nTörök\nSzabó"),
            (e::WINDOWS_1250, "Tomáš Dvořák, Růžena Šťastná"),
            (e::WINDOWS_1254, "Yıldız Şahin, Işık"),
            (e::GBK, "张伟"),
            (e::SHIFT_JIS, "日本太郎"),
        ] {
            let found = judged(&written_in(encoding, text));
            assert!(matches!(found, Verdict::Neither { line: 1, .. }), "{text}: {found:?}");
        }
        for dos in [&b"Jos\x82"[..], b"Concei\x87\xc6o", b"M\xa0rio", b"Lu\xa1s", b"Ant\x93nio", b"JOS\x90", b"Jo\xc6o"]
        {
            let found = judged(dos);
            assert!(matches!(found, Verdict::Neither { between_letters: true, .. }), "{dos:?}: {found:?}");
        }
    }

    #[test]
    fn one_damaged_line_of_many_is_a_matter_of_that_line() {
        let good = "José,1\n".repeat(199);
        for bad in [&b"Jo\xe3o,2\n"[..], b"x\xff,2\n", b"Jos\xc3\xa9 Guimar\xe3es\n"] {
            for file in [[good.as_bytes(), bad].concat(), [bad, good.as_bytes()].concat()] {
                assert!(matches!(judged(&file), Verdict::Utf8 { .. }), "{bad:?}");
            }
        }
        let ascii = "Ana,1\n".repeat(199);
        assert_eq!(judged(&[ascii.as_bytes(), b"x\xff,2\n"].concat()), Verdict::Utf8 { line: None });
        assert!(matches!(judged(&[&ascii.as_bytes()[..60], b"x\xff,2\n"].concat()), Verdict::Neither { .. }));
        assert_eq!(
            judged(&[ascii.as_bytes(), b"Jos\xe9,2\n"].concat()),
            Verdict::Windows1252 { line: 200, byte: 0xe9 }
        );
        // the lines before it count, but not all of a huge file's
        let far = |lines| judge(&b"\xff\n".repeat(200), Before { line: lines, last: b'\n' }, true);
        assert!(matches!(far(1_000), Verdict::Neither { line: 1_000, .. }));
        assert!(matches!(far(1_000_000), Verdict::Neither { line: 1_000_000, .. }));
    }

    #[test]
    fn two_encodings_are_told() {
        let file = [&b"name\nJos\xc3\xa9\nAna\nJo\xc3\xa3o\n"[..], b"Jos\xe9\nJo\xe3o\n"].concat();
        assert_eq!(judged(&file), Verdict::Two { utf8: 2, other: 5, byte: 0xe9, western: true });
        // one line is damaged, not in another encoding
        assert_eq!(judged(b"Jos\xc3\xa9\nJos\xe9\n"), Verdict::Utf8 { line: Some(1) });
        // an accident is none
        let file = [&b"Jos\xe9\n".repeat(200)[..], b"Jos\xc3\xa9\n"].concat();
        assert_eq!(judged(&file), Verdict::Windows1252 { line: 1, byte: 0xe9 });
    }

    #[test]
    fn a_letter_that_is_cut_is_none() {
        let before = Before { line: 1, last: b'\n' };
        for text in ["José", "a€", "a😀"] {
            for cut in 1..text.len() {
                let bytes = &[b"Jo\xc3\xa3o\n", &text.as_bytes()[..cut]].concat();
                assert_eq!(judge(bytes, before, false), Verdict::Utf8 { line: Some(1) }, "{text} {cut}");
            }
        }
        assert!(matches!(judge(b"Jos\xe9", before, true), Verdict::Windows1252 { .. }));
    }
}
