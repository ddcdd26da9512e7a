//! The blocks of README and of each page of the book, pasted one after the other into a shell beside a running
//! `gristmill up`, as a reader does.

use std::{fs, path::Path, process::Command};

use super::{
    repository::root,
    stack::{Stack, text},
    stderr, stdout,
};

/// What stands before a block that is not pasted, with the reason.
const APART: &str = "<!-- not run: ";

/// The shell blocks of a document, in order, without those that stand apart.
fn script(document: &str) -> String {
    let mut script = String::new();
    let mut before = "";
    for (n, piece) in document.split("```").enumerate() {
        let apart = before.trim_end().rsplit('\n').next().unwrap_or_default().starts_with(APART);
        if n % 2 == 1
            && !apart
            && let Some(block) = piece.strip_prefix("sh\n")
        {
            script.push_str(block);
        }
        before = piece;
    }
    script
}

#[test]
fn blocks_come_in_order_without_those_that_stand_apart() {
    let document =
        "a\n```sh\none\n```\n<!-- not run: Docker -->\n```sh\ntwo\n```\n```csv\nno\n```\n\n```sh\nthree\n```\n";
    assert_eq!(script(document), "one\nthree\n");
}

/// README and the pages of the book, in the order of `docs/SUMMARY.md`.
pub(crate) fn pages() -> Vec<String> {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let links = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    std::iter::once("README.md".to_owned()).chain(links.map(|link| format!("docs/{link}"))).collect()
}

/// The pages that a reader can paste: not those of alerts, whose commands have names to fill in.
pub(crate) fn scripts() -> Vec<String> {
    pages().into_iter().filter(|page| !page.starts_with("docs/runbooks/")).collect()
}

/// Every page below a folder.
fn below(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()));
    names
        .flat_map(|name| if root().join(&name).is_dir() { below(&name) } else { vec![name] })
        .filter(|name| name.ends_with(".md"))
        .collect()
}

#[test]
fn the_book_has_every_page_once() {
    let pages = pages();
    let mut listed: Vec<&str> = pages.iter().filter(|page| *page != "README.md").map(String::as_str).collect();
    listed.sort_unstable();
    let there = below("docs");
    let mut there: Vec<&str> = there.iter().filter(|page| *page != "docs/SUMMARY.md").map(String::as_str).collect();
    there.sort_unstable();
    assert_eq!(listed, there, "the pages of docs/SUMMARY.md, and the files of docs/");
}

#[test]
fn the_readme_is_one_page() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 180, "README has {lines} lines: what is reference belongs into a page under docs/");
}

/// Each page is a script of its own: a reader may begin with any of them after README.
#[test]
fn each_page_can_be_pasted_from_top_to_bottom() {
    // Nothing that was sent is billed by the clock before it is undone, however slow the machine is.
    let stack = Stack::start_with(&[("GRISTMILL_BILLING_SETTLE", "1h")]);
    let folder = stack.folder.path();
    let binary = Path::new(env!("CARGO_BIN_EXE_gristmill")).parent().unwrap();
    let begin = format!("PATH='{}':\"$PATH\"\nset -x\n", text(binary));
    // An answer of 400 or more is a failure here too.
    fs::write(folder.join(".curlrc"), "fail-with-body\n").unwrap();
    let tail =
        |text: &str| text.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    let mut commands = 0;
    for page in scripts() {
        let script = script(&fs::read_to_string(root().join(&page)).unwrap());
        commands += script.matches("gristmill ").count();
        let script = script.replace("API=http://127.0.0.1:8080\n", &format!("API={}\n", stack.api));
        fs::write(folder.join("page.sh"), format!("{begin}{script}")).unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-eu", "-o", "pipefail", "page.sh"]).current_dir(folder);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRISTMILL_")) {
            shell.env_remove(name);
        }
        let ran = shell.env("CURL_HOME", folder).output().unwrap();
        let (said, traced) = (stdout(&ran), stderr(&ran));
        assert!(ran.status.success(), "{page} ends with {}:\n{}\n{}", ran.status, tail(&said), tail(&traced));
    }
    assert!(commands > 60, "only {commands} commands were found");
}
