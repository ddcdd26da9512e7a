//! The table, and the page that it is a part of.

use std::{fmt::Write as _, path::Path};

use anyhow::Context as _;

use crate::scenarios::Outcome;

const BEGIN: &str = "<!-- begin: written by gristmill-brokers -->";
const END: &str = "<!-- end -->";

/// A row for each promise, a column for each broker.
pub(crate) fn table(rows: &[(&str, Vec<Outcome>)]) -> String {
    let mut table = String::from("| | Redis | Postgres alone | apalis-redis 1.0.0 |\n|---|---|---|---|\n");
    for (name, outcomes) in rows {
        let cells: Vec<String> = outcomes.iter().map(|outcome| cell(outcome, &outcomes[0])).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    }
    let kept = |column: usize| {
        let outcomes = || rows.iter().filter_map(|(_, outcomes)| outcomes.get(column));
        let promises = outcomes().filter(|outcome| !matches!(outcome, Outcome::Figure(..) | Outcome::NotMeasured));
        let kept = outcomes().filter(|outcome| matches!(outcome, Outcome::Kept(_))).count();
        format!("{kept} of {}", promises.count())
    };
    let _ = writeln!(table, "| **promises kept** | {} | {} | {} |", kept(0), kept(1), kept(2));
    table
}

/// A figure says how it is to that of the first column, too.
fn cell(outcome: &Outcome, first: &Outcome) -> String {
    match (outcome, first) {
        (Outcome::Figure(text, figure), Outcome::Figure(of, first)) if text != of => {
            format!("{text} ({:.2} of Redis')", figure / first)
        }
        _ => outcome.to_string(),
    }
}

/// Puts the table between the two marks of the page.
pub(crate) fn write(path: &Path, table: &str) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(path).with_context(|| format!("the page {} cannot be read", path.display()))?;
    let marks = || page.find(BEGIN).zip(page.find(END));
    let (begin, end) = marks().with_context(|| format!("{} has no marks `{BEGIN}` and `{END}`", path.display()))?;
    let new = format!("{}{BEGIN}\n\n{table}\n{}", &page[..begin], &page[end..]);
    std::fs::write(path, new).with_context(|| format!("the page {} cannot be written", path.display()))
}
