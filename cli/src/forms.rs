//! Lists are asked for in one form, whichever somebody is used to: `uploads` and `uploads list`, `jobs` and `jobs list`.

use std::ffi::OsString;

/// Those that list when nothing else is said.
const PLAIN: [&str; 3] = ["uploads", "bills", "claims"];
/// Those that list by their subcommand `list`.
const NAMED: [&str; 9] =
    ["jobs", "groups", "queues", "workers", "schedules", "webhooks", "mail", "keys", "normalizations"];

/// The arguments in the form that the command knows.
pub(crate) fn known(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let is_one = |names: &[&str]| args.get(1).is_some_and(|arg| names.iter().any(|name| arg == name));
    let (plain, named) = (is_one(&PLAIN), is_one(&NAMED));
    let second = args.get(2).and_then(|arg| arg.to_str());
    let bare = second.is_none_or(|arg| arg.starts_with('-') && !["-h", "--help"].contains(&arg));
    if plain && second == Some("list") {
        args.remove(2);
    } else if named && bare {
        args.insert(2, "list".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(line: &str) -> String {
        let args = known(line.split(' ').map(OsString::from));
        args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn both_forms_are_the_same() {
        for (given, meant) in [
            ("gristmill uploads list --limit 1", "gristmill uploads --limit 1"),
            ("gristmill bills list", "gristmill bills"),
            ("gristmill jobs", "gristmill jobs list"),
            ("gristmill jobs --state dead", "gristmill jobs list --state dead"),
            ("gristmill keys", "gristmill keys list"),
        ] {
            assert_eq!(turned(given), meant);
        }
        for left in [
            "gristmill jobs --help",
            "gristmill jobs show 1",
            "gristmill normalizations list --limit 1",
            "gristmill",
            "gristmill upload list",
            "gristmill bills show 1",
        ] {
            assert_eq!(turned(left), left);
        }
    }
}
