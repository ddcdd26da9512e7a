//! Statements that nobody waits for any more.

use std::time::Duration;

use gristmill_platform::{database, testing};
use sqlx::PgPool;

/// Far longer than this test may take: what ends before was not ended by it.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Waits until so many other sessions run a statement that has `what` in it.
async fn running(pool: &PgPool, what: &str, wanted: i64) {
    let sql = "select count(*) from pg_stat_activity
               where datname = current_database() and state = 'active' and pid <> pg_backend_pid() and query like $1";
    for _ in 0..1_200 {
        let found: i64 = sqlx::query_scalar(sql).bind(format!("%{what}%")).fetch_one(pool).await.unwrap();
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there were never {wanted} statements with {what}");
}

#[tokio::test]
async fn a_statement_ends_with_who_waits_for_it() {
    let stack = testing::stack().await;
    let pool = database::connect_for_requests(&stack.database(), PATIENCE).await.unwrap();
    // One that computes, one that sleeps in a transaction, and one that waits for a lock.
    sqlx::raw_sql("create table held (n int); insert into held values (1)").execute(&stack.pool).await.unwrap();
    let mut holder = stack.pool.begin().await.unwrap();
    sqlx::query("update held set n = 2").execute(&mut *holder).await.unwrap();
    let (computing, sleeping, locked) = (pool.clone(), pool.clone(), pool.clone());
    let tasks = [
        tokio::spawn(async move {
            let sql = "select count(*) from generate_series(1, 2000000000) a, generate_series(1, 2000000000) b";
            sqlx::query(sql).execute(&computing).await.map(drop)
        }),
        tokio::spawn(async move {
            let mut tx = sleeping.begin().await?;
            sqlx::query("select pg_sleep(3599)").execute(&mut *tx).await.map(drop)
        }),
        tokio::spawn(async move { sqlx::query("update held set n = 3").execute(&locked).await.map(drop) }),
    ];
    let looks = ["generate_series", "pg_sleep", "update held set n = 3"];
    for what in looks {
        running(&stack.pool, what, 1).await;
    }
    for task in tasks {
        task.abort();
    }
    for what in looks {
        running(&stack.pool, what, 0).await;
    }
    holder.rollback().await.unwrap();
    // Who held them has room again, and what is answered is not broken off.
    let all = (0..stack.database().database_pool).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move {
            sqlx::query_scalar::<_, i32>("select $1::int").bind(n.cast_signed()).fetch_one(&pool).await
        })
    });
    for (n, one) in all.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(one.await.unwrap().unwrap(), i32::try_from(n).unwrap());
    }
    let n: i32 = sqlx::query_scalar("select n from held").fetch_one(&pool).await.unwrap();
    assert_eq!(n, 1, "nothing of what was broken off has an effect");
}
