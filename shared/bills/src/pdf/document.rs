//! The objects of a PDF around one drawn page.

mod fonts;

use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Settings, TextStr};

use crate::Language;

use super::{
    Logo, PdfError,
    canvas::{Canvas, LOGO, Modules, PAGE, POINTS, modules_name},
    compression,
    font::Weight,
    logo::{Picture, Pixels},
};

/// No blanks that only people would need.
const SETTINGS: Settings = Settings { pretty: false };
/// Room for a page without a logo.
const CAPACITY: usize = 32 * 1_024;

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
    let mut refs = Refs(fonts::REFS);
    let mut pdf = Pdf::with_settings_and_capacity(SETTINGS, CAPACITY);
    let [catalog, tree, page, content, info] = std::array::from_fn(|_| refs.next());
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr(language.tag()));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    pdf.pages(tree).kids([page]).count(1);
    pdf.document_info(info).title(TextStr(title)).author(TextStr(author)).producer(TextStr("Gristmill"));

    let Canvas { content: drawn, regular, semi_bold, modules } = canvas;
    fonts::embed(&mut pdf, &regular, &semi_bold)?;
    let mut pictures: Vec<(Vec<u8>, Ref)> = Vec::new();
    for (number, modules) in modules.iter().enumerate() {
        pictures.push((modules_name(number), picture_of(&mut pdf, refs.next(), modules)));
    }
    if let Some(logo) = logo {
        pictures.push((LOGO.0.to_vec(), logo_of(&mut pdf, &mut refs, logo)));
    }

    pdf.stream(content, &compression::page(&drawn.finish())).filter(Filter::FlateDecode);
    let mut sheet = pdf.page(page);
    sheet.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE.0 * POINTS, PAGE.1 * POINTS)).contents(content);
    let mut resources = sheet.resources();
    resources.fonts().pairs(Weight::ALL.map(|weight| (Name(weight.names().0), fonts::of(weight))));
    resources.x_objects().pairs(pictures.iter().map(|(name, id)| (Name(name), *id)));
    resources.finish();
    sheet.finish();
    Ok(pdf.finish())
}

fn picture_of(pdf: &mut Pdf, id: Ref, modules: &Modules) -> Ref {
    let side = modules.size as i32;
    // as good as random: compressing gains nothing
    let mut image = pdf.image_xobject(id, &modules.bits);
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
