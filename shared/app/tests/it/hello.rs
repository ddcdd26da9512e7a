//! The hello world is short, runs, and is what the README shows.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::support::app;

#[path = "../../examples/hello.rs"]
mod example;

/// The example itself, as a process: started by the tests below.
#[test]
#[ignore = "run by the tests below"]
fn the_example() {
    example::main().unwrap();
}

/// Starts it on these engines.
pub(crate) fn start(settings: &gristmill::Settings) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "hello::the_example"]);
    command.env("DATABASE_URL", settings.database_url.as_ref().unwrap());
    command.env("REDIS_URL", settings.redis_url.as_ref().unwrap());
    command.env("GRISTMILL_REDIS_NAMESPACE", &settings.namespace).env("GRISTMILL_LOG", "warn");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_hello_and_stops_when_it_is_asked_to() {
    let test = app().test().await.unwrap();
    let mut child = start(test.settings());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = tokio::task::spawn_blocking(move || {
        let said = lines.by_ref().map(|line| line.unwrap()).find(|line| line.contains("hello "));
        (said, lines)
    });
    let (said, lines) = tokio::time::timeout(std::time::Duration::from_secs(60), said).await.unwrap().unwrap();
    assert!(said.unwrap().ends_with("hello world"));
    let terminated = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(terminated.success());
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    let completed: i64 = sqlx::query_scalar("select count(*) from gristmill.jobs where state = 'completed'")
        .fetch_one(test.pool())
        .await
        .unwrap();
    assert_eq!(completed, 1);
}

#[test]
fn the_readme_shows_it_in_twenty_lines() {
    let (_, source) = include_str!("../../examples/hello.rs").split_once("\n\n").unwrap();
    let source = source.replace("pub(crate) ", "");
    assert!(
        include_str!("../../README.md").contains(&format!("```rust,no_run\n{source}```\n")),
        "README.md shows another one"
    );
    assert!(source.lines().count() <= 20, "it has {} lines", source.lines().count());
}
