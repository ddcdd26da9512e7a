//! `scripts/words`: the documents' words.

use std::path::Path;
use std::process::{Command, Output};

use super::{stderr, stdout};

fn check(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.md");
    std::fs::write(&page, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/words");
    Command::new("sh").arg(script).arg(page).output().unwrap()
}

#[test]
fn a_word_that_has_a_plainer_one_is_refused_with_it() {
    let output = check("The worker is unhealthy, so it connects again.\nA canewood chair holds no word of the list.\n");
    assert!(output.status.success(), "{}", stderr(&output));

    let output = check("The worker connects.\nThen it connects Anew.\n");
    assert!(!output.status.success());
    assert!(stdout(&output).contains("2:Then it connects Anew."), "{}", stdout(&output));
    assert!(stderr(&output).contains("\"anew\": write \"again\""), "{}", stderr(&output));

    // "per" where it is meant, and no person where a process is
    for (text, word) in [("It is a row a client.", "a row a"), ("Nobody answers.", "nobody"), ("It is told.", "told")] {
        let output = check(text);
        assert!(!output.status.success() && stderr(&output).contains(&format!("\"{word}\"")), "{text}");
    }
}
