//! The picture of how cost grows: seconds per million rows over the rows that are there already.
//!
//! It has no ground of its own, and colours that can be read on a bright page and on a dark one.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;

/// Seconds per million rows at some history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Millions of rows that are there already.
    pub(crate) history: f64,
    pub(crate) ours: f64,
    pub(crate) copy: f64,
}

struct Scale {
    across: f64,
    up: f64,
}

impl Scale {
    fn x(&self, history: f64) -> f64 {
        LEFT + history / self.across * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, seconds: f64) -> f64 {
        HEIGHT - BOTTOM - seconds / self.up * (HEIGHT - TOP - BOTTOM)
    }
}

/// A step between marks that is 1, 2 or 5 times a power of ten, so that there are at most eight marks.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 8.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| most / step <= 8.0).unwrap_or(power)
}

/// The marks of an axis from nothing to what covers the most.
fn marks(most: f64) -> Vec<f64> {
    let step = step(most);
    let last = (most / step).ceil() as u32;
    (0..=last).map(|n| f64::from(n) * step).collect()
}

/// Draws it.
pub(crate) fn draw(points: &[Point]) -> String {
    let most = |of: fn(&Point) -> f64| points.iter().map(of).fold(0.1, f64::max);
    let (across, up) = (marks(most(|point| point.history)), marks(most(|point| point.ours.max(point.copy))));
    let scale = Scale { across: across.last().copied().unwrap_or(1.0), up: up.last().copied().unwrap_or(1.0) };
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title desc"
     font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="13">
  <title id="title">Seconds per million rows over history</title>
  <desc id="desc">{}</desc>
  <style>
    text {{ fill: #7d8590 }}
    .grid {{ stroke: #7d8590; stroke-opacity: .25 }}
    .line {{ fill: none; stroke-width: 2; stroke-linejoin: round }}
    .ours {{ stroke: #4a7ab5 }}
    .copy {{ stroke: #c0654f }}
    .of-ours {{ fill: #4a7ab5; font-weight: 600 }}
    .of-copy {{ fill: #c0654f; font-weight: 600 }}
  </style>
"##,
        described(points)
    );
    let mut add = |line: String| {
        let _ = writeln!(svg, "  {line}");
    };
    for mark in &up {
        let y = scale.y(*mark);
        add(format!(r#"<path class="grid" d="M{LEFT} {y:.1}H{:.1}"/>"#, WIDTH - RIGHT));
        add(format!(r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#, LEFT - 8.0, y + 4.0, short(*mark)));
    }
    for mark in &across {
        let place = format!(r#"x="{:.1}" y="{:.1}""#, scale.x(*mark), HEIGHT - BOTTOM + 20.0);
        add(format!(r#"<text {place} text-anchor="middle">{}</text>"#, short(*mark)));
    }
    add(format!(
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">million rows that are there already</text>"#,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 8.0
    ));
    add(r#"<text x="8" y="18">seconds per million rows</text>"#.to_owned());
    add(format!(
        r#"<text class="of-copy" x="{:.1}" y="18" text-anchor="end">psql \copy into a keyed table</text>"#,
        WIDTH - RIGHT
    ));
    add(format!(
        r#"<text class="of-ours" x="{:.1}" y="36" text-anchor="end">an upload, to completed</text>"#,
        WIDTH - RIGHT
    ));
    add(line("copy", points.iter().map(|point| (scale.x(point.history), scale.y(point.copy)))));
    add(line("ours", points.iter().map(|point| (scale.x(point.history), scale.y(point.ours)))));
    svg.push_str("</svg>\n");
    svg
}

fn line(class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
    let places: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!(r#"<polyline class="line {class}" points="{}"/>"#, places.join(" "))
}

/// What the picture shows, for those who do not see it.
fn described(points: &[Point]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return "Nothing was measured.".to_owned() };
    let at = |point: &Point| {
        format!(
            "at {:.1} million rows an upload takes {:.2} s and psql's copy {:.2} s",
            point.history, point.ours, point.copy
        )
    };
    format!("Per million rows: {}; {}.", at(first), at(last))
}

/// Without needless zeros.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_cover_the_most() {
        assert_eq!(marks(50.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(marks(7.3), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(marks(0.9).last().copied().map(short), Some("1".to_owned()));
    }

    #[test]
    fn every_point_is_in_the_picture() {
        let points: Vec<Point> =
            (0..20).map(|n| Point { history: f64::from(n), ours: 2.0, copy: 5.0 + f64::from(n) }).collect();
        let svg = draw(&points);
        for class in ["ours", "copy"] {
            let (_, rest) = svg.split_once(&format!(r#"line {class}" points=""#)).unwrap();
            let places: Vec<&str> = rest.split_once('"').unwrap().0.split(' ').collect();
            assert_eq!(places.len(), points.len());
            for place in places {
                let (x, y) = place.split_once(',').unwrap();
                assert!((LEFT..=WIDTH - RIGHT).contains(&x.parse().unwrap()), "{place}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y.parse().unwrap()), "{place}");
            }
        }
        assert!(svg.contains("at 19.0 million rows an upload takes 2.00 s and psql's copy 24.00 s"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(draw(&[]).ends_with("</svg>\n"));
    }
}
