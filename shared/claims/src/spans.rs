//! Ranges of days as few spans. A span of level `l` is 2^l days that begin at a multiple of 2^l, counted from 2000-01-01.

/// The highest level: some 90 years.
pub(crate) const HIGHEST: i16 = 15;

/// Every level that a day counts at, with its span there.
pub(crate) fn around(day: i32) -> impl Iterator<Item = (i16, i32)> {
    (0..=HIGHEST).map(move |level| (level, day >> level))
}

/// Spans that are these days, both inclusive, and no others.
pub(crate) fn cover(from: i32, to: i32) -> Vec<(i16, i32)> {
    let (mut day, end) = (from, to + 1);
    let mut spans = Vec::new();
    while day < end {
        let fits = |level: i16| day % (1 << level) == 0 && day + (1 << level) <= end;
        let level = (0..=HIGHEST).rev().find(|level| fits(*level)).unwrap_or(0);
        spans.push((level, day >> level));
        day += 1 << level;
    }
    spans
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{HIGHEST, around, cover};

    #[test]
    fn every_range_is_each_of_its_days_once_and_few_spans() {
        for (from, to) in [(0, 0), (-3, 4), (6_661, 6_661), (6_575, 6_939), (-40_000, 40_000), (1, 1_000), (5, 4)] {
            let spans = cover(from, to);
            let wanted: HashSet<_> = spans.iter().collect();
            assert!(spans.len() <= 2 * HIGHEST as usize + 4, "{from}..={to}: {spans:?}");
            for day in from - 5..=to + 5 {
                let found = around(day).filter(|span| wanted.contains(span)).count();
                assert_eq!(found, usize::from((from..=to).contains(&day)), "{day} of {from}..={to}");
            }
        }
    }
}
