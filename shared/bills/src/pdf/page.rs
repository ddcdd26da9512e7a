//! The page, from top to bottom.

mod details;
mod head;
mod parties;
mod scan;
mod slip;

use crate::{Bill, Language, rails::Payment};

use super::{
    Branding, PdfError,
    canvas::{Area, Canvas, PAGE},
    color::Color,
    text::Style,
    words::{self, Words},
};

/// The margins' inner edges, in millimetres.
const LEFT: f32 = 18.0;
const RIGHT: f32 = PAGE.0 - LEFT;
const WIDTH: f32 = RIGHT - LEFT;
/// Where the page ends when no slip does.
const FOOT: f32 = 279.0;

const RULE: Color = Color::gray(214);

/// What every part of the page knows.
struct Sheet<'a> {
    bill: &'a Bill,
    branding: &'a Branding,
    words: &'static Words,
    language: Language,
}

pub(super) fn draw(canvas: &mut Canvas, bill: &Bill, branding: &Branding, language: Language) -> Result<(), PdfError> {
    let sheet = Sheet { bill, branding, words: words::of(language), language };
    let slip = bill.payments.iter().find_map(|payment| match payment {
        Payment::Boleto(slip) => Some(slip),
        Payment::Pix { .. } | Payment::Epc { .. } => None,
    });
    // the rails of one currency offer one code at most
    let scanned = bill.payments.iter().find(|payment| !matches!(payment, Payment::Boleto(_)));
    let end = slip.map_or(FOOT - 4.0, |_| slip::TOP - 6.0);
    let panel = match (scanned, slip) {
        (Some(_), _) => scan::GAP + scan::HEIGHT,
        (None, None) => scan::GAP + scan::PLAIN,
        (None, Some(_)) => 0.0,
    };

    if branding.sample {
        watermark(canvas, sheet.words.sample);
    }
    head::draw(canvas, &sheet);
    let y = parties::draw(canvas, &sheet, head::END + 9.0);
    let y = details::draw(canvas, &sheet, y + 2.0, end - panel) + scan::GAP;
    match (scanned, slip) {
        (Some(payment), _) => scan::draw(canvas, &sheet, payment, y)?,
        (None, None) if bill.facts.is_over() => scan::over(canvas, &sheet, y),
        (None, None) => scan::none(canvas, &sheet, y),
        (None, Some(_)) => {}
    }
    match slip {
        Some(slip) => slip::draw(canvas, &sheet, slip),
        None => foot(canvas, &sheet),
    }
    Ok(())
}

/// A word from corner to corner of the upper part and over the slip, under all else.
fn watermark(canvas: &mut Canvas, word: &str) {
    let style = Style::TITLE.sized(72.0).colored(Color::gray(232));
    for middle in [(PAGE.0 / 2.0, 118.0), (PAGE.0 / 2.0, 246.0)] {
        canvas.slanted(style, middle, word);
    }
}

fn foot(canvas: &mut Canvas, sheet: &Sheet<'_>) {
    canvas.line(RULE, 0.6, (LEFT, FOOT), (RIGHT, FOOT));
    let style = Style::LABEL;
    let note = sheet.branding.note.as_deref().unwrap_or(&sheet.bill.beneficiary.name);
    canvas.lines(style, LEFT, FOOT + 4.5, &style.wrap(note, WIDTH, 2));
}
