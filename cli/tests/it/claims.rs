//! Claims by command, from a file to its providers.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    gristmill,
    stack::{stack, text},
    stderr, stdout,
};

#[test]
fn claims_are_made_uploaded_paid_listed_and_voided() {
    let stack = stack();
    let said = |args: &[&str]| {
        let output = stack.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let file = stack.folder.path().join("claims.csv");
    said(&["generate", "claims", "--rows", "300", "--seed", "41", "-o", text(&file)]);
    said(&["upload", text(&file), "--kind", "claims", "--follow"]);
    let listed = |args: &[&str]| -> Vec<Value> {
        let lines = said(&[&["claims", "--json", "--limit", "500"], args].concat());
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let since = Instant::now();
    while !listed(&["--state", "pending"]).is_empty() {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", listed(&["--state", "pending"]));
        std::thread::sleep(Duration::from_millis(200));
    }
    let claims = listed(&["--state", "posted"]);
    assert_eq!(claims.iter().map(|claim| claim["line_count"].as_i64().unwrap()).sum::<i64>(), 300);

    let top: Vec<Value> = said(&["claims", "top-providers", "--limit", "1", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let best = top[0]["provider_npi"].as_str().unwrap();
    let table = said(&["claims", "top-providers", "--from", "2024-01-01", "--to", "2025-12-31"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], rows[1][0], rows.len()), ("PROVIDER", best, 11), "{table}");

    let of_best = listed(&["--provider", best]);
    let fees = of_best.iter().map(|claim| claim["net_fee"]["minor"].as_i64().unwrap());
    assert_eq!(Some(fees.sum::<i64>()), top[0]["net_fee"]["minor"].as_i64());
    let id = of_best[0]["id"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&said(&["claims", "show", id])).unwrap();
    assert_eq!(shown["lines"].as_array().unwrap().len() as i64, of_best[0]["line_count"].as_i64().unwrap());
    let asked = stack.run(&["claims", "void", id]);
    assert!(!asked.status.success() && stderr(&asked).contains("--yes"), "nobody is there to be asked");
    assert_eq!(said(&["claims", "void", id, "--yes"]), format!("void  id {id}\n"));
    assert_eq!(said(&["claims", "void", id, "--yes"]), format!("void  id {id}\n"));
    assert!(said(&["claims", "--state", "void"]).contains(id));
}

#[test]
fn lines_of_claims_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        gristmill(folder.path()).args(["generate", "claims", "--rows", "9", "--duplicates", "0.5"]).output().unwrap();
    assert!(
        !output.status.success() && stderr(&output).contains("unexpected argument '--duplicates'"),
        "{}",
        stderr(&output)
    );
}
