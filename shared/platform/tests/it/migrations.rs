//! The files in `migrations/`: what a database that is there already asks of them.

use std::path::PathBuf;

use gristmill_platform::database;
use gristmill_platform::testing::stack;
use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

/// What the first 43 migrations wrote into `_sqlx_migrations` while their files had their first names: version, SHA-384 of
/// the file, description. The descriptions were made of those names.
const OLD_NAMES: &str = include_str!("migrations/old_names.txt");

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"))
}

fn old_rows() -> Vec<(i64, Vec<u8>, &'static str)> {
    let bytes =
        |hex: &str| (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let row = |line: &'static str| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap();
        (word().parse().unwrap(), bytes(word()), word())
    };
    OLD_NAMES.lines().map(row).collect()
}

/// Makes `_sqlx_migrations` what it was in a database that was migrated when the files had their first names.
async fn record_old_names(pool: &PgPool) {
    sqlx::query("delete from _sqlx_migrations where version <= 91").execute(pool).await.unwrap();
    for (version, checksum, description) in old_rows() {
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values ($1, $2, true, $3, 0)",
        )
        .bind(version)
        .bind(description)
        .bind(checksum)
        .execute(pool)
        .await
        .unwrap();
    }
}

async fn recorded(pool: &PgPool) -> Vec<(i64, String)> {
    let sql = "select version, description from _sqlx_migrations order by version";
    sqlx::query_as(sql).fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_old_file_names_starts_under_the_new_ones() {
    let stack = stack().await;
    record_old_names(&stack.pool).await;
    let before = recorded(&stack.pool).await;
    assert_eq!(old_rows().len(), 43);
    assert!(before.iter().any(|(version, description)| *version == 9 && description == "operate"));

    database::migrate(&stack.pool).await.unwrap();
    database::ready(&stack.pool).await.unwrap();

    // The migrator compares version and checksum. It neither reads the description nor writes it again.
    assert_eq!(recorded(&stack.pool).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_is_refused() {
    let stack = stack().await;
    record_old_names(&stack.pool).await;
    sqlx::query("update _sqlx_migrations set checksum = $1 where version = 9")
        .bind(&b"of other content"[..])
        .execute(&stack.pool)
        .await
        .unwrap();
    let error = database::migrate(&stack.pool).await.unwrap_err();
    assert!(matches!(error, database::DatabaseError::Migrate(MigrateError::VersionMismatch(9))), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_refused() {
    let stack = stack().await;
    record_old_names(&stack.pool).await;
    sqlx::query("update _sqlx_migrations set version = 15 where version = 14").execute(&stack.pool).await.unwrap();
    let error = database::migrate(&stack.pool).await.unwrap_err();
    assert!(matches!(error, database::DatabaseError::Migrate(MigrateError::VersionMissing(15))), "{error:?}");
}

/// Of two branches that each add a migration, the later one may land first: so a database can have one of a later number
/// than one that it has not. Both run, and a number comes before any timestamp.
#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_comes_after_the_numbers_and_a_late_number_still_runs() {
    let stack = stack().await;
    record_old_names(&stack.pool).await;
    let copy = tempfile::tempdir().unwrap();
    let add = |name: &str, sql: &str| std::fs::write(copy.path().join(name), sql).unwrap();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }

    add("29990101120000_add_later.sql", "create table later (); alter table gristmill.jobs add column later integer;");
    let migrator = Migrator::new(copy.path()).await.unwrap();
    let versions: Vec<i64> = migrator.iter().map(|migration| migration.version).collect();
    assert!(versions.is_sorted(), "{versions:?}");
    assert_eq!(versions.last(), Some(&29_990_101_120_000));
    migrator.run(&stack.pool).await.unwrap();
    let last = recorded(&stack.pool).await.pop().unwrap();
    assert_eq!(last, (29_990_101_120_000, "add later".to_owned()));

    add("29990101115959_add_late.sql", "create table late (); alter table gristmill.jobs add column late integer;");
    Migrator::new(copy.path()).await.unwrap().run(&stack.pool).await.unwrap();
    sqlx::query("select late, later from gristmill.jobs").execute(&stack.pool).await.unwrap();
    assert_eq!(
        recorded(&stack.pool).await.iter().rev().take(2).map(|(_, d)| d.as_str()).collect::<Vec<_>>(),
        ["add later", "add late"]
    );
}

/// `0092_add_x.sql` or `20261201120000_add_x.sql`, and a word of what it does in front.
#[test]
fn every_file_is_named_for_what_it_does() {
    const VERBS: [&str; 11] =
        ["create", "add", "drop", "index", "replace", "make", "widen", "slim", "fill", "rename", "move"];
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".sql") else {
            assert_eq!(name, "README.md", "migrations/ has a file that is no migration");
            continue;
        };
        let (version, what) = stem.split_once('_').unwrap();
        assert!([4, 14].contains(&version.len()), "{name}: four digits, or a timestamp of fourteen");
        let verb = what.split('_').next().unwrap();
        assert!(VERBS.contains(&verb), "{name}: begin with one of {VERBS:?}, or add a verb here");
        seen += 1;
    }
    assert!(seen >= 43, "only {seen} migrations were found");
}
