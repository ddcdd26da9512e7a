//! A QR code, and what is said beside it.

use super::{Area, Canvas, LEFT, PdfError, RIGHT, RULE, Sheet, Style, WIDTH};
use crate::{
    pdf::{symbols, words::Instructions},
    rails::Payment,
};

/// Of a panel with a QR code.
pub(super) const HEIGHT: f32 = 43.0;
/// Of a panel without.
pub(super) const PLAIN: f32 = 18.0;
/// Above a panel.
pub(super) const GAP: f32 = 5.0;

const SIDE: f32 = 40.0;
const TEXT: f32 = LEFT + SIDE + 5.0;
const TEXT_WIDTH: f32 = RIGHT - 5.0 - TEXT;

/// A panel from `y` on.
pub(super) fn draw(canvas: &mut Canvas, sheet: &Sheet<'_>, payment: &Payment, y: f32) -> Result<(), PdfError> {
    let words = sheet.words;
    let (code, instructions) = match payment {
        Payment::Pix { code } => (code, &words.pix),
        Payment::Epc { code, .. } => (code, &words.epc),
        Payment::Boleto(_) => return Ok(()),
    };
    canvas.outline(RULE, 0.8, Area { x: LEFT, y, w: WIDTH, h: HEIGHT });
    canvas.modules(symbols::qr(code)?, LEFT + 1.5, y + 1.5, SIDE);
    let below = instruct(canvas, sheet, instructions, TEXT, TEXT_WIDTH, y + 8.0) + 2.6;
    match payment {
        Payment::Epc { iban, reference, .. } => {
            let rows = [(words.iban, iban), (words.creditor_reference, reference)];
            for (row, (label, value)) in rows.into_iter().enumerate() {
                let baseline = below + row as f32 * 6.0;
                canvas.text(Style::LABEL, TEXT, baseline, label);
                canvas.text(Style::STRONG, TEXT + 32.0, baseline, value);
            }
        }
        Payment::Pix { .. } | Payment::Boleto(_) => {
            canvas.text(Style::LABEL, TEXT, below, instructions.code);
            let style = Style::BODY.sized(7.0);
            canvas.lines(style, TEXT, below + 3.8, &style.chop(code, TEXT_WIDTH));
        }
    }
    Ok(())
}

/// In place of a panel, when nothing is to be paid any more.
pub(super) fn over(canvas: &mut Canvas, sheet: &Sheet<'_>, y: f32) {
    canvas.outline(sheet.branding.accent, 1.2, Area { x: LEFT, y, w: WIDTH, h: PLAIN });
    let words = if sheet.bill.facts.cancelled { &sheet.words.cancelled } else { &sheet.words.settled };
    instruct(canvas, sheet, words, LEFT + 6.0, WIDTH - 12.0, y + 7.5);
}

/// In place of a panel, when nothing can be scanned.
pub(super) fn none(canvas: &mut Canvas, sheet: &Sheet<'_>, y: f32) {
    canvas.outline(RULE, 0.8, Area { x: LEFT, y, w: WIDTH, h: PLAIN });
    instruct(canvas, sheet, &sheet.words.other, LEFT + 6.0, WIDTH - 12.0, y + 7.5);
}

fn instruct(canvas: &mut Canvas, sheet: &Sheet<'_>, words: &Instructions, x: f32, width: f32, baseline: f32) -> f32 {
    let title = Style::STRONG.sized(11.0).colored(sheet.branding.accent.readable());
    canvas.text(title, x, baseline, words.title);
    canvas.lines(Style::BODY, x, baseline + 5.6, &Style::BODY.wrap(words.text, width, 3))
}
