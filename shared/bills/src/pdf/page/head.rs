//! Whose bill it is, how much, and until when.

use super::{Area, Canvas, LEFT, RIGHT, Sheet, Style, WIDTH};
use crate::{
    Money, dates,
    pdf::{canvas::LOGO, color::Color},
};

const TOP: f32 = 15.0;
/// The logo's box.
const LOGO_WIDTH: f32 = 70.0;
const LOGO_HEIGHT: f32 = 16.0;
const BAND: Area = Area { x: LEFT, y: 39.0, w: WIDTH, h: 24.0 };
/// Where the head ends.
pub(super) const END: f32 = BAND.y + BAND.h;

pub(super) fn draw(canvas: &mut Canvas, sheet: &Sheet<'_>) {
    whose(canvas, sheet);
    title(canvas, sheet);
    band(canvas, sheet);
}

fn whose(canvas: &mut Canvas, sheet: &Sheet<'_>) {
    let Some(logo) = &sheet.branding.logo else {
        let style = Style::TITLE.colored(sheet.branding.accent.readable());
        let lines = style.wrap(&sheet.bill.beneficiary.name, 110.0, 2);
        canvas.lines(style, LEFT, TOP + 7.0, &lines);
        return;
    };
    let (width, height) = logo.size;
    let scale = (LOGO_WIDTH / width).min(LOGO_HEIGHT / height);
    let (w, h) = (width * scale, height * scale);
    canvas.picture(LOGO, Area { x: LEFT, y: TOP + (LOGO_HEIGHT - h) / 2.0, w, h });
}

fn title(canvas: &mut Canvas, sheet: &Sheet<'_>) {
    canvas.text_to(Style::TITLE, RIGHT, TOP + 7.0, sheet.words.title);
    let number = format!("{} {}", sheet.words.number, sheet.bill.facts.number);
    canvas.text_to(Style::BODY, RIGHT, TOP + 13.0, &number);
}

fn band(canvas: &mut Canvas, sheet: &Sheet<'_>) {
    let (facts, words, accent) = (&sheet.bill.facts, sheet.words, sheet.branding.accent);
    canvas.fill(accent.mixed(Color::WHITE, 0.93), BAND);
    canvas.fill(accent, Area { w: 1.2, ..BAND });

    let (label, value) = (BAND.y + 7.5, BAND.y + 17.5);
    let amount = if facts.is_over() { facts.amount } else { facts.rest() }.read(sheet.language);
    let style = Style::DISPLAY.shrunk(&amount, 78.0, 8.0).colored(accent.readable());
    let settled = facts.is_over();
    canvas.text(Style::LABEL, LEFT + 7.0, label, if settled { words.total } else { words.amount });
    canvas.text(style, LEFT + 7.0, value, &amount);
    if facts.paid_minor > 0 {
        let paid = Money { minor: facts.paid_minor, ..facts.amount }.read(sheet.language);
        let paid = format!("{} {paid}", words.paid);
        let text = match settled {
            true if facts.overpaid().minor > 0 => {
                format!("{paid} · {} {}", words.overpaid, facts.overpaid().read(sheet.language))
            }
            true => paid,
            false => format!("{} {} · {paid}", words.total, facts.amount.read(sheet.language)),
        };
        canvas.text(Style::LABEL.shrunk(&text, 78.0, 5.0), LEFT + 7.0, BAND.y + 22.0, &text);
    }

    canvas.text(Style::LABEL, LEFT + 92.0, label, words.due);
    let stamp = match facts.is_over() {
        true if facts.cancelled => Some(words.cancelled.title),
        true => Some(words.settled.title),
        false => facts.overdue.then_some(words.overdue),
    };
    if let Some(stamp) = stamp {
        let style = Style::TITLE.sized(20.0).colored(accent.readable());
        canvas.text_to(style, RIGHT - 70.0, TOP + 14.0, &stamp.to_uppercase());
    }
    canvas.text(Style::TITLE, LEFT + 92.0, value, &dates::short(facts.due_on, sheet.language));
    canvas.text(Style::LABEL, LEFT + 138.0, label, words.issued);
    canvas.text(Style::TITLE.sized(11.0), LEFT + 138.0, value, &dates::short(facts.issued_on, sheet.language));
}
