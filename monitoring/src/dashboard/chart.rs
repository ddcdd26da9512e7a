//! A line over time, as SVG: it needs no script, and a page that is rendered again does not jump.

/// Width and height of the drawing; the page scales it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 80.0;

/// What a chart shows.
pub(super) struct Chart {
    /// The line, and the same closed below it.
    pub(super) line: String,
    pub(super) area: String,
    /// The highest value.
    pub(super) top: f64,
    /// What it covers.
    pub(super) minutes: usize,
    /// What is said where somebody points at, from left to right.
    pub(super) marks: Vec<Mark>,
}

/// A strip of a chart.
pub(super) struct Mark {
    /// Where it begins.
    pub(super) x: f64,
    pub(super) width: f64,
    /// The highest value in it.
    pub(super) value: f64,
    /// How long ago it ends, in seconds.
    pub(super) ago: usize,
}

/// Strips at most: more are too narrow to point at.
const MARKS: usize = 60;

/// Values of so many minutes, of which `a_minute` make one; the last one stands at the end.
pub(super) fn chart(values: &[f64], minutes: usize, a_minute: usize) -> Chart {
    let slots = minutes * a_minute;
    let top = values.iter().copied().fold(0.0, f64::max);
    let step = WIDTH / (slots.max(2) - 1) as f64;
    let start = WIDTH - step * values.len().saturating_sub(1) as f64;
    let scale = if top > 0.0 { (HEIGHT - 4.0) / top } else { 0.0 };
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(n, value)| format!("{:.1},{:.1}", start + step * n as f64, HEIGHT - 1.0 - value * scale))
        .collect();
    let line = points.join(" ");
    let area = if points.is_empty() { String::new() } else { format!("{start:.1},{HEIGHT} {line} {WIDTH},{HEIGHT}") };
    let each = values.len().div_ceil(MARKS).max(1);
    let marks = values.chunks(each).enumerate().map(|(n, part)| Mark {
        x: start + step * (n * each) as f64 - step / 2.0,
        width: step * part.len() as f64,
        value: part.iter().copied().fold(0.0, f64::max),
        ago: (values.len() - n * each - part.len()) * 60 / a_minute,
    });
    let marks = marks.collect();
    Chart { line, area, top, minutes, marks }
}

#[cfg(test)]
mod tests {
    use super::chart;

    #[test]
    fn the_last_value_stands_at_the_end() {
        let drawn = chart(&[0.0, 2.0], 1, 3);
        assert_eq!((drawn.line.as_str(), drawn.top), ("300.0,79.0 600.0,3.0", 2.0));
        assert_eq!(chart(&[], 1, 3).area, "");
    }

    #[test]
    fn each_place_says_its_value() {
        let drawn = chart(&[1.0, 5.0, 2.0], 1, 12);
        let said: Vec<(f64, usize)> = drawn.marks.iter().map(|mark| (mark.value, mark.ago)).collect();
        assert_eq!(said, [(1.0, 10), (5.0, 5), (2.0, 0)]);
        let many = chart(&vec![3.0; 720], 60, 12);
        assert_eq!((many.marks.len(), many.marks[0].ago, many.marks[59].ago), (60, 3_540, 0));
    }
}
