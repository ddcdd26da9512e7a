use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use gristmill_platform::engines::{Engine, EngineError, Engines};
use gristmill_platform::{private, testing};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};

/// A folder that Postgres' user can reach when root runs the tests.
pub(crate) fn open_folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

async fn postgres(engines: &Engines) -> PgConnection {
    PgConnection::connect(engines.database_url().expose_secret()).await.unwrap()
}

async fn redis(engines: &Engines) -> redis::aio::MultiplexedConnection {
    testing::redis_connection(engines.redis_url().expose_secret()).await
}

/// Asks again while the folder is in use, but not for ever: a process that another test starts at this moment holds what was
/// open here, until it becomes another program.
pub(crate) async fn when_free<T>(ask: impl AsyncFn() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let begin = Instant::now();
    loop {
        match ask().await {
            Err(EngineError::InUse { .. }) if begin.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

async fn get(engines: &Engines, key: &str) -> Option<String> {
    redis::cmd("GET").arg(key).query_async(&mut redis(engines).await).await.unwrap()
}

#[tokio::test]
async fn a_stack_is_fresh_and_migrated() {
    let one = testing::stack().await;
    let two = testing::stack().await;
    assert_ne!(one.namespace, two.namespace);
    sqlx::query("insert into clients (name) values ('x')").execute(&one.pool).await.unwrap();
    let there: i64 = sqlx::query_scalar("select count(*) from clients").fetch_one(&two.pool).await.unwrap();
    assert_eq!(there, 0);
}

#[tokio::test]
async fn data_and_addresses_outlive_a_stop() {
    let folder = open_folder();
    let data = folder.path().join("deep/data");
    let first = Engines::start(&data).await.unwrap();
    sqlx::query("create table kept (n int)").execute(&mut postgres(&first).await).await.unwrap();
    let _: () = redis::cmd("SET").arg("kept").arg("yes").query_async(&mut redis(&first).await).await.unwrap();
    let urls = (first.database_url().expose_secret().to_owned(), first.redis_url().expose_secret().to_owned());

    let Err(refused) = Engines::start(&data).await else { panic!("two on one folder") };
    assert!(matches!(&refused, EngineError::InUse { pid, .. } if *pid == std::process::id().to_string()), "{refused}");
    assert!(matches!(Engines::delete(&data), Err(EngineError::InUse { .. })));

    let pidfile = first.postgres_dir().join("data/postmaster.pid");
    first.stop().await.unwrap();
    // as a crash of the machine leaves it, and now the number is another program's
    std::fs::write(&pidfile, "1\n").unwrap();
    let begin = Instant::now();
    let second = when_free(async || Engines::start(&data).await).await.unwrap();
    println!("started again in {:?}", begin.elapsed());
    assert_eq!(urls, (second.database_url().expose_secret().to_owned(), second.redis_url().expose_secret().to_owned()));
    sqlx::query("select n from kept").fetch_all(&mut postgres(&second).await).await.unwrap();
    assert_eq!(get(&second, "kept").await.as_deref(), Some("yes"));
    second.stop().await.unwrap();

    when_free(async || Engines::delete(&data)).await.unwrap();
    assert!(!data.exists());
}

#[tokio::test]
async fn a_password_is_asked_for_and_kept_from_others() {
    let engines = testing::engines().await;
    let secret = engines.database_url().expose_secret().to_owned();
    let (user, rest) = secret.split_once("gristmill:").unwrap();
    let guess = format!("{user}gristmill:wrong@{}", rest.split_once('@').unwrap().1);
    let refused = PgConnection::connect(&guess).await.unwrap_err();
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    let mode = std::fs::metadata(engines.data_dir().join("engines.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn nobody_else_may_look_into_a_data_folder() {
    let folder = open_folder();
    let data = folder.path().join("data");
    // As an earlier version left it.
    let open = |mode| std::fs::Permissions::from_mode(mode);
    for made in ["objects/mail/1.eml", "gristmill.log", "redis/old.aof", "objects/uploads/7/0"] {
        let path = data.join(made);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "a customer's data").unwrap();
        std::fs::set_permissions(&path, open(0o644)).unwrap();
        std::fs::set_permissions(path.parent().unwrap(), open(0o755)).unwrap();
    }
    std::fs::set_permissions(&data, open(0o755)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", data.join("link")).unwrap();
    assert_eq!(private::open_entries(&data).unwrap().unwrap().0, 10);
    let engines = Engines::start(&data).await.unwrap();
    let _: () = redis::cmd("SET").arg("k").arg("v").query_async(&mut redis(&engines).await).await.unwrap();
    assert_eq!(private::open_entries(&data).unwrap(), None);
    let mode = std::fs::metadata(&data).unwrap().permissions().mode() & 0o777;
    let group = std::fs::metadata(data.join("gristmill.log")).unwrap().permissions().mode() & 0o777;
    // Postgres' user may pass through where that is another one.
    let expected = if rustix::process::geteuid().is_root() { 0o710 } else { 0o700 };
    assert_eq!((mode, group), (expected, 0o600), "{mode:o} {group:o}");
    let linked = std::fs::metadata("/etc/passwd").unwrap().permissions().mode() & 0o777;
    assert_eq!(linked, 0o644, "what a link leads to is left alone");
    engines.stop().await.unwrap();
    assert_eq!(private::open_entries(&data).unwrap(), None);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_list_of_processes_names_the_scripts_that_run_and_does_not_show_them() {
    let engines = testing::engines().await;
    let folder = engines.data_dir().to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
        let line = String::from_utf8(std::fs::read(process.path().join("cmdline")).ok()?).ok()?.replace('\0', " ");
        (line.starts_with("/bin/sh") && line.contains(folder)).then_some(line)
    });
    let lines: Vec<String> = lines.collect();
    for name in ["gristmill-guard", "gristmill-janitor"] {
        assert!(lines.iter().any(|line| line.contains(name)), "{name}: {lines:?}");
    }
    assert!(lines.iter().all(|line| !line.contains(['#', '\n'])), "{lines:?}");
}

#[tokio::test]
async fn killed_engines_come_back_where_they_were() {
    let mut engines = testing::engines().await;
    sqlx::query("create table kept (n int)").execute(&mut postgres(&engines).await).await.unwrap();
    assert_eq!(engines.ended(), None);
    engines.kill(Engine::Postgres).await.unwrap();
    assert_eq!(engines.ended(), Some(Engine::Postgres));
    assert!(PgConnection::connect(engines.database_url().expose_secret()).await.is_err());
    engines.restart(Engine::Postgres).await.unwrap();
    sqlx::query("select n from kept").fetch_all(&mut postgres(&engines).await).await.unwrap();

    let _: () = redis::cmd("SET").arg("k").arg("v").query_async(&mut redis(&engines).await).await.unwrap();
    engines.restart(Engine::Redis).await.unwrap();
    assert_eq!(get(&engines, "k").await.as_deref(), Some("v"));
    engines.lose_redis().await.unwrap();
    assert_eq!(get(&engines, "k").await, None);
    assert_eq!(engines.ended(), None);
}

#[tokio::test]
async fn a_temporary_folder_goes_with_its_engines() {
    let engines = testing::engines().await;
    let folder = engines.data_dir().to_path_buf();
    drop(engines);
    assert!(gone(&folder).await, "{} is still there", folder.display());
}

#[tokio::test]
async fn root_puts_postgres_where_its_user_can_go() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let only_for_us = std::fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().permissions(only_for_us).tempdir().unwrap();
    let data = folder.path().join("data");
    let engines = Engines::start(&data).await.unwrap();
    let elsewhere = engines.postgres_dir().to_path_buf();
    assert!(elsewhere.starts_with("/var/lib/gristmill"), "{}", elsewhere.display());
    sqlx::query("create table kept (n int)").execute(&mut postgres(&engines).await).await.unwrap();
    engines.stop().await.unwrap();
    let engines = when_free(async || Engines::start(&data).await).await.unwrap();
    sqlx::query("select n from kept").fetch_all(&mut postgres(&engines).await).await.unwrap();
    engines.stop().await.unwrap();
    when_free(async || Engines::delete(&data)).await.unwrap();
    assert!(!elsewhere.exists());
}

pub(crate) async fn gone(path: &Path) -> bool {
    let begin = Instant::now();
    while path.exists() {
        if begin.elapsed() > Duration::from_secs(90) {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}
