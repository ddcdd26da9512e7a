//! `gristmill generate`.

use serde_json::Value;

use super::{gristmill, stderr};

fn generated(args: &[&str]) -> (Vec<u8>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let output = gristmill(folder.path()).args(["generate", "debts", "--json"]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let counts = serde_json::from_str(&stderr(&output)).unwrap();
    (output.stdout, counts)
}

#[test]
fn the_same_options_make_the_same_bytes() {
    let options = ["--rows", "5000", "--bad", "0.02", "--duplicates", "0.03", "--seed", "7"];
    let (first, counts) = generated(&options);
    assert_eq!(generated(&options), (first.clone(), counts.clone()));
    assert_ne!(generated(&["--rows", "5000", "--bad", "0.02", "--duplicates", "0.03", "--seed", "8"]).0, first);

    assert_eq!(counts["bytes"], first.len());
    let rows = |what: &str| counts["rows"][what].as_u64().unwrap();
    assert_eq!(rows("read"), 5000);
    assert_eq!(rows("read"), rows("accepted") + rows("rejected") + rows("duplicate"));
    assert!((50..200).contains(&rows("rejected")) && (75..300).contains(&rows("duplicate")), "{counts}");
    // No record of these options has a line end in it.
    assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 5001);
    assert!(first.starts_with(b"name,governmentId,email,debtAmount,debtDueDate,debtId\n"));
}

#[test]
fn a_file_is_the_same_as_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["generate", "debts", "--rows", "2000", "--json", "-o", "debts.csv"];
    let output = gristmill(folder.path()).args(options).output().unwrap();
    let (bytes, counts) = generated(&["--rows", "2000"]);
    assert_eq!(std::fs::read(folder.path().join("debts.csv")).unwrap(), bytes);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), counts);
}

#[test]
fn shares_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        gristmill(folder.path()).args(["generate", "debts", "--rows", "10"]).args(args).output().unwrap()
    };
    assert_eq!(run(&["--bad", "2"]).status.code(), Some(2));
    let output = run(&["--bad", "0.6", "--duplicates", "0.6"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("shares add up to 1 at most"), "{}", stderr(&output));
}

#[test]
fn a_number_below_none_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |args: &[&str]| {
        let output = gristmill(folder.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        stderr(&output)
    };
    assert!(wrong(&["generate", "debts", "--rows", "-5"]).contains("not a number of records"));
    assert!(wrong(&["generate", "debts", "--rows", "5", "--bad", "-1"]).contains("not a share"));
    assert!(wrong(&["uploads", "--limit", "-1"]).contains("not a number of items"));
}
