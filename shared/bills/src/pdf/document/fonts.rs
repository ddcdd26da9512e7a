//! The objects of the two fonts: the same on most pages, so made once for each number of the alphabet's parts.

use std::sync::OnceLock;

use pdf_writer::{
    Chunk, Filter, Finish, Name, Rect, Ref, Str,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use subsetter::GlyphRemapper;

use super::SETTINGS;
use crate::pdf::{
    PdfError, compression,
    font::Weight,
    glyphs::{Glyphs, PARTS},
};

/// Objects of one font.
const EACH: i32 = 5;
/// Objects of both: the document's first numbers, so that what is made once fits every page.
pub(super) const REFS: i32 = EACH * Weight::ALL.len() as i32;

const IDENTITY: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// A weight's font in every document.
pub(super) fn of(weight: Weight) -> Ref {
    let [composite, ..] = refs(weight);
    composite
}

fn refs(weight: Weight) -> [Ref; EACH as usize] {
    std::array::from_fn(|at| Ref::new(1 + EACH * weight as i32 + at as i32))
}

/// Puts both fonts into a document, each with at least the glyphs that the page uses.
pub(super) fn embed(into: &mut Chunk, regular: &Glyphs, semi_bold: &Glyphs) -> Result<(), PdfError> {
    match (regular.last_part(), semi_bold.last_part()) {
        (Some(of_regular), Some(of_semi_bold)) => {
            // what the numbers stand for is written once, with the regular font
            into.extend(ready(regular, of_regular.max(of_semi_bold))?);
            into.extend(ready(semi_bold, of_semi_bold)?);
        }
        _ => {
            into.extend(&font(regular, None)?);
            into.extend(&font(semi_bold, None)?);
        }
    }
    Ok(())
}

fn ready(glyphs: &Glyphs, last_part: usize) -> Result<&'static Chunk, PdfError> {
    static READY: [[OnceLock<Chunk>; PARTS.len()]; Weight::ALL.len()] = [const { [const { OnceLock::new() }; _] }; _];
    let ready = &READY[glyphs.weight() as usize][last_part];
    match ready.get() {
        Some(font) => Ok(font),
        None => {
            let made = font(glyphs, Some(last_part))?;
            Ok(ready.get_or_init(|| made))
        }
    }
}

/// With the glyphs of the alphabet up to a part, or with the page's own.
fn font(glyphs: &Glyphs, last_part: Option<usize>) -> Result<Chunk, PdfError> {
    let weight = glyphs.weight();
    let (used, characters): (Vec<u16>, Vec<char>) = glyphs.up_to(last_part).unzip();
    let numbers = GlyphRemapper::new_from_glyphs(&used);
    let font = weight.font();
    let mut chunk = Chunk::with_settings(SETTINGS);
    let [composite, descendant, descriptor, file, own_map] = refs(weight);
    let [.., shared_map] = refs(Weight::Regular);
    let map = if last_part.is_some() { shared_map } else { own_map };
    let name = format!("{}+{}", tag(&numbers), weight.names().1);
    let name = Name(name.as_bytes());

    let subset = subsetter::subset(font.file, 0, &numbers).map_err(PdfError::Font)?;
    chunk
        .stream(file, &compression::kept(&subset))
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), subset.len() as i32);

    if map == own_map {
        let mut unicode = UnicodeCmap::new(Name(b"Custom"), IDENTITY);
        for (number, character) in (1_u16..).zip(characters) {
            unicode.pair(number, character);
        }
        chunk.cmap(map, &compression::kept(&unicode.finish())).filter(Filter::FlateDecode);
    }

    chunk
        .type0_font(composite)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(descendant)
        .to_unicode(map);
    let mut cid = chunk.cid_font(descendant);
    cid.subtype(CidFontType::Type2).base_font(name).system_info(IDENTITY).font_descriptor(descriptor);
    cid.cid_to_gid_map_predefined(Name(b"Identity"));
    cid.widths().consecutive(0, numbers.remapped_gids().map(|glyph| font.advance(glyph)));
    cid.finish();

    let face = &font.face;
    let bounds = face.global_bounding_box();
    let scale = |units: i16| font.scale(f32::from(units));
    chunk
        .font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(Rect::new(scale(bounds.x_min), scale(bounds.y_min), scale(bounds.x_max), scale(bounds.y_max)))
        .italic_angle(0.0)
        .ascent(scale(face.ascender()))
        .descent(scale(face.descender()))
        .cap_height(scale(face.capital_height().unwrap_or(face.ascender())))
        .stem_v(if weight == Weight::SemiBold { 120.0 } else { 80.0 })
        .font_file2(file);
    Ok(chunk)
}

/// Six letters that differ where the glyphs of a subset differ.
fn tag(numbers: &GlyphRemapper) -> String {
    let mut hash = numbers
        .remapped_gids()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, glyph| (hash ^ u64::from(glyph)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut letter = || {
        let letter = char::from(b'A' + (hash % 26) as u8);
        hash /= 26;
        letter
    };
    (0..6).map(|_| letter()).collect()
}
