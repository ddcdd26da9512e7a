//! The client subcommands where there is no server: they say what to do.

use super::{gristmill, stderr};

fn run(args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("debts.csv"), "name\n").unwrap();
    let output = gristmill(folder.path()).args(args).output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn no_server() {
    let id = "0195b3a4-7c1e-7000-8000-2f6c3f1a9d55";
    for args in [&["upload", "debts.csv"][..], &["uploads"], &["watch", id], &["rejects", id], &["cancel", id]] {
        let (code, said) = run(&[args, &["--api", "http://127.0.0.1:1", "--key", "gm_x"]].concat());
        assert_eq!(code, Some(1));
        assert!(said.contains("no server answers at http://127.0.0.1:1/") && said.contains("gristmill up"), "{said}");
    }
}

#[test]
fn no_such_file() {
    let (code, said) = run(&["upload", "nothing.csv"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no file nothing.csv") && said.contains("do:"), "{said}");
    let (code, said) = run(&["upload", "."]);
    assert_eq!(code, Some(1));
    assert!(said.contains(". is a folder"), "{said}");
}

#[test]
fn wrong_words() {
    let (code, said) = run(&["upload", "debts.csv", "--kind", "depts"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("there are: debts"), "{said}");
    let (code, said) = run(&["upload", "debts.csv", "--policy", "strict"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("partial, atomic"), "{said}");
    assert_eq!(run(&["receipt", "17"]).0, Some(2));
    let (code, said) = run(&["uploads", "--api", "ftp://example.com"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("an address looks like http"), "{said}");
    let (code, said) = run(&["uploads", "--data-dir", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no data folder nowhere"), "{said}");
}

#[test]
fn every_tool_has_an_example() {
    for tool in ["upload", "watch", "uploads", "rejects", "receipt", "cancel", "health"] {
        let folder = tempfile::tempdir().unwrap();
        let output = gristmill(folder.path()).args([tool, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Example") && help.contains(&format!("gristmill {tool}")), "{help}");
    }
}
