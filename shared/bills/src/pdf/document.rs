//! The objects of a PDF around one drawn page.

use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::{
    Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};

use crate::Language;

use super::{
    Logo, PdfError,
    canvas::{Canvas, LOGO, Modules, PAGE, POINTS, modules_name},
    font::{GlyphSet, Weight},
    logo::{Picture, Pixels},
};

/// How hard streams are compressed: more costs time and gains little.
const LEVEL: u8 = 6;
const IDENTITY: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// Numbers objects.
struct Refs(i32);

impl Refs {
    fn next(&mut self) -> Ref {
        self.0 += 1;
        Ref::new(self.0)
    }
}

pub(super) fn write(
    canvas: Canvas,
    logo: Option<&Logo>,
    title: &str,
    author: &str,
    language: Language,
) -> Result<Vec<u8>, PdfError> {
    let mut refs = Refs(0);
    let mut pdf = Pdf::new();
    let [catalog, tree, page, content, info] = std::array::from_fn(|_| refs.next());
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr(language.tag()));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    pdf.pages(tree).kids([page]).count(1);
    pdf.document_info(info).title(TextStr(title)).author(TextStr(author)).producer(TextStr("Gristmill"));

    let Canvas { content: drawn, regular, semi_bold, modules } = canvas;
    let mut fonts = Vec::new();
    for (weight, used) in Weight::ALL.into_iter().zip([regular, semi_bold]) {
        if !used.characters.is_empty() {
            fonts.push((weight.names().0, font(&mut pdf, &mut refs, weight, &used)?));
        }
    }
    let mut pictures: Vec<(Vec<u8>, Ref)> = Vec::new();
    for (number, modules) in modules.iter().enumerate() {
        pictures.push((modules_name(number), picture_of(&mut pdf, refs.next(), modules)));
    }
    if let Some(logo) = logo {
        pictures.push((LOGO.0.to_vec(), logo_of(&mut pdf, &mut refs, logo)));
    }

    pdf.stream(content, &compress_to_vec_zlib(&drawn.finish(), LEVEL)).filter(Filter::FlateDecode);
    let mut sheet = pdf.page(page);
    sheet.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE.0 * POINTS, PAGE.1 * POINTS)).contents(content);
    let mut resources = sheet.resources();
    resources.fonts().pairs(fonts.iter().map(|(name, id)| (Name(name), *id)));
    resources.x_objects().pairs(pictures.iter().map(|(name, id)| (Name(name), *id)));
    resources.finish();
    sheet.finish();
    Ok(pdf.finish())
}

fn font(pdf: &mut Pdf, refs: &mut Refs, weight: Weight, used: &GlyphSet) -> Result<Ref, PdfError> {
    let font = weight.font();
    let [composite, descendant, descriptor, map, file] = std::array::from_fn(|_| refs.next());
    let name = format!("{}+{}", tag(used), weight.names().1);
    let name = Name(name.as_bytes());

    let subset = subsetter::subset(font.file, 0, &used.remapper).map_err(PdfError::Font)?;
    let compressed = compress_to_vec_zlib(&subset, LEVEL);
    pdf.stream(file, &compressed).filter(Filter::FlateDecode).pair(Name(b"Length1"), subset.len() as i32);

    let mut unicode = UnicodeCmap::new(Name(b"Custom"), IDENTITY);
    for (number, character) in (1_u16..).zip(&used.characters) {
        unicode.pair(number, *character);
    }
    pdf.cmap(map, &compress_to_vec_zlib(&unicode.finish(), LEVEL)).filter(Filter::FlateDecode);

    pdf.type0_font(composite)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(descendant)
        .to_unicode(map);
    let mut cid = pdf.cid_font(descendant);
    cid.subtype(CidFontType::Type2).base_font(name).system_info(IDENTITY).font_descriptor(descriptor);
    cid.cid_to_gid_map_predefined(Name(b"Identity"));
    cid.widths().consecutive(0, used.remapper.remapped_gids().map(|glyph| font.advance(glyph)));
    cid.finish();

    let face = &font.face;
    let bounds = face.global_bounding_box();
    let scale = |units: i16| font.scale(f32::from(units));
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(Rect::new(scale(bounds.x_min), scale(bounds.y_min), scale(bounds.x_max), scale(bounds.y_max)))
        .italic_angle(0.0)
        .ascent(scale(face.ascender()))
        .descent(scale(face.descender()))
        .cap_height(scale(face.capital_height().unwrap_or(face.ascender())))
        .stem_v(if weight == Weight::SemiBold { 120.0 } else { 80.0 })
        .font_file2(file);
    Ok(composite)
}

/// Six letters that differ where the glyphs of a subset differ.
fn tag(used: &GlyphSet) -> String {
    let mut hash = used
        .remapper
        .remapped_gids()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, glyph| (hash ^ u64::from(glyph)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut letter = || {
        let letter = char::from(b'A' + (hash % 26) as u8);
        hash /= 26;
        letter
    };
    (0..6).map(|_| letter()).collect()
}

fn picture_of(pdf: &mut Pdf, id: Ref, modules: &Modules) -> Ref {
    let side = modules.size as i32;
    let bits = compress_to_vec_zlib(&modules.bits, LEVEL);
    let mut image = pdf.image_xobject(id, &bits);
    image.filter(Filter::FlateDecode);
    image.width(side).height(side).bits_per_component(1).interpolate(false);
    image.color_space().device_gray();
    id
}

fn logo_of(pdf: &mut Pdf, refs: &mut Refs, logo: &Logo) -> Ref {
    match &logo.picture {
        Picture::Pixels(pixels) => pixels_of(pdf, refs, pixels),
        Picture::Vector(operators) => {
            let id = refs.next();
            let (width, height) = logo.size;
            let mut form = pdf.form_xobject(id, operators);
            form.filter(Filter::FlateDecode);
            // as pictures are: one wide, one high, upside down
            form.bbox(Rect::new(0.0, 0.0, width, height)).matrix([1.0 / width, 0.0, 0.0, -1.0 / height, 0.0, 1.0]);
            id
        }
    }
}

fn pixels_of(pdf: &mut Pdf, refs: &mut Refs, pixels: &Pixels) -> Ref {
    let id = refs.next();
    let mask = pixels.alpha.as_ref().map(|alpha| (refs.next(), alpha));
    let mut picture = |id, bytes: &[u8], gray, mask: Option<Ref>| {
        let mut image = pdf.image_xobject(id, bytes);
        image.filter(Filter::FlateDecode);
        image.width(pixels.width as i32).height(pixels.height as i32).bits_per_component(8);
        match gray {
            true => image.color_space().device_gray(),
            false => image.color_space().device_rgb(),
        }
        if let Some(mask) = mask {
            image.s_mask(mask);
        }
    };
    picture(id, &pixels.colors, pixels.gray, mask.map(|(mask, _)| mask));
    if let Some((mask, alpha)) = mask {
        picture(mask, alpha, true, None);
    }
    id
}
