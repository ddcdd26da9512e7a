//! Where a page is drawn: millimetres from its top left corner.

use pdf_writer::{Content, Name, Str};

use super::{color::Color, font::Weight, glyphs::Glyphs, text::Style};

/// Points of a millimetre.
pub(super) const POINTS: f32 = 72.0 / 25.4;
/// A4, in millimetres.
pub(super) const PAGE: (f32, f32) = (210.0, 297.0);

/// Points as millimetres.
pub(super) fn mm(points: f32) -> f32 {
    points / POINTS
}

/// A rectangle in millimetres: left, top, width, height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) w: f32,
    pub(super) h: f32,
}

/// A picture of black modules, a bit each.
pub(super) struct Modules {
    /// Modules on each side.
    pub(super) size: usize,
    /// Rows, each filled up to whole bytes; black is 0.
    pub(super) bits: Vec<u8>,
}

/// Puts what is one wide and one high into an area.
fn matrix(area: Area) -> [f32; 6] {
    [area.w * POINTS, 0.0, 0.0, area.h * POINTS, area.x * POINTS, (PAGE.1 - area.y - area.h) * POINTS]
}

/// A page being drawn.
pub(super) struct Canvas {
    pub(super) content: Content,
    pub(super) regular: Glyphs,
    pub(super) semi_bold: Glyphs,
    pub(super) modules: Vec<Modules>,
}

/// Of the picture with the client's logo.
pub(super) const LOGO: Name<'static> = Name(b"L");

/// Of a picture of modules, by the order they were drawn in.
pub(super) fn modules_name(number: usize) -> Vec<u8> {
    format!("Q{number}").into_bytes()
}

impl Canvas {
    pub(super) fn new(glyphs: fn(Weight) -> Glyphs) -> Self {
        Self {
            content: Content::new(),
            regular: glyphs(Weight::Regular),
            semi_bold: glyphs(Weight::SemiBold),
            modules: Vec::new(),
        }
    }

    /// Whether all its letters are in the alphabet that pages share.
    pub(super) fn is_in_alphabet(&self) -> bool {
        [&self.regular, &self.semi_bold].into_iter().all(|glyphs| glyphs.last_part().is_some())
    }

    /// A line of text from `x` on.
    pub(super) fn text(&mut self, style: Style, x: f32, baseline: f32, text: &str) {
        let glyphs = self.encode(style.weight, text);
        if glyphs.is_empty() {
            return;
        }
        let [red, green, blue] = style.color.rounded();
        self.content.begin_text();
        self.content.set_fill_rgb(red, green, blue);
        self.content.set_font(Name(style.weight.names().0), style.size);
        self.content.next_line(x * POINTS, (PAGE.1 - baseline) * POINTS);
        self.content.show(Str(&glyphs));
        self.content.end_text();
    }

    /// A line of text that rises by 30 degrees, around its middle.
    pub(super) fn slanted(&mut self, style: Style, middle: (f32, f32), text: &str) {
        let glyphs = self.encode(style.weight, text);
        let (sin, cos) = 30_f32.to_radians().sin_cos();
        // From the middle back by half of the width, and down by a third of the letters' height.
        let (back, down) = (style.width(text) * POINTS / 2.0, style.size / 3.0);
        let x = middle.0 * POINTS - back * cos + down * sin;
        let y = (PAGE.1 - middle.1) * POINTS - back * sin - down * cos;
        let [red, green, blue] = style.color.rounded();
        self.content.begin_text();
        self.content.set_fill_rgb(red, green, blue);
        self.content.set_font(Name(style.weight.names().0), style.size);
        self.content.set_text_matrix([cos, sin, -sin, cos, x, y]);
        self.content.show(Str(&glyphs));
        self.content.end_text();
    }

    /// A line of text that ends at `x`.
    pub(super) fn text_to(&mut self, style: Style, x: f32, baseline: f32, text: &str) {
        self.text(style, x - style.width(text), baseline, text);
    }

    /// Lines from `x` on; the baseline after the last.
    pub(super) fn lines(&mut self, style: Style, x: f32, baseline: f32, lines: &[String]) -> f32 {
        lines.iter().fold(baseline, |baseline, line| {
            self.text(style, x, baseline, line);
            baseline + style.leading()
        })
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, color: Color, area: Area) {
        self.fill_color(color);
        self.path(area);
        self.content.fill_nonzero();
    }

    /// A line between two points, `width` points wide.
    pub(super) fn line(&mut self, color: Color, width: f32, from: (f32, f32), to: (f32, f32)) {
        self.stroke_color(color, width);
        self.content.move_to(from.0 * POINTS, (PAGE.1 - from.1) * POINTS);
        self.content.line_to(to.0 * POINTS, (PAGE.1 - to.1) * POINTS);
        self.content.stroke();
    }

    /// A dashed line across the page: where to cut.
    pub(super) fn cut_line(&mut self, color: Color, y: f32) {
        self.content.set_dash_pattern([3.0, 3.0], 0.0);
        self.line(color, 0.6, (0.0, y), (PAGE.0, y));
        self.content.set_dash_pattern([], 0.0);
    }

    /// The outline of a rectangle.
    pub(super) fn outline(&mut self, color: Color, width: f32, area: Area) {
        self.stroke_color(color, width);
        self.path(area);
        self.content.stroke();
    }

    /// Black bars within an area: where each begins and how wide it is, in modules of which `modules` fill the width.
    pub(super) fn bars(&mut self, area: Area, modules: u32, bars: &[(u32, u32)]) {
        self.fill_color(Color::BLACK);
        self.content.save_state();
        self.content.transform(matrix(Area { w: area.w / modules as f32, ..area }));
        for (begin, width) in bars {
            self.content.rect(*begin as f32, 0.0, *width as f32, 1.0);
        }
        self.content.fill_nonzero();
        self.content.restore_state();
    }

    /// A square picture of modules.
    pub(super) fn modules(&mut self, modules: Modules, x: f32, y: f32, side: f32) {
        let name = modules_name(self.modules.len());
        self.modules.push(modules);
        self.picture(Name(&name), Area { x, y, w: side, h: side });
    }

    /// A picture that the document has under this name.
    pub(super) fn picture(&mut self, name: Name<'_>, area: Area) {
        self.content.save_state();
        self.content.transform(matrix(area));
        self.content.x_object(name);
        self.content.restore_state();
    }

    fn encode(&mut self, weight: Weight, text: &str) -> Vec<u8> {
        match weight {
            Weight::Regular => self.regular.encode(text),
            Weight::SemiBold => self.semi_bold.encode(text),
        }
    }

    fn path(&mut self, area: Area) {
        let y = (PAGE.1 - area.y - area.h) * POINTS;
        self.content.rect(area.x * POINTS, y, area.w * POINTS, area.h * POINTS);
    }

    fn fill_color(&mut self, color: Color) {
        let [red, green, blue] = color.rounded();
        self.content.set_fill_rgb(red, green, blue);
    }

    fn stroke_color(&mut self, color: Color, width: f32) {
        let [red, green, blue] = color.rounded();
        self.content.set_stroke_rgb(red, green, blue);
        self.content.set_line_width(width);
    }
}
