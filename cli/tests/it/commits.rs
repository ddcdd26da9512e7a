//! `scripts/commits`: what a subject of a commit must look like.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::stderr;

fn check(subjects: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/commits");
    let mut command = Command::new("sh");
    command.arg(script).arg("--subjects").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(subjects.as_bytes()).unwrap();
    running.wait_with_output().unwrap()
}

#[test]
fn a_subject_is_an_area_and_an_imperative() {
    let good = [
        "splitter: reject a quote that is never closed".to_owned(),
        "queue/redis: `BLPOP` waits on one list per process".to_owned(),
        "api: need a key for each route".to_owned(),
        format!("bills: {}", "é".repeat(65)),
        "Merge branch 'main' into release".to_owned(),
    ];
    let output = check(&(good.join("\n") + "\n"));
    assert!(output.status.success(), "{}", stderr(&output));

    let bad = [
        ("Reject a quote that is never closed".to_owned(), "area: imperative"),
        ("Splitter: reject a quote".to_owned(), "area: imperative"),
        ("splitter:reject a quote".to_owned(), "area: imperative"),
        ("splitter: Reject a quote".to_owned(), "lower case"),
        ("splitter: reject a quote.".to_owned(), "full stop"),
        ("splitter: rejected a quote".to_owned(), "not `added`"),
        ("splitter: rejecting a quote".to_owned(), "not `added`"),
        (format!("bills: {}", "é".repeat(66)), "73 characters"),
    ];
    for (subject, why) in bad {
        let output = check(&format!("docs: say why\n{subject}\n"));
        assert!(!output.status.success(), "{subject}");
        assert!(stderr(&output).contains(why) && stderr(&output).contains(&subject), "{subject}: {}", stderr(&output));
        assert!(!stderr(&output).contains("say why"), "{}", stderr(&output));
    }
}
