//! Processes that are killed.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use gristmill::{Settings, TestApp, prelude::*};

use crate::support::app;

#[derive(Debug, Serialize, Deserialize, Job)]
struct Count {
    n: i64,
}

async fn count(job: Count, mut tx: Tx) -> Result<i64, sqlx::Error> {
    sqlx::query("insert into counted (n) values ($1)").bind(job.n).execute(&mut *tx).await?;
    // Some of them are in the middle of it when their process is killed.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(job.n)
}

/// A process of the application: started, and killed, by the test below.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test below"]
async fn the_process() {
    App::from_env().job(count).run().await.unwrap();
}

fn start(settings: &Settings) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "crash::the_process"]);
    command.env("DATABASE_URL", settings.database_url.as_ref().unwrap());
    command.env("REDIS_URL", settings.redis_url.as_ref().unwrap());
    command
        .env("GRISTMILL_REDIS_NAMESPACE", &settings.namespace)
        .env("GRISTMILL_SLOTS", "4")
        .env("GRISTMILL_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How many effects there are, and of how many jobs.
async fn counted(test: &TestApp) -> (i64, i64) {
    sqlx::query_as("select count(*), count(distinct n) from counted").fetch_one(test.pool()).await.unwrap()
}

async fn until(test: &TestApp, effects: i64) {
    let reached = async {
        while counted(test).await.0 < effects {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effects_of_killed_processes_are_there_once() {
    const JOBS: i64 = 300;
    let test = app().job(count).test().await.unwrap();
    sqlx::query("create table counted (n bigint not null)").execute(test.pool()).await.unwrap();
    test.enqueue_all((0..JOBS).map(|n| Count { n })).await.unwrap();
    for killed_after in [40, 120] {
        let mut process = start(test.settings());
        until(&test, killed_after).await;
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let mut process = start(test.settings());
    until(&test, JOBS).await;
    let drained = test.drain().await.unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(counted(&test).await, (JOBS, JOBS));
    assert_eq!((drained.completed, drained.dead), (JOBS, 0));
}
