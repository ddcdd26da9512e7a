//! Every statement whose text is in the source is one that Postgres understands on the schema of today: a column that was
//! renamed, or written wrongly, is found here and not when the statement is first run.

mod source;
mod text;

use gristmill_platform::testing::{Clock, stack};
use proc_macro2::TokenTree;
use source::{Statements, statements};
use sqlx::{Executor, PgPool};

use super::repository::{crates, root};

/// How many statements each crate puts together at run time, or is given as an argument, and why: these are run by tests and
/// are prepared by nothing here.
const BUILT: [(&str, usize, &str); 12] = [
    ("api", 1, "a page of debts by whatever it is asked for"),
    ("bench", 4, "names of databases and tables"),
    ("monitoring", 1, "`set` takes no parameters"),
    ("scheduler", 1, "the name of a table"),
    ("shared/app", 1, "the name of a test's database"),
    ("shared/billing", 3, "lists and totals by whatever they are asked for"),
    ("shared/claims", 2, "a list by whatever it is asked for; a statement of the same function"),
    ("shared/mail", 1, "a list by whatever it is asked for"),
    (
        "shared/platform",
        6,
        "`set` takes no parameters; the names of a database, of views, of large indexes and their tables",
    ),
    (
        "shared/queue",
        9,
        "lists by whatever they are asked for; one of some statements of the same file; the name of a schema",
    ),
    ("shared/uploads", 6, "the table of a kind of files, its segments, and that of rows that were replaced"),
    ("worker", 23, "the table of a kind of files, and its segments"),
];

/// Texts that are not prepared, by their beginning.
const NOT_PREPARED: [(&str, &str); 1] = [(
    "create schema test_clock",
    "one text of many statements and functions; this very test installs the clock by it",
)];

/// The query of a `copy (…) to stdout`, which Postgres does not look into when it prepares the whole; any other text as it is.
fn inside_copy(sql: &str) -> &str {
    let query = sql.strip_prefix("copy (").and_then(|rest| rest.rsplit_once(") to ")).map(|(query, _)| query);
    query.unwrap_or(sql)
}

/// The statements of a text, a few of which have more than one. A semicolon between quotes separates nothing.
fn single(sql: &str) -> Vec<&str> {
    let quotes = |at: usize| sql[..at].matches('\'').count();
    let ends = sql.match_indices(';').map(|(at, _)| at).filter(|at| quotes(*at) % 2 == 0);
    let bounds: Vec<usize> = ends.chain([sql.len()]).collect();
    let starts = std::iter::once(0).chain(bounds.iter().map(|at| at + 1));
    let parts = starts.zip(&bounds).map(|(start, end)| sql[start..*end].trim());
    parts.filter(|statement| !statement.is_empty()).collect()
}

