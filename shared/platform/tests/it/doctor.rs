use std::os::unix::fs::PermissionsExt;

use gristmill_platform::config::{DatabaseConfig, RedisConfig, StoreConfig};
use gristmill_platform::doctor::{self, Finding, Level};
use gristmill_platform::engines::Engines;
use gristmill_platform::{database, testing};

use crate::engines::open_folder;

fn level(findings: &[Finding], check: &str) -> Level {
    findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap_or_else(|| panic!("no {check} in {findings:#?}"))
        .level
}

#[tokio::test]
async fn private_engines_are_as_they_should_be() {
    let folder = open_folder();
    let engines = Engines::start(folder.path().join("data")).await.unwrap();
    let database = DatabaseConfig { database_url: Some(engines.database_url()), ..DatabaseConfig::default() };
    let redis = RedisConfig { redis_url: Some(engines.redis_url()), ..RedisConfig::default() };
    let objects = folder.path().join("objects");
    gristmill_platform::private::make_folder(&objects).unwrap();
    let store = StoreConfig { store_url: Some(objects.to_str().unwrap().to_owned()), ..StoreConfig::default() };

    let findings = doctor::examine(&database, &redis, &store).await;
    assert_eq!(level(&findings, "postgres.migrations"), Level::Fail);
    let pool = database::connect(&database).await.unwrap();
    database::migrate(&pool).await.unwrap();
    pool.close().await;

    let findings = doctor::examine(&database, &redis, &store).await;
    // how full the disk is, is not our doing
    let wrong: Vec<_> = findings.iter().filter(|f| f.level != Level::Ok && f.check != "store.space").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(findings.len() > 14, "{findings:#?}");
    engines.stop().await.unwrap();
}

#[tokio::test]
async fn what_loses_data_is_a_failure_and_what_is_slow_a_warning() {
    let engines = testing::engines().await;
    let stack = testing::stack_on(&engines).await;
    for statement in ["alter system set max_wal_size = '1GB'", "alter system set synchronous_commit = off"] {
        sqlx::query(statement).execute(&stack.pool).await.unwrap();
    }
    sqlx::query("alter system set checkpoint_timeout = '1min'").execute(&stack.pool).await.unwrap();
    sqlx::query("select pg_reload_conf()").execute(&stack.pool).await.unwrap();
    sqlx::query("update _sqlx_migrations set checksum = 'x' where version = 1").execute(&stack.pool).await.unwrap();
    let mut connection = stack.redis_connection().await;
    for (name, value) in [("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"), ("maxmemory", "1mb")] {
        let _: () = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query_async(&mut connection).await.unwrap();
    }
    let since = std::time::Instant::now();
    while sqlx::query_scalar::<_, String>("show synchronous_commit").fetch_one(&stack.pool).await.unwrap() != "off" {
        assert!(since.elapsed() < std::time::Duration::from_secs(60), "the settings are not read again");
    }

    let findings = doctor::examine(&stack.database(), &stack.redis(), &stack.store_config()).await;
    for check in [
        "postgres.fsync",
        "postgres.full_page_writes",
        "postgres.synchronous_commit",
        "postgres.migrations",
        "redis.maxmemory_policy",
        "redis.memory",
    ] {
        assert_eq!(level(&findings, check), Level::Fail, "{check}");
    }
    assert_eq!(level(&findings, "redis.appendonly"), Level::Warn);
    assert_eq!(level(&findings, "store.writable"), Level::Ok);
    for finding in findings {
        assert_eq!(finding.fix.is_empty(), finding.level == Level::Ok, "{finding:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let typo = folder.path().join("nonexist/x");
    let store = StoreConfig { store_url: Some(typo.to_str().unwrap().to_owned()), ..StoreConfig::default() };
    let findings = doctor::examine(&DatabaseConfig::default(), &RedisConfig::default(), &store).await;
    assert_eq!(level(&findings, "store.writable"), Level::Fail);
    assert!(!typo.exists() && !folder.path().join("nonexist").exists());
}

#[tokio::test]
async fn a_store_that_others_can_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    std::fs::write(objects.join("0"), "rows").unwrap();
    let store = StoreConfig { store_url: Some(objects.to_str().unwrap().to_owned()), ..StoreConfig::default() };
    for (mode, expected) in [(0o644, Level::Fail), (0o640, Level::Fail), (0o600, Level::Ok)] {
        std::fs::set_permissions(objects.join("0"), std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::set_permissions(&objects, std::fs::Permissions::from_mode(0o700)).unwrap();
        let findings = doctor::examine(&DatabaseConfig::default(), &RedisConfig::default(), &store).await;
        assert_eq!(level(&findings, "store.private"), expected, "{mode:o} {findings:#?}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_said() {
    let database = DatabaseConfig {
        database_url: Some("postgres://nobody:secret@127.0.0.1:1/none".into()),
        database_timeout: std::time::Duration::from_millis(300),
        ..DatabaseConfig::default()
    };
    let redis = RedisConfig { redis_url: Some("redis://:secret@127.0.0.1:1".into()), ..RedisConfig::default() };
    let store = StoreConfig { store_url: Some("/proc/gristmill".to_owned()), ..StoreConfig::default() };
    let findings = doctor::examine(&database, &redis, &store).await;
    for check in ["postgres.reachable", "redis.reachable", "store.writable"] {
        assert_eq!(level(&findings, check), Level::Fail, "{check}");
    }
    assert!(!format!("{findings:?}").contains("secret"), "{findings:?}");
    let findings = doctor::examine(&DatabaseConfig::default(), &RedisConfig::default(), &store).await;
    assert_eq!(level(&findings, "postgres.reachable"), Level::Fail);
}
