//! The proof as a whole: see `gristmill chaos --help`. A longer run is `make test-chaos`.

use super::{gristmill, stderr, stdout};

#[test]
fn forty_five_seconds_of_faults_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.md");
    let output = gristmill(folder.path())
        .args(["chaos", "--seconds", "45", "--seed", "1", "--report"])
        .arg(&report)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{}", stdout(&output), stderr(&output));
    let told = std::fs::read_to_string(&report).unwrap();
    assert_eq!(told, stdout(&output));
    assert!(told.contains("Verdict: passed."), "{told}");
    let table = told.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let kinds = table.take_while(|line| !line.contains("**all**")).count();
    assert!(kinds >= 9, "only {kinds} kinds of faults: {told}");
}
