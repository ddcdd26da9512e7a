//! What was measured, as a line over time. It is SVG: it needs no script, and a page that is rendered again does not jump.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use askama::Template;

use crate::{Error, format};

/// What was measured every five seconds, for an hour.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<f64>>);

/// Samples of an hour.
const SLOTS: usize = 720;
/// Samples of a minute.
const A_MINUTE: usize = 12;

impl Samples {
    /// Between two samples.
    pub const EVERY: Duration = Duration::from_secs(5);

    fn values(&self) -> MutexGuard<'_, VecDeque<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one. What is older than an hour goes.
    pub fn push(&self, value: f64) {
        let mut values = self.values();
        if values.len() == SLOTS {
            values.pop_front();
        }
        values.push_back(value);
    }

    /// The last one; none: there was none yet.
    pub fn last(&self) -> Option<f64> {
        self.values().back().copied()
    }

    /// A tile for the overview: `name`, a figure, a note behind it (or nothing), and the line of what was measured, in `unit`.
    ///
    /// # Errors
    /// When the template cannot be rendered.
    pub fn tile(&self, name: &str, unit: &str, figure: &str, note: &str) -> Result<String, Error> {
        let values: Vec<f64> = self.values().iter().copied().collect();
        // It is not left empty after a start.
        let minutes = values.len().div_ceil(A_MINUTE).clamp(1, SLOTS / A_MINUTE);
        Ok(Tile { name, unit, figure, note, chart: chart(&values, minutes, A_MINUTE) }.render()?)
    }
}

#[derive(Template)]
#[template(path = "chart_tile.html")]
struct Tile<'a> {
    name: &'a str,
    unit: &'a str,
    figure: &'a str,
    note: &'a str,
    chart: Chart,
}

/// Width and height of the drawing; the page scales it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 80.0;

/// What a chart shows.
struct Chart {
    /// The line, and the same closed below it.
    line: String,
    area: String,
    /// The highest value.
    top: f64,
    /// What it covers.
    minutes: usize,
    /// What is said where somebody points at, from left to right.
    marks: Vec<Mark>,
}

/// A strip of a chart.
struct Mark {
    /// Where it begins.
    x: f64,
    width: f64,
    /// The highest value in it.
    value: f64,
    /// How long ago it ends, in seconds.
    ago: usize,
}

/// Strips at most: more are too narrow to point at.
const MARKS: usize = 60;

/// Values of so many minutes, of which `a_minute` make one; the last one stands at the end.
fn chart(values: &[f64], minutes: usize, a_minute: usize) -> Chart {
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
    use super::{Samples, chart};

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

    #[test]
    fn a_tile_covers_what_was_measured_and_an_hour_at_most() {
        let samples = Samples::default();
        assert_eq!(samples.last(), None);
        (0..1_000).for_each(|n| samples.push(f64::from(n)));
        assert_eq!(samples.last(), Some(999.0));
        let tile = samples.tile("Orders/s", "/s", "7", "<left>").unwrap();
        assert!(tile.contains("Orders/s over 60 minutes, at most 999/s") && tile.contains("&#60;left&#62;"), "{tile}");
    }
}
