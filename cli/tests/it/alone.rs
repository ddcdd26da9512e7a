//! The client subcommands where there is no server: they say what to do.

use super::{gristmill, repository::root, stderr, stdout};

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
fn a_file_is_checked() {
    let header = "name,governmentId,email,debtAmount,debtDueDate,debtId\n";
    let row = |key: u32, date: &str| {
        format!("Ana Lima,9558,ana@example.com,10.50,{date},00000000-0000-0000-0000-{key:012}\n")
    };
    let folder = tempfile::tempdir().unwrap();
    let run = |file: &str, more: &[&str]| {
        std::fs::write(folder.path().join("debts.csv"), file).unwrap();
        let output = gristmill(folder.path()).args(["check", "debts.csv"]).args(more).output().unwrap();
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let good = format!("{header}{}{}", row(1, "2030-01-31"), row(2, "2030-01-31"));
    let (code, said, _) = run(&good, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("✓ 2 rows in ") && said.contains("2 good (0 of them duplicate), 0 rejected\n"), "{said}");
    assert!(said.contains("  read as utf-8, separated by ,\n") && said.contains("debtAmount    10.50"), "{said}");

    let dirty = format!("{good}{}{}", row(1, "2030-01-31"), row(3, "soon"));
    let (code, said, _) = run(&dirty, &["--json"]);
    assert_eq!(code, Some(1), "{said}");
    let checked: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&checked["read"], &checked["good"], &checked["rejected"]), (&4.into(), &3.into(), &1.into()));
    assert_eq!((&checked["duplicate_in_file"], &checked["reasons"][0]["first_line"]), (&1.into(), &5.into()));

    let open: String = (1..=3).map(|key| row(key, "01/02/2030")).collect();
    let open = format!("{header}{open}");
    let (code, _, said) = run(&open, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("do:    run it again with --dates "), "{said}");
    assert_eq!(run(&open, &["--dates", "mdy"]).0, Some(0));
    let (code, _, said) = run("a,b\n1,2\n", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the header lacks name"), "{said}");
    let (code, _, said) = run(&good, &["--header-line", "x"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--header-line: 'x' is not the number of a line"), "{said}");
}

#[test]
fn an_archive_or_a_workbook_is_checked() {
    let files = root().join("api/tests/files");
    let run = |file: &str, more: &[&str]| {
        let output = gristmill(&files).args(["check", file]).args(more).output().unwrap();
        (output.status.code(), stdout(&output), stderr(&output))
    };
    for (file, read_as) in [("debts.xlsx", "  read as sheet "), ("debts.zip", " of a ZIP archive")] {
        let (code, said, wrong) = run(file, &[]);
        assert!(matches!(code, Some(0 | 1)), "{said}{wrong}");
        assert!(said.contains(read_as) && !said.contains(" 0 good"), "{said}");
    }
    for (file, more, read) in [
        ("debts.xlsx", ["--sheet", "Nope"], "the workbook has no sheet 'Nope'; it has "),
        ("debts.zip", ["--entry", "nope.csv"], "the ZIP archive has no entry 'nope.csv'; it has "),
        ("debts.xlsx", ["--delimiter", ";"], "the file is a workbook, and --delimiter says how a text is written"),
        ("semicolon.csv", ["--sheet", "Nope"], "the file is no workbook, so sheet= says nothing of it"),
    ] {
        let (code, _, said) = run(file, &more);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(read), "{said}");
    }
}

#[test]
fn every_tool_has_an_example() {
    for tool in ["upload", "check", "watch", "uploads", "rejects", "receipt", "cancel", "health"] {
        let folder = tempfile::tempdir().unwrap();
        let output = gristmill(folder.path()).args([tool, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Example") && help.contains(&format!("gristmill {tool}")), "{help}");
    }
}
