use std::time::Instant;

use gristmill_platform::testing;

#[tokio::test]
async fn a_stack_is_fresh_and_migrated() {
    let begin = Instant::now();
    let one = testing::stack().await;
    println!("first stack after {:?}", begin.elapsed());
    let begin = Instant::now();
    let two = testing::stack().await;
    println!("second stack after {:?}", begin.elapsed());
    assert_ne!(one.namespace, two.namespace);
    sqlx::query("insert into clients (name) values ('x')").execute(&one.pool).await.unwrap();
    let there: i64 = sqlx::query_scalar("select count(*) from clients").fetch_one(&two.pool).await.unwrap();
    assert_eq!(there, 0);
}
