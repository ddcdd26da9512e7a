//! What is done once, as a role starts, waits for a database that goes away in that moment.

use std::time::Duration;

use gristmill_platform::{config::DatabaseConfig, database, engines::Engine, testing};
use gristmill_queue::{is_outage, through_outage};

const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn work_is_done_when_the_database_is_back() {
    let mut engines = testing::engines().await;
    let config = DatabaseConfig { database_url: Some(engines.database_url()), ..DatabaseConfig::default() };
    let pool = database::connect(&config).await.unwrap();
    engines.kill(Engine::Postgres).await.unwrap();
    let (tried, mut tries) = tokio::sync::mpsc::unbounded_channel();
    let work = tokio::spawn({
        let pool = pool.clone();
        async move {
            through_outage(LONG, |again| {
                tried.send(again).unwrap();
                sqlx::query_scalar::<_, i32>("select 1").fetch_one(&pool)
            })
            .await
        }
    });
    // It has failed once by the time that it is tried again.
    assert_eq!((tries.recv().await, tries.recv().await), (Some(false), Some(true)));
    engines.restart(Engine::Postgres).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_work_itself_is_told_at_once_and_an_outage_when_the_time_is_over() {
    let mut engines = testing::engines().await;
    let config = DatabaseConfig { database_url: Some(engines.database_url()), ..DatabaseConfig::default() };
    let pool = database::connect(&config).await.unwrap();
    let mut tries = 0;
    let wrong = through_outage(LONG, |_| {
        tries += 1;
        sqlx::query("select nothing").execute(&pool)
    });
    assert!(wrong.await.unwrap_err().to_string().contains("nothing"));
    assert_eq!(tries, 1);
    engines.kill(Engine::Postgres).await.unwrap();
    let away = through_outage(Duration::from_millis(250), |_| sqlx::query("select 1").execute(&pool)).await;
    assert!(is_outage(&away.unwrap_err()));
}
