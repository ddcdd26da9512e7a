//! The tables of a run.

use std::{fmt, path::Path};

use anyhow::Context as _;

use crate::figures::Goal;

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

pub(crate) struct Report {
    head: String,
    rows: Vec<[String; 4]>,
    parts: Vec<Part>,
}

/// What stands below the table.
enum Part {
    /// What a program printed.
    Printed {
        title: String,
        text: String,
    },
    Table {
        title: String,
        head: Vec<String>,
        rows: Vec<Vec<String>>,
    },
}

impl Report {
    pub(crate) fn new(rows: u64, runs: usize) -> Self {
        let head = format!("{rows} rows, medians of {runs} runs, 2 workers, private engines with the same settings.");
        Self { head, rows: Vec::new(), parts: Vec::new() }
    }

    /// One line: what, how much, how it compares, against which goal.
    pub(crate) fn row(&mut self, what: &str, measured: String, compared: String, goal: &str) {
        eprintln!("{what}: {measured} {compared}");
        self.rows.push([what.to_owned(), measured, compared, goal.to_owned()]);
    }

    /// A line whose figure is a ratio of something, and its goal.
    pub(crate) fn against(&mut self, what: &str, measured: String, ratio: f64, of: &str, goal: Goal) {
        let met = if goal.is_met(ratio) { "met" } else { "**missed**" };
        self.row(what, measured, format!("{ratio:.2} × {of}"), &format!("{goal} ×: {met}"));
    }

    /// A line whose figure stands for itself, and its goal.
    pub(crate) fn figure(&mut self, what: &str, measured: String, figure: f64, unit: &str, goal: Goal) {
        let met = if goal.is_met(figure) { "met" } else { "**missed**" };
        self.row(what, measured, String::new(), &format!("{goal}{unit}: {met}"));
    }

    /// Something that is no table.
    pub(crate) fn text(&mut self, title: &str, text: String) {
        eprintln!("{title}:\n{text}");
        self.parts.push(Part::Printed { title: title.to_owned(), text });
    }

    /// A table of its own.
    pub(crate) fn table(&mut self, title: &str, head: Vec<String>, rows: Vec<Vec<String>>) {
        self.parts.push(Part::Table { title: title.to_owned(), head, rows });
    }

    /// Replaces what stands between the markers of a file.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let old = std::fs::read_to_string(file)?;
        let (before, rest) = old.split_once(BEGIN).context("no begin marker")?;
        let (_, after) = rest.split_once(END).context("no end marker")?;
        Ok(std::fs::write(file, format!("{before}{BEGIN}\n\n{self}\n{END}{after}"))?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.head)?;
        writeln!(f, "| what | measured | against | goal |\n|---|---|---|---|")?;
        for [what, measured, compared, goal] in &self.rows {
            writeln!(f, "| {what} | {measured} | {compared} | {goal} |")?;
        }
        self.parts.iter().try_for_each(|part| write!(f, "\n{part}"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Printed { title, text } => writeln!(f, "{title}:\n\n```\n{}\n```", text.trim_end()),
            Self::Table { title, head, rows } => {
                writeln!(f, "{title}:\n\n| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()))?;
                rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.md");
        std::fs::write(&file, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        let mut report = Report::new(10, 1);
        report.against("a file", "1.00 s".to_owned(), 0.4, "Y", Goal::AtMost(0.35));
        report.table("Costs", vec![String::new(), "ours".to_owned()], vec![vec!["WAL".to_owned(), "1".to_owned()]]);
        report.write(&file).unwrap();
        let page = std::fs::read_to_string(&file).unwrap();
        assert!(page.starts_with(&format!("before\n{BEGIN}\n\n10 rows")), "{page}");
        assert!(page.ends_with(&format!("{END}\nafter\n")), "{page}");
        assert!(page.contains("| a file | 1.00 s | 0.40 × Y | ≤ 0.35 ×: **missed** |"), "{page}");
        assert!(page.contains("Costs:\n\n|  | ours |\n|---|---|\n| WAL | 1 |\n"), "{page}");
        assert!(!page.contains("old"));
    }
}
