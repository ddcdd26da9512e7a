//! `scripts/book.py`: how the book's pages take links and documents.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::stderr;

/// A repository with a book of these pages in `docs/`, and a document and a source file beside it.
fn build(pages: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    for (name, text) in pages {
        let path = docs.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(
        folder.path().join("PROMISES.md"),
        "# Promises\n\n[The guide](docs/guide.md#end), [more](docs/README.md), [code](main.rs)\n",
    )
    .unwrap();
    fs::write(folder.path().join("main.rs"), "").unwrap();
    let chapters = pages.iter().map(
        |(name, text)| json!({ "Chapter": { "source_path": name, "path": name, "content": text, "sub_items": [] } }),
    );
    let input = json!([{ "root": docs }, { "items": chapters.collect::<Vec<_>>() }]).to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/book.py");
    let mut python = Command::new("python3")
        .arg(script)
        .current_dir(&docs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    python.wait_with_output().unwrap()
}

/// The pages' text, in order.
fn texts(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", stderr(output));
    let book: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = book["items"].as_array().unwrap();
    items.iter().map(|item| item["Chapter"]["content"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_document_of_the_root_is_a_page_and_links_lead_to_it() {
    let output = build(&[
        (
            "guide.md",
            "[promises](../PROMISES.md#a) [main.rs](../main.rs) [x](https://example.org)\n```md\n[a](b.md)\n```\n",
        ),
        ("deep/promises.md", "# Promises\n\n<!-- page: ../../PROMISES.md -->\n\n[PROMISES.md](../../PROMISES.md)\n"),
        ("README.md", "# All\n"),
    ]);
    assert_eq!(
        texts(&output),
        [
            "[promises](deep/promises.md#a) `main.rs` [x](https://example.org)\n```md\n[a](b.md)\n```\n",
            "# Promises\n\n[The guide](../guide.md#end), [more](../index.md), code (`main.rs`)\n",
            "# All\n",
        ]
    );
}

#[test]
fn a_link_that_leads_nowhere_ends_the_build() {
    let output = build(&[("guide.md", "[gone](gone.md)\n"), ("other.md", "[guide](guide.md)\n")]);
    assert!(!output.status.success());
    assert_eq!(stderr(&output).trim_end(), "docs/guide.md: gone.md leads nowhere");
}
