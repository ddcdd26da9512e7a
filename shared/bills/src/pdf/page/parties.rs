//! Who pays and who is paid.

use super::{Canvas, LEFT, Sheet, Style};
use crate::{Party, documents};

const COLUMN: f32 = 80.0;
const SECOND: f32 = LEFT + 92.0;
const ADDRESS_LINES: usize = 4;

/// Both, side by side from `y` on; where the longer ends.
pub(super) fn draw(canvas: &mut Canvas, sheet: &Sheet<'_>, y: f32) -> f32 {
    let payer = party(canvas, LEFT, y, sheet.words.payer, &sheet.bill.facts.payer);
    let beneficiary = party(canvas, SECOND, y, sheet.words.beneficiary, &sheet.bill.beneficiary);
    payer.max(beneficiary)
}

fn party(canvas: &mut Canvas, x: f32, y: f32, label: &str, party: &Party) -> f32 {
    canvas.text(Style::LABEL, x, y, label);
    let name = Style::STRONG.wrap(&party.name, COLUMN, 2);
    let mut y = canvas.lines(Style::STRONG, x, y + 5.0, &name);
    let one = |line: &str| Style::BODY.cut(line, COLUMN);
    let document: Vec<String> = party.document.iter().map(|id| one(&documents::read(id))).collect();
    let address: Vec<String> = party.address.iter().flat_map(|line| Style::BODY.wrap(line, COLUMN, 2)).collect();
    y = canvas.lines(Style::BODY, x, y, &document);
    y = canvas.lines(Style::BODY, x, y, &address[..address.len().min(ADDRESS_LINES)]);
    if let Some(email) = &party.email {
        let style = Style::BODY.shrunk(email, COLUMN, 7.0);
        y = canvas.lines(style, x, y, &[style.cut(email, COLUMN)]);
    }
    y
}
