//! The example of a job of one's own runs beside the worker's.

use std::time::{Duration, Instant};

use gristmill_platform::config;
use gristmill_uploads::Policy;
use tokio_util::sync::CancellationToken;

use crate::harness::{HEADER, Harness, accepted};

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../../examples/custom_job.rs"]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_ones_own_runs_beside_those_of_the_worker() {
    let harness = Harness::new(1 << 20).await;
    let (pool, queue) = (&harness.env.pool, &harness.env.queue);
    sqlx::query("create table example_counts (client_id int not null, rows_accepted bigint not null)")
        .execute(pool)
        .await
        .unwrap();
    let file =
        format!("{HEADER}Elijah Santos,9558,e@example.com,7811,2024-01-19,ea23f2ca-663a-4266-a742-9da4c9f4fcb3\n");
    let upload = accepted(harness.receive(harness.new_upload(Policy::Partial), file).await);

    let stack = &harness.stack;
    let flags = [
        ("--database-url", &stack.database_url),
        ("--redis-url", &stack.redis_url),
        ("--redis-namespace", &stack.namespace),
        ("--store-url", &stack.store_url),
    ];
    let config = config::read(flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()])).unwrap();
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(example::run(config, shutdown.clone()));

    // The worker's own jobs: the upload is loaded and closed.
    harness.until(upload.id, |upload| upload.state == gristmill_uploads::State::Completed).await;

    let mut tx = pool.begin().await.unwrap();
    let enqueued = example::enqueue(&mut tx, queue, harness.client_id).await.unwrap();
    tx.commit().await.unwrap();
    queue.push(enqueued).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let counted = loop {
        let rows: Vec<i64> =
            sqlx::query_scalar("select rows_accepted from example_counts").fetch_all(pool).await.unwrap();
        if !rows.is_empty() || Instant::now() > deadline {
            break rows;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(counted, [1]);
    shutdown.cancel();
    working.await.unwrap().unwrap();
}
