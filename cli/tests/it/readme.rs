//! README's blocks, pasted one after the other into a shell beside a running `gristmill up`, as a reader does.

use std::{fs, path::Path, process::Command};

use super::{
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

#[test]
fn the_readme_can_be_pasted_from_top_to_bottom() {
    // Nothing that was sent is billed by the clock before it is undone, however slow the machine is.
    let stack = Stack::start_with(&[("GRISTMILL_BILLING_SETTLE", "1h")]);
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let script = script(&readme);
    assert!(script.matches("gristmill ").count() > 40, "{script}");
    let script = script.replace("API=http://127.0.0.1:8080\n", &format!("API={}\n", stack.api));
    let folder = stack.folder.path();
    let binary = Path::new(env!("CARGO_BIN_EXE_gristmill")).parent().unwrap();
    let begin = format!("PATH='{}':\"$PATH\"\nset -x\n", text(binary));
    fs::write(folder.join("readme.sh"), begin + &script).unwrap();
    // An answer of 400 or more is a failure here too.
    fs::write(folder.join(".curlrc"), "fail-with-body\n").unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "readme.sh"]).current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRISTMILL_")) {
        shell.env_remove(name);
    }
    let ran = shell.env("CURL_HOME", folder).output().unwrap();
    let (said, traced) = (stdout(&ran), stderr(&ran));
    let tail =
        |text: &str| text.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    assert!(ran.status.success(), "README's script ends with {}:\n{}\n{}", ran.status, tail(&said), tail(&traced));
}
