//! The queue's functions in Postgres: those of `functions/`, each with its present text.
//!
//! They are made again whenever a text has changed, all of them by one migration, whose number grows with [`REVISION`]. A process of an
//! older release that starts meanwhile leaves those of a newer one as they are, and goes on with them: so a function keeps the parameters
//! and the columns that it has had, and one that is to mean something else gets another name.

use std::{collections::BTreeMap, sync::LazyLock};

use sqlx::migrate::{Migration, MigrationType};

/// Grows by one with each release of changed texts.
const REVISION: i64 = 1;
/// Behind all migrations of tables.
const FIRST: i64 = 1_000_000;
const LAST: i64 = FIRST + 999_999;

macro_rules! texts {
    ($($name:literal,)*) => {
        [$((concat!($name, ".sql"), include_str!(concat!("../../functions/", $name, ".sql")))),*]
    };
}
/// Who is called stands before who calls.
const TEXTS: [(&str, &str); 11] = texts![
    "close_groups",
    "complete_jobs",
    "complete_members",
    "enqueue_replacing",
    "enqueue_many",
    "enqueue",
    "insert_jobs",
    "insert_many_jobs",
    "job_statuses",
    "promote_due",
    "settle_jobs",
];

/// The migration that makes them. Unlike others it names the schema, `gristmill`: see [`crate::Schema::sql`].
pub(super) static MIGRATION: LazyLock<Migration> = LazyLock::new(|| {
    let text: String = TEXTS.iter().flat_map(|(_, text)| [*text, "\n"]).collect();
    Migration::new(FIRST + REVISION, "functions".into(), MigrationType::Simple, text.into(), false)
});

/// Whether they are there, as this binary has them or as a newer one has.
pub(super) fn are_applied(applied: &BTreeMap<i64, Vec<u8>>) -> bool {
    applied.range(FIRST + REVISION..=LAST).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_texts_are_another_revision() {
        let checksum: String = MIGRATION.checksum[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (REVISION, checksum.as_str()),
            (1, "c46c74aeca7b09f3"),
            "raise REVISION, unless no release has had this one, and write both down here"
        );
    }

    #[test]
    fn all_files_are_among_them() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/functions");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.collect();
        files.sort_unstable();
        let mut names = TEXTS.map(|(name, _)| name.to_owned());
        names.sort_unstable();
        assert_eq!(files, names);
    }
}
