//! What is owed for.

use super::{Canvas, LEFT, RIGHT, RULE, Sheet, Style};

const VALUE: f32 = LEFT + 40.0;
const PADDING: f32 = 2.2;

/// Lines of one row.
const MOST: f32 = 12.0;

/// A table between `y` and `end`; where it ends.
pub(super) fn draw(canvas: &mut Canvas, sheet: &Sheet<'_>, y: f32, end: f32) -> f32 {
    let (facts, words) = (&sheet.bill.facts, sheet.words);
    let rows = [(words.reference, &facts.reference, 2.0), (words.description, &facts.description, MOST)];
    let rows: Vec<_> = rows
        .into_iter()
        .filter_map(|(label, value, most)| Some((label, value.as_deref()?, most)))
        .filter(|(_, value, _)| !value.trim().is_empty())
        .collect();
    let style = Style::BODY;
    let mut y = y;
    for (at, (label, value, most)) in rows.iter().enumerate() {
        // at least a line is left for each row that follows
        let later = (rows.len() - at - 1) as f32 * (2.0 * PADDING + style.leading());
        let room = ((end - later - y - 2.0 * PADDING) / style.leading()).floor();
        let lines = style.wrap(value, RIGHT - VALUE, room.min(*most).max(1.0) as usize);
        canvas.line(RULE, 0.6, (LEFT, y), (RIGHT, y));
        let baseline = y + PADDING + style.leading() * 0.72;
        canvas.text(Style::LABEL, LEFT, baseline, label);
        canvas.lines(style, VALUE, baseline, &lines);
        y += 2.0 * PADDING + lines.len() as f32 * style.leading();
    }
    canvas.line(RULE, 0.6, (LEFT, y), (RIGHT, y));
    y
}
