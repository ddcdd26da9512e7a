//! Messages by command, from a file to what they cost.

use std::io::Write as _;

use serde_json::Value;

use super::{
    stack::{Stack, stack, text},
    stderr, stdout,
};

fn upload(stack: &Stack, file: &str) -> Value {
    let output = stack.run(&["upload", file, "--kind", "messages", "--follow", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(stdout(&output).lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_file_as_csv_and_as_lines_of_json() {
    let stack = stack();
    let csv = stack.folder.path().join("messages.csv");
    let options = ["generate", "messages", "--rows", "6000", "--bad", "0.01", "--duplicates", "0.01", "-o", text(&csv)];
    assert!(stack.run(&options).status.success());
    let first = upload(&stack, text(&csv));
    assert_eq!(
        (&first["kind"], &first["state"], &first["rows"]["read"]),
        (&"messages".into(), &"completed".into(), &6000.into())
    );

    // The same rows once more in the other form: every good one is a duplicate.
    let ndjson = stack.folder.path().join("messages.ndjson");
    let mut lines = std::io::BufWriter::new(std::fs::File::create(&ndjson).unwrap());
    for record in csv::Reader::from_path(&csv).unwrap().deserialize::<std::collections::BTreeMap<String, String>>() {
        writeln!(lines, "{}", serde_json::to_string(&record.unwrap()).unwrap()).unwrap();
    }
    lines.into_inner().unwrap();
    let second = upload(&stack, text(&ndjson));
    let good = first["rows"]["accepted"].as_u64().unwrap() + first["rows"]["duplicate"].as_u64().unwrap();
    assert_eq!(
        second["rows"],
        serde_json::json!({
            "read": 6000, "accepted": 0, "rejected": first["rows"]["rejected"], "duplicate": good,
            "conflicting_duplicate": first["rows"]["conflicting_duplicate"],
        }),
        "those that differ from the first of the file still do"
    );

    let key = std::fs::read_to_string(stack.folder.path().join(".gristmill/dev.key")).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let usage = reqwest::Client::new()
        .get(format!("{}/v1/usage", stack.api))
        .bearer_auth(key.trim())
        .header("accept", "application/x-ndjson")
        .send()
        .await
        .unwrap();
    let usage = usage.text().await.unwrap();
    let lines: Vec<Value> = usage.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, first["rows"]["accepted"].as_u64().unwrap());
    assert!(
        lines.iter().all(|line| line["credits_used"].as_f64().unwrap() >= 1.0 && line.get("report_name").is_none())
    );
}
