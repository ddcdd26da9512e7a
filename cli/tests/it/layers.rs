//! The table of the crates in ARCHITECTURE.md, held against the dependencies that Cargo knows.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use super::repository::root;

/// The roles: none of them depends on another.
const ROLES: [&str; 4] = ["api", "worker", "scheduler", "monitoring"];
/// Crates that only tests depend on: of everybody, the test kit; of the worker, what the clock does for it.
const IN_TESTS: [(&str, &str); 2] = [("*", "platform"), ("worker", "scheduler")];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// What a crate depends on: other crates of the workspace by the names of their folders, and the rest by its own.
#[derive(Default)]
struct Crate {
    folder: String,
    ours: BTreeSet<String>,
    in_tests: BTreeSet<String>,
    others: BTreeSet<String>,
}

/// What a row of the table says of a crate.
struct Row {
    depends_on: BTreeSet<String>,
    /// Any crate below `shared/`, any role.
    any_shared: bool,
    any_role: bool,
    not_on: BTreeSet<String>,
}

/// The last part of a folder, which is what the table calls a crate by.
fn short(folder: &str) -> String {
    folder.rsplit('/').next().unwrap().to_owned()
}

/// The workspace's crates, by the last part of their folder.
fn crates() -> BTreeMap<String, Crate> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", super::stderr(&output));
    let Metadata { packages } = serde_json::from_slice(&output.stdout).unwrap();
    let folder = |package: &Package| {
        let folder = package.manifest_path.strip_suffix("/Cargo.toml").unwrap();
        folder.strip_prefix(root().to_str().unwrap()).unwrap().trim_start_matches('/').to_owned()
    };
    let names: BTreeMap<String, String> =
        packages.iter().map(|package| (package.name.clone(), short(&folder(package)))).collect();
    let read = |package: &Package| {
        let mut read = Crate { folder: folder(package), ..Crate::default() };
        for dependency in package.dependencies.iter().filter(|d| d.name != package.name) {
            match (names.get(&dependency.name), dependency.kind.as_deref()) {
                (Some(ours), Some("dev")) => read.in_tests.insert(ours.clone()),
                (Some(ours), _) => read.ours.insert(ours.clone()),
                (None, Some("dev")) => false,
                (None, _) => read.others.insert(dependency.name.clone()),
            };
        }
        (short(&read.folder), read)
    };
    packages.iter().map(read).collect()
}

/// What stands between backticks.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The table's rows by folder. A row may be of several folders.
fn rows(document: &str) -> BTreeMap<String, Row> {
    let (_, table) =
        document.split_once("| folder | is | depends on | and not on |\n").expect("the table of the crates");
    let mut rows = BTreeMap::new();
    for line in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [folders, _, depends_on, not_on] = cells[..] else { panic!("not four cells: {line}") };
        for folder in names(folders) {
            let mut depends_on_names = names(depends_on);
            let row = Row {
                any_shared: depends_on_names.remove("shared"),
                any_role: depends_on.contains("the roles"),
                depends_on: depends_on_names,
                not_on: names(not_on),
            };
            assert!(rows.insert(folder.clone(), row).is_none(), "{folder} has two rows");
        }
    }
    rows
}

/// Everything in which the table and the crates differ.
fn differences(rows: &BTreeMap<String, Row>, crates: &BTreeMap<String, Crate>) -> Vec<String> {
    let mut found = Vec::new();
    for (folder, row) in rows {
        let Some(there) = crates.get(&short(folder)).filter(|there| there.folder == *folder) else {
            found.push(format!("{folder} has a row, and there is no such crate"));
            continue;
        };
        let allowed = |name: &String| {
            row.depends_on.contains(name)
                || row.any_shared && crates[name].folder.starts_with("shared/")
                || row.any_role && ROLES.contains(&name.as_str())
        };
        let more = there.ours.iter().filter(|name| !allowed(name));
        found.extend(more.map(|name| format!("{folder} depends on {name}, and its row does not say so")));
        let less = row.depends_on.difference(&there.ours);
        found.extend(less.map(|name| format!("{folder} does not depend on {name}, and its row says so")));
        let forbidden = row.not_on.iter().filter(|name| reaches(folder, name, crates));
        found.extend(forbidden.map(|name| format!("{folder} depends on {name}, and its row says that it does not")));
        let tests = there
            .in_tests
            .iter()
            .filter(|name| !allowed(name) && !IN_TESTS.iter().any(|(of, on)| on == name && [folder, "*"].contains(of)));
        found.extend(tests.map(|name| format!("the tests of {folder} depend on {name}")));
    }
    let without = crates.values().filter(|there| !rows.contains_key(&there.folder));
    found.extend(without.map(|there| format!("{} has no row", there.folder)));
    // A name that nobody depends on is a wrong one, and a row that says "not on" it says nothing.
    let known: BTreeSet<&String> = crates.values().flat_map(|there| &there.others).collect();
    let unknown = rows.values().flat_map(|row| &row.not_on).filter(|name| !known.contains(name));
    found.extend(unknown.map(|name| format!("no crate depends on {name}, which a row says it is not on")));
    found
}

/// Whether a crate depends on one from outside the workspace, by itself or by way of others of the workspace.
fn reaches(folder: &str, name: &str, crates: &BTreeMap<String, Crate>) -> bool {
    let there = &crates[&short(folder)];
    there.others.contains(name) || there.ours.iter().any(|next| reaches(next, name, crates))
}

fn architecture() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn the_table_of_the_crates_is_what_cargo_says() {
    let found = differences(&rows(&architecture()), &crates());
    assert!(found.is_empty(), "ARCHITECTURE.md:\n{}", found.join("\n"));
}

#[test]
fn each_way_in_which_the_table_can_be_wrong_is_found() {
    let right = architecture();
    let row = |folder: &str| {
        let start = format!("| `{folder}` |");
        right.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row of {folder}")).to_owned()
    };
    let claims = row("shared/claims");
    let cases = [
        (
            claims.clone(),
            claims.replace("`queue`, ", ""),
            "shared/claims depends on queue, and its row does not say so",
        ),
        (claims.clone(), claims.replace("`queue`", "`queue`, `mail`"), "shared/claims does not depend on mail"),
        (
            claims.clone(),
            claims.replace("`axum`", "`axum`, `sqlx`"),
            "shared/claims depends on sqlx, and its row says that it",
        ),
        (claims.clone(), claims.replace("`axum`", "`axun`"), "no crate depends on axun"),
        (
            claims.clone(),
            claims.replace("shared/claims", "shared/cases"),
            "shared/cases has a row, and there is no such crate",
        ),
        (format!("{claims}\n"), String::new(), "shared/claims has no row"),
        // by way of another crate
        (claims.clone(), claims.replace("`axum`", "`redis`"), "shared/claims depends on redis"),
        ("any of `shared` |".to_owned(), "`queue` |".to_owned(), "api depends on uploads"),
    ];
    for (before, after, expected) in cases {
        let wrong = right.replacen(&before, &after, 1);
        assert_ne!(wrong, right, "{expected}");
        let found = differences(&rows(&wrong), &crates());
        assert!(found.iter().any(|difference| difference.starts_with(expected)), "{expected}: {found:?}");
    }
}
