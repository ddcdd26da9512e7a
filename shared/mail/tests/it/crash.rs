//! The one gap: the server has said `250`, and the process is gone before that is written down.

use std::time::Duration;

use gristmill_platform::testing::smtp::SmtpServer;
use sqlx::{Connection, PgConnection};

use crate::support::{Post, letters};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_after_the_250_sends_again_under_the_same_message_id() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    // Nobody can write down what the server says.
    let block = "create function block() returns trigger language plpgsql as $$
        begin if new.state = 'sent' then perform pg_sleep(60); end if; return new; end $$;
        create trigger block before update on mails for each row execute function block()";
    sqlx::raw_sql(block).execute(&post.stack.pool).await.unwrap();
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let url = post.stack.database_url.clone();
    let (config, store, turn) = (post.config.clone(), post.stack.store.clone(), post.turn());
    let (redis, namespace) = (post.stack.redis_url.clone(), post.stack.namespace.clone());
    process.spawn(async move {
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        let rate = gristmill_mail::Rate::connect(&redis, &namespace, 0.0).unwrap();
        let mailer = gristmill_mail::Mailer::new(&config, pool, store, rate).unwrap();
        mailer.deliver(&turn, letters(3)).await
    });
    while server.count() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.shutdown_background();

    let mut admin = PgConnection::connect(&post.stack.database_url).await.unwrap();
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like '%update mails%' and pid <> pg_backend_pid()",
    )
    .execute(&mut admin)
    .await
    .unwrap();
    sqlx::raw_sql("drop trigger block on mails").execute(&mut admin).await.unwrap();
    assert_eq!(post.count("sending").await, 3);

    // As long as it might be alive, nobody takes its mails.
    let mailer = post.mailer();
    assert_eq!(mailer.deliver(&post.turn(), letters(3)).await.unwrap().held, 3);
    sqlx::query("update mails set claimed_until = now() - interval '1 s'").execute(&mut admin).await.unwrap();
    assert_eq!(mailer.deliver(&post.turn(), letters(3)).await.unwrap().sent, 3);
    assert_eq!(server.count(), 6);
    assert_eq!(server.times().into_values().collect::<Vec<_>>(), [2, 2, 2], "three Message-IDs, each twice");
}
