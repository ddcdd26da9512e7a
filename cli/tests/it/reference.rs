//! The pages below `docs/reference`, held against the code. What follows a page's mark is written by this test when
//! `UPDATE_REFERENCE` is set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use gristmill_pipelines::{Kind, ReasonCode};
use gristmill_platform::config;
use gristmill_webhooks::EventType;
use serde_json::Value;

use super::{
    described_metrics, gristmill,
    repository::{crates, root},
    stdout,
};

/// What stands before the written part of a page.
const MARK: &str =
    "<!-- The rest is written by `UPDATE_REFERENCE=1 cargo test --package gristmill-cli --test it reference`. -->\n\n";

/// Holds a page against what the code says, or writes it.
fn check(page: &str, expected: &str) {
    let path = root().join("docs/reference").join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (before, written) = text.split_once(MARK).unwrap_or_else(|| panic!("{page} has no mark: {MARK}"));
    if std::env::vars().any(|(name, _)| name == "UPDATE_REFERENCE") {
        fs::write(&path, format!("{before}{MARK}{expected}")).unwrap();
        return;
    }
    let differs = expected.lines().zip(written.lines()).find(|(expected, written)| expected != written);
    assert!(
        written == expected,
        "docs/reference/{page} is not what the code says (set UPDATE_REFERENCE=1 to write it): {differs:?}"
    );
}

/// A text as a cell of a table has it.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[test]
fn settings_are_those_of_the_code() {
    check("settings.md", &config::markdown());
}

#[test]
fn reject_codes_are_those_of_the_code() {
    let lines = ReasonCode::ALL.iter().map(|code| format!("| `{code}` | {} |\n", code.explanation()));
    check("reject-codes.md", &format!("| code | what it means |\n|---|---|\n{}", lines.collect::<String>()));
}

#[test]
fn formats_are_those_of_the_code() {
    let mut text = String::new();
    for kind in Kind::ALL {
        let columns = kind.columns();
        let must = columns.len() - kind.optional_columns();
        writeln!(text, "## `{kind}`\n\n| column | may be left out |\n|---|---|").unwrap();
        for (n, column) in columns.iter().enumerate() {
            writeln!(text, "| `{column}` | {} |", if n < must { "no" } else { "yes" }).unwrap();
        }
        let key = match kind.key_column() {
            "line" => "Each line has a key of its own, so there are no duplicates.".to_owned(),
            key => format!("The key is `{key}`."),
        };
        let samples = kind.samples();
        let row = samples.good[0].trim_end();
        writeln!(text, "\n{key} Rows go to the table `{}`.\n", kind.table().name).unwrap();
        writeln!(text, "```csv\n{}\n{row}\n```\n", samples.header).unwrap();
    }
    check("formats.md", &format!("{}\n", text.trim_end()));
}

#[test]
fn events_are_those_of_the_code() {
    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    let mut text = String::from("| event | when |\n|---|---|\n");
    for event in EventType::ALL {
        let hook = &document["webhooks"][event.to_string()]["post"];
        let when = hook["description"].as_str().or(hook["summary"].as_str());
        let when = when.unwrap_or_else(|| panic!("the document does not describe {event}"));
        writeln!(text, "| `{event}` | {} |", cell(when)).unwrap();
    }
    check("events.md", &text);
}

#[test]
fn routes_are_those_of_the_document() {
    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    let mut by_tag: BTreeMap<&str, String> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap();
            let summary = operation["summary"].as_str().unwrap_or_else(|| panic!("{method} {path} has no summary"));
            let line = format!("| `{} {path}` | {} |\n", method.to_uppercase(), cell(summary));
            by_tag.entry(tag).or_default().push_str(&line);
        }
    }
    let about = |tag: &str| -> String {
        let tags: &[Value] = document["tags"].as_array().map_or(&[], Vec::as_slice);
        let found = tags.iter().find(|known| known["name"] == tag).and_then(|known| known["description"].as_str());
        found.map(|text| format!("{text}\n\n")).unwrap_or_default()
    };
    let sections =
        by_tag.iter().map(|(tag, lines)| format!("## {tag}\n\n{}| route | does |\n|---|---|\n{lines}", about(tag)));
    check("http-api.md", &sections.collect::<Vec<_>>().join("\n"));
}

/// The subcommands that a command's help lists.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let list = list.lines().take_while(|line| line.starts_with("  "));
    let names = list.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// A command's help without what other pages say: the settings, and where the server is.
fn own_help(help: &str) -> String {
    let settings = config::settings();
    let known: BTreeSet<&str> = settings.iter().map(|setting| setting.concern.as_str()).chain(["Server"]).collect();
    let sections = help.trim_end().split("\n\n").filter(|section| {
        let heading = section.lines().next().unwrap_or_default().trim_end_matches(':');
        !known.contains(heading)
    });
    let kept = sections.map(|section| {
        let lines = section.lines().filter(|line| !line.trim_start().starts_with("-h, --help"));
        lines.collect::<Vec<_>>().join("\n")
    });
    let kept: Vec<String> = kept.filter(|section| section != "Options:" && !section.is_empty()).collect();
    kept.join("\n\n")
}

/// Every command below one, in the order of the help.
fn describe(words: &[String], text: &mut String) {
    let folder = tempfile::tempdir().unwrap();
    let output = gristmill(folder.path()).args(words).arg("-h").env("COLUMNS", "100").output().unwrap();
    let help = stdout(&output);
    assert!(output.status.success() && !help.is_empty(), "{words:?}");
    if !words.is_empty() {
        let level = "#".repeat(words.len() + 1);
        writeln!(text, "{level} `gristmill {}`\n\n```text\n{}\n```\n", words.join(" "), own_help(&help)).unwrap();
    }
    for name in subcommands(&help) {
        let below: Vec<String> = words.iter().cloned().chain([name]).collect();
        describe(&below, text);
    }
}

#[test]
fn commands_are_those_of_the_binary() {
    let mut text = String::new();
    describe(&[], &mut text);
    check("commands.md", &format!("{}\n", text.trim_end()));
}

#[test]
fn metrics_are_those_of_the_code() {
    let mut crates = crates();
    crates.retain(|name, _| !["bench", "cli"].contains(&name.as_str()));
    let metrics = described_metrics::of(&crates.into_values().flatten().collect::<Vec<_>>());
    let undescribed: Vec<&String> =
        metrics.counted.iter().filter(|name| !metrics.described.contains_key(*name)).collect();
    assert!(undescribed.is_empty(), "these metrics have no description: {undescribed:?}");
    let mut text = String::from("| metric | type | what it counts |\n|---|---|---|\n");
    for (name, (form, help)) in &metrics.described {
        writeln!(text, "| `{name}` | {form} | {} |", cell(help)).unwrap();
    }
    check("metrics.md", &text);
}