/// The statements that Postgres does not understand, with what it says. Tables that the source itself creates (temporary
/// ones, and those of `gristmill chaos`) are created first.
async fn not_understood(pool: &PgPool, statements: &Statements) -> Vec<String> {
    let mut connection = pool.acquire().await.unwrap();
    let texts = || {
        statements.known.iter().filter(|(.., sql)| !NOT_PREPARED.iter().any(|(start, _)| sql.trim().starts_with(start)))
    };
    for (.., sql) in texts() {
        if ["create table ", "create temporary table "].iter().any(|start| sql.trim().starts_with(start)) {
            sqlx::raw_sql(sql).execute(&mut *connection).await.unwrap();
        }
    }
    let mut found = Vec::new();
    for (path, line, sql) in texts() {
        for statement in single(sql) {
            if let Err(error) = connection.prepare(inside_copy(statement)).await {
                found.push(format!("{}:{line}: {error}", path.strip_prefix(root()).unwrap_or(path).display()));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_understands_every_statement_of_the_source() {
    let stack = stack().await;
    Clock::install(&stack.pool).await;
    let (mut known, mut wrong, mut built) = (0, Vec::new(), Vec::new());
    for (name, files) in crates() {
        let statements = statements(&files);
        known += statements.known.len();
        wrong.extend(not_understood(&stack.pool, &statements).await);
        let listed = BUILT.iter().find(|(of, ..)| *of == name).map_or(0, |(_, n, _)| *n);
        if statements.built.len() != listed {
            built.push(format!("{name}: {listed} are listed, {} are there:", statements.built.len()));
            let places = statements
                .built
                .iter()
                .map(|(path, line, how)| format!("  {}:{line}: {how}", path.strip_prefix(root()).unwrap().display()));
            built.extend(places);
        }
    }
    assert!(wrong.is_empty(), "{} of {known} statements cannot be prepared:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        built.is_empty(),
        "statements that are put together at run time are checked by nothing but the tests that run them. Write the \
         statement whole (`concat!`, a constant, a `.sql` file), or run it in a test and count it in BUILT:\n{}",
        built.join("\n")
    );
    assert!(known > 400, "only {known} statements were found");
}

/// Lines that a statement in Rust may have. A longer one stands in a `.sql` file beside its caller, where editors know it.
const MAX_LINES: usize = 25;

/// The lines at which literals with a statement of more than [`MAX_LINES`] begin.
fn long(source: proc_macro2::TokenStream, found: &mut Vec<usize>) {
    for token in source {
        match token {
            TokenTree::Group(group) => long(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let sql =
                    ["select ", "insert ", "update ", "delete ", "create "].iter().any(|verb| text.contains(verb));
                if sql && text.lines().count() > MAX_LINES {
                    found.push(literal.span().start().line);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

#[test]
fn a_statement_longer_than_a_screen_stands_in_a_file() {
    let mut places = Vec::new();
    for (path, text) in crates().into_values().flatten() {
        let mut found = Vec::new();
        long(text.parse().unwrap(), &mut found);
        places.extend(found.iter().map(|line| format!("{}:{line}", path.strip_prefix(root()).unwrap().display())));
    }
    assert!(places.is_empty(), "move each to a `.sql` file beside it, and `include_str!` that: {places:#?}");

    let sql = |lines: usize| format!("select 1{}", ",\n1".repeat(lines - 1));
    for (lines, expected) in [(MAX_LINES, vec![]), (MAX_LINES + 1, vec![2])] {
        let mut found = Vec::new();
        long(format!("fn it() {{\n sqlx::query(\"{}\"); }}", sql(lines)).parse().unwrap(), &mut found);
        assert_eq!(found, expected, "{lines} lines");
    }
}

/// A source with a mistake in each way to write a statement down; the line of each begins with its number.
const MISTAKES: &str = r##"
    const ENDED: &str = "select id from gristmill.jobs where finished_att < $1";
    macro_rules! columns { () => { "id, nam" } }
    macro_rules! jobs { ($rest:literal) => { concat!("select id from gristmill.jobs ", $rest) } }
    const COLUMNS: &str = "id, stat";
    async fn run(pool: &PgPool, table: &str) -> Result<(), sqlx::Error> {
        sqlx::query("select idd from gristmill.jobs").execute(pool).await?;
        sqlx::query(concat!("select ", columns!(), " from gristmill.jobs")).execute(pool).await?;
        sqlx::query_as(jobs!("where idd = $1")).fetch_one(pool).await?;
        let sql = format!("select {COLUMNS} from gristmill.jobs");
        sqlx::query_scalar(&sql).fetch_one(pool).await?;
        let all = tokio::join!(sqlx::query("delete from job where id = $1").execute(pool), other());
        pool.copy_out_raw("copy (select idd from gristmill.jobs) to stdout").await?;
        sqlx::query(include_str!("wrong.sql")).execute(pool).await?;
        sqlx::query("update gristmill.jobs set state = 'x' where id = $1").execute(pool).await?;
        sqlx::query(&format!("analyze {table}")).execute(pool).await?;
        let mut more = sqlx::QueryBuilder::new("select id from gristmill.jobs where ");
        more.push("idd = 1");
        sqlx::query(table).execute(pool).await?;
        Err(Refused("select a file, or set one"))
    }
    #[cfg(test)]
    mod tests { fn wrong() { sqlx::query("select idd from gristmill.jobs"); } }
"##;

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_found_however_the_statement_is_written() {
    let stack = stack().await;
    std::fs::write(stack.dir.join("wrong.sql"), "-- why\nselect id, namee from gristmill.jobs").unwrap();
    let file = stack.dir.join("source.rs");
    let found = statements(&[(file.clone(), MISTAKES.to_owned())]);
    let lines = |lines: Vec<usize>| lines.into_iter().map(|line| (file.clone(), line)).collect::<Vec<_>>();

    let wrong = not_understood(&stack.pool, &found).await;
    let places: Vec<&str> = wrong.iter().map(|error| error.rsplit_once(": error").unwrap().0).collect();
    let expected = lines(vec![2, 7, 8, 9, 10, 11, 12, 13, 14]);
    let expected: Vec<String> = expected.iter().map(|(path, line)| format!("{}:{line}", path.display())).collect();
    assert_eq!(places, expected, "{wrong:#?}");

    let built: Vec<_> = found.built.iter().map(|(path, line, _)| (path.clone(), *line)).collect();
    assert_eq!(built, lines(vec![16, 17, 19]));
}
