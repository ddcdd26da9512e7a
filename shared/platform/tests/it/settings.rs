use std::collections::HashSet;

use gristmill_platform::config;

#[test]
fn every_setting_is_named_once_and_explained() {
    let settings = config::settings();
    let names: HashSet<_> = settings.iter().map(|setting| &setting.env).collect();
    let flags: HashSet<_> = settings.iter().map(|setting| &setting.flag).collect();
    assert_eq!((names.len(), flags.len()), (settings.len(), settings.len()));
    for setting in &settings {
        assert!(setting.help.len() > 3 && setting.flag.len() > 3 && !setting.concern.is_empty(), "{setting:?}");
        // Ours, or of a name that everybody uses.
        let ours = ["GRISTMILL_", "OTEL_"].iter().any(|start| setting.env.starts_with(start))
            || ["DATABASE_URL", "REDIS_URL"].contains(&setting.env.as_str());
        assert!(ours, "{setting:?}");
    }
}

#[test]
fn a_secret_is_not_shown() {
    let config: config::DatabaseConfig = config::read(["--database-url", "postgres://u:hush@h/d"]).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn the_page_of_settings_lists_every_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/settings.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table = config::markdown();
    assert!(page.contains(&table), "the table of docs/reference/settings.md must be:\n\n{table}");
}
