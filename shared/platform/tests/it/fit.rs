//! Engines that answer and cannot be used.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gristmill_platform::broker::{self, BrokerError, Refused, Unfit};
use gristmill_platform::config::{DatabaseConfig, RedisConfig};
use gristmill_platform::database::{self, DatabaseError, NotReady};
use gristmill_platform::doctor::{self, Finding, Level};
use gristmill_platform::testing;

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_redis_cluster_is_refused() {
    // Its bus has a port of its own, 10,000 above unless told.
    let bus = free_port().to_string();
    let (refused, findings) = refused(&["--cluster-port", &bus, "--cluster-enabled", "yes", "--save", ""]).await;
    assert!(matches!(refused, BrokerError::Refused(Refused::Unfit(Unfit::Cluster))), "{refused}");
    assert!(refused.advice().is_some());
    assert!(findings.iter().any(|found| found.level == Level::Fail && found.what.contains("a Cluster")));
}

#[tokio::test]
async fn a_redis_sentinel_is_refused() {
    let (refused, findings) = refused(&["--sentinel"]).await;
    assert!(matches!(refused, BrokerError::Refused(Refused::Unfit(Unfit::Sentinel))), "{refused}");
    assert!(refused.advice().is_some());
    assert!(findings.iter().any(|found| found.level == Level::Fail && found.what.contains("a Redis Sentinel")));
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a start and the doctor say of a Redis that is started like this.
async fn refused(arguments: &[&str]) -> (BrokerError, Vec<Finding>) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let settings = folder.path().join("redis.conf");
    // A Sentinel writes into it.
    std::fs::write(&settings, format!("port {port}\nbind 127.0.0.1\n")).unwrap();
    let mut server = Command::new("redis-server");
    server.arg(&settings).args(arguments).current_dir(folder.path());
    let _server = Stopped(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let config = RedisConfig { redis_url: Some(format!("redis://127.0.0.1:{port}").into()), ..RedisConfig::default() };
    let mut tries = 0;
    let refused = loop {
        match broker::refuse_unfit(&config).await {
            Err(error) => break error,
            Ok(()) if tries > 600 => panic!("it is taken"),
            Ok(()) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    };
    let stack = testing::stack().await;
    (refused, doctor::examine(&stack.database(), &config, &stack.store_config()).await)
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_or_throws_work_away_is_refused() {
    let engines = testing::engines().await;
    let stack = testing::stack_on(&engines).await;
    broker::refuse_unfit(&stack.redis()).await.unwrap();
    let mut connection = stack.redis_connection().await;
    for words in [&["CONFIG", "SET", "maxmemory", "100mb"][..], &["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]]
    {
        let _: () = redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap();
    }
    let refused = broker::refuse_unfit(&stack.redis()).await.unwrap_err();
    assert!(
        matches!(&refused, BrokerError::Refused(Refused::Unfit(Unfit::Evicts(policy))) if policy == "volatile-lru"),
        "{refused}"
    );
    let _: () = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory-policy", "noeviction"])
        .query_async(&mut connection)
        .await
        .unwrap();
    broker::refuse_unfit(&stack.redis()).await.unwrap();
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).query_async(&mut connection).await.unwrap();
    let refused = broker::refuse_unfit(&stack.redis()).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused(Refused::Unfit(Unfit::Replica))), "{refused}");
    let findings = doctor::examine(&stack.database(), &stack.redis(), &stack.store_config()).await;
    let found = findings.iter().find(|finding| finding.check == "redis.fit").unwrap();
    assert_eq!((found.level, found.what.as_str()), (Level::Fail, "this Redis is a read-only replica"));
}

#[tokio::test]
async fn a_postgres_that_takes_no_writes_is_refused() {
    let stack = testing::stack().await;
    database::ready(&stack.pool).await.unwrap();
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&stack.pool).await.unwrap();
    let set = format!("alter database \"{name}\" set default_transaction_read_only = on");
    sqlx::raw_sql(&set).execute(&stack.pool).await.unwrap();
    let config = DatabaseConfig { database_timeout: Duration::from_secs(5), ..stack.database() };
    let refused = database::connect(&config).await.unwrap_err();
    assert!(matches!(refused, DatabaseError::ReadOnly { .. }), "{refused}");
    let pool = database::connect_lazily(&config).unwrap();
    let refused = database::ready(&pool).await.unwrap_err();
    assert!(matches!(refused, NotReady::ReadOnly), "{refused}");
    let findings = doctor::examine(&config, &stack.redis(), &stack.store_config()).await;
    assert!(findings.iter().any(|finding| finding.level == Level::Fail && finding.what.contains("read-only")));
}

#[tokio::test]
async fn tls_that_is_not_built_in_is_said() {
    let redis = RedisConfig { redis_url: Some("rediss://:secret@127.0.0.1:1/".into()), ..RedisConfig::default() };
    let refused = broker::refuse_unfit(&redis).await.unwrap_err();
    assert!(refused.to_string().contains("rediss://") && !format!("{refused:?}").contains("secret"), "{refused:?}");
    let findings = doctor::examine(&DatabaseConfig::default(), &redis, &testing::stack().await.store_config()).await;
    let found = findings.iter().find(|finding| finding.check == "redis.reachable").unwrap();
    assert!(found.what.contains("not built in") && found.fix.contains("stunnel"), "{found:?}");
}
