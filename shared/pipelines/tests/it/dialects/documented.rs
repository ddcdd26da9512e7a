//! The page of the files that are read: these cases, as a reader of the book sees them.

use std::{fmt::Write as _, fs, path::Path};

use super::cases::{CASES, Case, Outcome};

const PAGE: &str = "docs/reference/files-we-read.md";
/// What stands before the written part.
const MARK: &str = "<!-- The rest is written by `UPDATE_REFERENCE=1 cargo test --package gristmill-pipelines --test it documented`. -->\n\n";

/// The letter by which a case's name begins, and what it is about.
const PARTS: [(char, &str); 8] = [
    ('P', "Plain files"),
    ('D', "Delimiters"),
    ('H', "Headers"),
    ('E', "Characters"),
    ('V', "Amounts"),
    ('T', "Dates"),
    ('C', "Arrays of JSON"),
    ('N', "Columns by other names"),
];

#[test]
fn each_case_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    let text = fs::read_to_string(&path).unwrap();
    let (before, written) = text.split_once(MARK).unwrap_or_else(|| panic!("{PAGE} has no mark: {MARK}"));
    let expected = page();
    if std::env::vars().any(|(name, _)| name == "UPDATE_REFERENCE") {
        fs::write(&path, format!("{before}{MARK}{expected}")).unwrap();
        return;
    }
    let differs = expected.lines().zip(written.lines()).find(|(expected, written)| expected != written);
    assert!(written == expected, "{PAGE} is not what the cases say (set UPDATE_REFERENCE=1 to write it): {differs:?}");
}

fn page() -> String {
    let mut page = String::new();
    for (number, (letter, title)) in PARTS.into_iter().enumerate() {
        let between = if number > 0 { "\n" } else { "" };
        let _ = write!(page, "{between}## {title}\n\n| a file | sent with | comes out as |\n|---|---|---|\n");
        CASES.iter().filter(|case| case.id.starts_with(letter)).for_each(|case| page.push_str(&line(case)));
    }
    let known = |case: &&Case| PARTS.iter().any(|(letter, _)| case.id.starts_with(*letter));
    assert!(CASES.iter().all(|case| known(&case)), "a case is of no part");
    page
}

fn line(case: &Case) -> String {
    let what = case.id.split_once(' ').map_or(case.id, |(_, what)| what);
    let said = case.said.iter().map(|(name, value)| match *name {
        "content-type" => format!("`Content-Type: …; charset={value}`"),
        name => format!("`{name}={value}`"),
    });
    let said: Vec<String> = said.collect();
    let outcome = match case.outcome {
        Outcome::Reads(read) => read.to_owned(),
        Outcome::Stops(sentence) => format!("refused: *{sentence}*"),
    };
    format!("| {} | {} | {} |\n", cell(what), cell(&said.join(", ")), cell(&outcome))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
