//! What the documents say is there: their commands, their files, their links.

use super::{
    gristmill,
    readme::{pages, scripts},
    repository::root,
    stderr,
};

/// The documents that are no pages of the book by themselves.
const BESIDE: [&str; 11] = [
    "ARCHITECTURE.md",
    "GUARANTEES.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "RELEASE.md",
    "bench/README.md",
    "bench/CHAOS.md",
    "migrations/README.md",
    "shared/README.md",
    "docs/SUMMARY.md",
];

/// What is checked for files and links: the pages, and the documents beside them.
fn documents() -> Vec<String> {
    let mut documents = pages();
    documents.extend(BESIDE.map(str::to_owned));
    documents
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// What looks like a path into the repository.
fn paths(text: &str) -> impl Iterator<Item = String> {
    const FOLDERS: [&str; 10] =
        ["api", "bench", "cli", "docs", "migrations", "monitoring", "scheduler", "scripts", "shared", "worker"];
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./{},*".contains(c)));
    let words = words.map(|word| word.trim_end_matches(['.', ',']));
    let ours = words.filter(|word| word.split_once('/').is_some_and(|(first, _)| FOLDERS.contains(&first)));
    ours.flat_map(spread).collect::<Vec<_>>().into_iter()
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn spread(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap();
    choices.split(',').flat_map(|choice| spread(&format!("{before}{choice}{after}"))).collect()
}

#[test]
fn every_command_of_the_pages_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let text = scripts().iter().map(|page| read(page)).collect::<String>();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut seen = 0;
    for line in blocks.flat_map(str::lines) {
        let Some(at) = line.find("gristmill ").filter(|at| !line[..*at].ends_with(['/', '-'])) else { continue };
        let command = line[at..].split(['#', '|', '>', ')', ';']).next().unwrap().trim();
        let id = "0195b3a4-7c1e-7000-8000-2f6c3f1a9d55";
        let command =
            ["$ID", "$JOB", "$HOOK"].iter().fold(command.to_owned(), |command, name| command.replace(name, id));
        let command = command.replace("$BILL", "00000001-0000-8000-8000-000000000007");
        // What stands in quotes is one word.
        let words: Vec<&str> = command
            .split('\'')
            .enumerate()
            .flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
            .collect();
        // Clap checks what stands before `--help`.
        let output = gristmill(folder.path()).args(&words[1..]).arg("--help").output().unwrap();
        assert!(output.status.success(), "{line}\n{}", stderr(&output));
        seen += 1;
    }
    assert!(seen > 40, "only {seen} commands were found");
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut seen = 0;
    for document in documents() {
        for path in paths(&read(&document)) {
            let there = match path.split_once('*') {
                None => root().join(&path).exists(),
                Some((start, _)) => {
                    let (folder, start) = start.rsplit_once('/').unwrap();
                    let names = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
                    names.into_iter().any(|name| name.to_string_lossy().starts_with(start))
                }
            };
            assert!(there, "{document}: there is no {path}");
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} paths were found");
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = read(&document);
        let here = root().join(&document);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            let target = if path.is_empty() { here.clone() } else { here.parent().unwrap().join(path) };
            let there = match heading {
                None => target.exists(),
                Some(heading) => {
                    std::fs::read_to_string(&target).is_ok_and(|text| headings(&text).any(|h| h == heading))
                }
            };
            assert!(there, "{document}: {link} leads nowhere");
        }
    }
}

/// The anchors of a document's headings, as a forge makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let anchor = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    text.lines().filter(|line| line.starts_with('#')).map(anchor)
}
