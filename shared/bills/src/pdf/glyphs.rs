//! How a page numbers its glyphs.

use std::sync::LazyLock;

use subsetter::GlyphRemapper;

use super::font::{Weight, each};

/// The alphabet: what both weights need on nearly every page, what the regular one does, what more names of Brazil and its
/// neighbours need, and what the other names of the West do. A font has as many of the parts as the page needs, and is made
/// once for each number of parts. Glyphs 32 to 126 take the least room on a page: the rarer ones stand before them.
pub(super) const PARTS: [&str; 4] = [
    concat!("ÁÂÃÇÉÍÓÔÚâêôõúáãçéíó\u{a0}&wjyzHJGU", " $,-./0123456789abcdefghilmnopqrstuvxABCDEFILMNOPRSTV",),
    "()+:=@%_'·ºªàkQ",
    "KWXYZÀÊÕÑÜñü…",
    "#!\"*;<>?[\\]^`{|}~¢£€§«°²³µ»¼½¾×÷¡¿–—‘’“”•ÄÅÆÈËÌÎÏÐÒÖØÙÛÝÞßäåæèëìîïðòöøùûýþÿŒœŠšŽž",
];

/// The glyphs of one weight that a page uses.
#[derive(Clone)]
pub(super) struct Glyphs {
    weight: Weight,
    numbers: GlyphRemapper,
    /// What each stands for, in the order of the numbers; the first is the glyph for nothing.
    characters: Vec<char>,
    /// The highest number of each part, when it begins with the alphabet.
    ends: Option<[u16; PARTS.len()]>,
    /// The highest number that the page uses.
    highest: u16,
}

static ALPHABETS: [LazyLock<Glyphs>; Weight::ALL.len()] =
    [LazyLock::new(|| alphabet(Weight::Regular)), LazyLock::new(|| alphabet(Weight::SemiBold))];

fn alphabet(weight: Weight) -> Glyphs {
    let mut glyphs = Glyphs::own(weight);
    let ends = PARTS.map(|part| {
        glyphs.encode(part);
        glyphs.highest
    });
    Glyphs { ends: Some(ends), highest: 0, ..glyphs }
}

impl Glyphs {
    /// Numbered as in the alphabet.
    pub(super) fn shared(weight: Weight) -> Self {
        ALPHABETS[weight as usize].clone()
    }

    /// Numbered as the page comes to them, for what the alphabet does not have.
    pub(super) fn own(weight: Weight) -> Self {
        Self { weight, numbers: GlyphRemapper::new(), characters: Vec::new(), ends: None, highest: 0 }
    }

    /// A line of text as the document numbers its glyphs, two bytes each.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        each(self.weight.font(), text, |character, glyph| {
            let number = self.numbers.remap(glyph);
            if usize::from(number) > self.characters.len() {
                self.characters.push(character);
            }
            self.highest = self.highest.max(number);
            bytes.extend(number.to_be_bytes());
        });
        bytes
    }

    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    /// The alphabet's last part that the page needs. None when it needs more than that.
    pub(super) fn last_part(&self) -> Option<usize> {
        self.ends?.iter().position(|end| self.highest <= *end)
    }

    /// Glyphs of the font's file and their characters, by number from 1 on: up to the end of a part of the alphabet, or all.
    pub(super) fn up_to(&self, part: Option<usize>) -> impl Iterator<Item = (u16, char)> {
        let count = self.ends.zip(part).map_or(usize::MAX, |(ends, part)| usize::from(ends[part]));
        self.numbers.remapped_gids().skip(1).zip(self.characters.iter().copied()).take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_alphabet_has_a_glyph_of_its_own() {
        for weight in Weight::ALL {
            let glyphs = Glyphs::shared(weight);
            let characters: String = glyphs.up_to(None).map(|(_, character)| character).collect();
            assert_eq!(characters, PARTS.concat(), "{weight:?}");
        }
    }
}
