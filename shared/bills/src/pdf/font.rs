//! The two weights of the page's font.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark, is_nfc};

/// A weight of Inter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    SemiBold,
}

/// A weight's file, and the file read.
pub(super) struct Font {
    pub(super) file: &'static [u8],
    pub(super) face: Face<'static>,
    /// Of each glyph, in thousandths of the font size.
    advances: Vec<f32>,
    /// Of each Latin letter, as looking one up in the file takes long.
    latin: Vec<Option<u16>>,
}

/// Where Unicode's Latin letters end, but for the rarest.
const LATIN: u32 = 0x250;

static REGULAR: LazyLock<Font> = LazyLock::new(|| Font::new(include_bytes!("../../assets/Inter-Regular.ttf")));
static SEMI_BOLD: LazyLock<Font> = LazyLock::new(|| Font::new(include_bytes!("../../assets/Inter-SemiBold.ttf")));

impl Font {
    fn new(file: &'static [u8]) -> Self {
        let face = Face::parse(file, 0).expect("the font that is built in");
        let units = |glyph| f32::from(face.glyph_hor_advance(GlyphId(glyph)).unwrap_or(0));
        let advances = (0..face.number_of_glyphs()).map(|glyph| thousandths(&face, units(glyph))).collect();
        let latin = (0..LATIN).map(|code| look_up(&face, char::from_u32(code)?)).collect();
        Self { file, face, advances, latin }
    }

    /// Thousandths of the font size.
    pub(super) fn advance(&self, glyph: u16) -> f32 {
        self.advances[usize::from(glyph)]
    }

    /// Font units as thousandths of the font size.
    pub(super) fn scale(&self, units: f32) -> f32 {
        thousandths(&self.face, units)
    }

    fn glyph(&self, character: char) -> Option<u16> {
        match self.latin.get(character as usize) {
            Some(glyph) => *glyph,
            None => look_up(&self.face, character),
        }
    }
}

fn thousandths(face: &Face<'_>, units: f32) -> f32 {
    units * 1000.0 / f32::from(face.units_per_em())
}

fn look_up(face: &Face<'_>, character: char) -> Option<u16> {
    face.glyph_index(character).map(|glyph| glyph.0)
}

impl Weight {
    pub(super) const ALL: [Self; 2] = [Self::Regular, Self::SemiBold];

    pub(super) fn font(self) -> &'static Font {
        match self {
            Self::Regular => &REGULAR,
            Self::SemiBold => &SEMI_BOLD,
        }
    }

    /// Its name within the document and within the font's file.
    pub(super) fn names(self) -> (&'static [u8], &'static str) {
        match self {
            Self::Regular => (b"R", "Inter-Regular"),
            Self::SemiBold => (b"S", "Inter-SemiBold"),
        }
    }

    /// Of a line of text, in points.
    pub(super) fn width(self, text: &str, size: f32) -> f32 {
        let font = self.font();
        let mut width = 0.0;
        each(font, text, |_, glyph| width += font.advance(glyph));
        width * size / 1000.0
    }
}

/// Calls `found` for each character with its glyph, in the composed form, which the font has. A character that it does not
/// have is written in Latin letters, as `any_ascii` has them; `?` stands for one that has none. Marks and signs that only
/// say how their neighbours look go.
pub(super) fn each(font: &Font, text: &str, mut found: impl FnMut(char, u16)) {
    let mut one = |character: char| {
        if character.is_control() {
            return;
        }
        if let Some(glyph) = font.glyph(character) {
            return found(character, glyph);
        }
        let letters = match any_ascii::any_ascii_char(character) {
            "" if is_combining_mark(character) || is_unseen(character) => "",
            "" => "?",
            letters => letters,
        };
        for letter in letters.chars() {
            found(letter, font.glyph(letter).unwrap_or(0));
        }
    };
    if is_nfc(text) { text.chars().for_each(&mut one) } else { text.nfc().for_each(&mut one) }
}

/// Joiners, directions and variants of the characters beside them.
fn is_unseen(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}
