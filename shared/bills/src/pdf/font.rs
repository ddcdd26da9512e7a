//! The two weights of the page's font, and of each what one document uses.

use std::sync::LazyLock;

use subsetter::GlyphRemapper;
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
}

static REGULAR: LazyLock<Font> = LazyLock::new(|| Font::new(include_bytes!("../../assets/Inter-Regular.ttf")));
static SEMI_BOLD: LazyLock<Font> = LazyLock::new(|| Font::new(include_bytes!("../../assets/Inter-SemiBold.ttf")));

impl Font {
    fn new(file: &'static [u8]) -> Self {
        Self { file, face: Face::parse(file, 0).expect("the font that is built in") }
    }

    /// Thousandths of the font size.
    pub(super) fn advance(&self, glyph: u16) -> f32 {
        let units = self.face.glyph_hor_advance(GlyphId(glyph)).unwrap_or(0);
        self.scale(f32::from(units))
    }

    /// Font units as thousandths of the font size.
    pub(super) fn scale(&self, units: f32) -> f32 {
        units * 1000.0 / f32::from(self.face.units_per_em())
    }

    fn glyph(&self, character: char) -> Option<u16> {
        self.face.glyph_index(character).map(|glyph| glyph.0)
    }
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
fn each(font: &Font, text: &str, mut found: impl FnMut(char, u16)) {
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

/// The glyphs that a document uses.
#[derive(Default)]
pub(super) struct GlyphSet {
    pub(super) remapper: GlyphRemapper,
    /// What each stands for, in the order of the new numbers; the first is the glyph for nothing.
    pub(super) characters: Vec<char>,
}

impl GlyphSet {
    /// A line of text as the document numbers its glyphs, two bytes each.
    pub(super) fn encode(&mut self, weight: Weight, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        each(weight.font(), text, |character, glyph| {
            let number = self.remapper.remap(glyph);
            if usize::from(number) > self.characters.len() {
                self.characters.push(character);
            }
            bytes.extend(number.to_be_bytes());
        });
        bytes
    }
}
