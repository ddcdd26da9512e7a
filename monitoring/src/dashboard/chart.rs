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
}

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
    Chart { line, area, top, minutes }
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
}
