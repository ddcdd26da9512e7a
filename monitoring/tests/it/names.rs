//! Rules and boards ask for metrics by name: every one is counted somewhere, and every alert has its page.

use std::{collections::BTreeSet, fs, path::Path};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const ASKING: [&str; 3] = ["prometheus/rules.yml", "prometheus/rules.test.yml", "grafana/gristmill.json"];

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// Every source file of the roles and of what they share.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("tests") {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&read(&path));
        }
    }
}

fn names(text: &str) -> BTreeSet<&str> {
    // A recorded series has colons: it is looked for among the rules.
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words
        .filter(|word| word.starts_with("gristmill_") || word.starts_with("process_") || word.contains(":gristmill_"))
        .collect()
}

#[test]
fn every_metric_of_rules_and_boards_is_there() {
    let (mut code, rules) = (String::new(), read(format!("{ROOT}/monitoring/prometheus/rules.yml")));
    for folder in ["api", "worker", "scheduler", "shared"] {
        sources(&Path::new(ROOT).join(folder), &mut code);
    }
    for file in ASKING {
        let text = read(format!("{ROOT}/monitoring/{file}"));
        let asked = names(&text);
        assert!(asked.len() > 10, "{file} asks for {asked:?}");
        for name in asked {
            let there = if name.contains(':') {
                rules.contains(&format!("- record: {name}\n"))
            } else {
                let base = name.strip_suffix("_bucket").unwrap_or(name);
                code.contains(&format!("\"{base}\""))
            };
            assert!(there, "{file}: nothing counts {name}");
        }
    }
}

#[test]
fn every_alert_has_its_page_and_its_tests() {
    let rules = read(format!("{ROOT}/monitoring/prometheus/rules.yml"));
    let tests = read(format!("{ROOT}/monitoring/prometheus/rules.test.yml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    for alert in &alerts {
        let page = format!("docs/runbooks/{alert}.md");
        assert!(rules.contains(&format!("runbook_url: {page}\n")), "{alert} names its page");
        assert!(read(format!("{ROOT}/{page}")).starts_with(&format!("# {alert}\n")), "{page}");
        let short = alert.trim_start_matches("Gristmill");
        for what in ["fires", "is silent"] {
            assert!(tests.contains(&format!("- name: {short} {what}")), "{alert}: no test in which it {what}");
        }
    }
    let pages = fs::read_dir(format!("{ROOT}/docs/runbooks")).unwrap().count();
    assert_eq!(pages, alerts.len(), "each page is of an alert");
}
