//! The table of a run.

use std::{fmt, path::Path};

use anyhow::Context as _;

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

pub(crate) struct Report {
    head: String,
    rows: Vec<[String; 4]>,
    texts: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn new(rows: u64, runs: usize) -> Self {
        let head = format!("{rows} rows, medians of {runs} runs, 2 workers, private engines with the same settings.");
        Self { head, rows: Vec::new(), texts: Vec::new() }
    }

    /// One line: what, how much, against which goal, how it compares.
    pub(crate) fn row(&mut self, what: &str, measured: String, compared: String, goal: &str) {
        eprintln!("{what}: {measured} {compared}");
        self.rows.push([what.to_owned(), measured, compared, goal.to_owned()]);
    }

    /// Something that is no table.
    pub(crate) fn text(&mut self, title: &str, text: String) {
        eprintln!("{title}:\n{text}");
        self.texts.push((title.to_owned(), text));
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
        for (title, text) in &self.texts {
            writeln!(f, "\n{title}:\n\n```\n{}\n```", text.trim_end())?;
        }
        Ok(())
    }
}
