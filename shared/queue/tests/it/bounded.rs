//! What is read of a ledger costs the same however much is in it: rows that Postgres looked at, not time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use gristmill_queue::{Job, JobFilter, Options, Queue, QueueError, Worker};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::{LONG, config, test_queue, until, work};

/// A queue whose every statement goes through one connection, which can be told to say what it did.
async fn counted() -> (Queue, PgPool, gristmill_platform::testing::Stack) {
    let test = test_queue().await;
    let options = test.pool.connect_options().as_ref().clone();
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    (Queue::connect(pool.clone(), config(&test.stack)).await.unwrap(), pool, test.stack)
}

/// Rows and index entries of jobs that were read so far.
async fn read(pool: &PgPool) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()").execute(pool).await.unwrap();
    sqlx::query_scalar(
        "select (t.seq_tup_read + (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid))::bigint
         from pg_stat_user_tables t where t.relid = 'gristmill.jobs'::regclass",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn visited(pool: &PgPool, deed: impl Future<Output = Result<(), QueueError>>) -> i64 {
    let before = read(pool).await;
    deed.await.unwrap();
    read(pool).await - before
}

async fn insert(pool: &PgPool, jobs: i32, state: &str, queue: &str) {
    sqlx::query(
        "insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, run_at, finished_at)
         select gen_random_uuid(), 'n', $3, 4, '{}', $2, 8, now() - interval '1 minute',
                case when $2 in ('completed', 'dead') then now() end from generate_series(1, $1)",
    )
    .bind(jobs)
    .bind(state)
    .bind(queue)
    .execute(pool)
    .await
    .unwrap();
}

async fn depth(queue: &Queue) -> i64 {
    let depths = queue.depths().await.unwrap();
    depths.iter().find(|depth| depth.queue == "large" && depth.state == "available").unwrap().jobs
}

#[tokio::test]
async fn depths_and_a_pause_read_no_more_of_a_long_backlog() {
    let (queue, pool, _stack) = counted().await;
    insert(&pool, 20_000, "completed", "large").await;
    insert(&pool, 20_000, "available", "large").await;
    let since = Instant::now();
    insert(&pool, 30, "dead", "small").await;
    let shorter = visited(&pool, async { queue.depths().await.map(drop) }).await;
    insert(&pool, 100_000, "available", "large").await;
    let longer = visited(&pool, async { queue.depths().await.map(drop) }).await;
    let paused = visited(&pool, async { queue.queues().pause("large").await.map(drop) }).await;
    for (what, rows) in [("20,000 jobs", shorter), ("120,000 jobs", longer), ("a pause", paused)] {
        assert!((10_000..11_000).contains(&rows), "{rows} rows were read for {what}");
    }
    assert!(depth(&queue).await > 10_000);
    // Beyond what is counted it says about how many.
    sqlx::query("analyze gristmill.jobs").execute(&pool).await.unwrap();
    let about = depth(&queue).await;
    assert!((100_000..140_000).contains(&about), "{about}");
    let depths = queue.depths().await.unwrap();
    let small: Vec<_> = depths.iter().filter(|depth| depth.queue == "small").collect();
    // They are as old as their end, and not as their start, which was a minute before.
    let oldest = since.elapsed().as_secs_f64() + 30.0;
    assert!(small.len() == 1 && small[0].jobs == 30 && small[0].oldest_seconds < oldest, "{small:?}");
}

#[tokio::test]
async fn a_page_of_a_tag_reads_a_page_however_many_have_it() {
    let (queue, pool, _stack) = counted().await;
    // The rare ones are the oldest, and behind all others in the order of a list.
    for (jobs, tag) in [(40, "rare"), (60_000, "common")] {
        sqlx::query(
            "insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, tags)
             select gristmill.uuid7(), 'n', 'large', 4, '{}', 'available', 8, array[$2::text] from generate_series(1, $1)",
        )
        .bind(jobs)
        .bind(tag)
        .execute(&pool)
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sqlx::query("analyze gristmill.jobs, gristmill.job_tags").execute(&pool).await.unwrap();
    let page = async |tag: &str, expected: usize| {
        let filter = JobFilter { tag: Some(tag.into()), ..JobFilter::default() };
        let page = queue.jobs().list(&filter, None, 50).await?;
        assert_eq!(page.jobs.len(), expected, "{tag}");
        Ok(())
    };
    for (tag, expected) in [("common", 50), ("rare", 40), ("none", 0)] {
        let rows = visited(&pool, page(tag, expected)).await;
        assert!(rows <= 4 * 51, "{rows} rows were read for a page of `{tag}`");
    }
    assert_eq!(
        queue.jobs().count(&JobFilter { tag: Some("rare".into()), ..JobFilter::default() }).await.unwrap().jobs,
        40
    );
}

#[tokio::test]
async fn a_prune_goes_by_the_end_of_jobs_and_walks_over_no_dead_ones() {
    let (queue, pool, _stack) = counted().await;
    // (Their ids are random: those of version 7 would say when they were made.)
    insert(&pool, 30_000, "dead", "large").await;
    insert(&pool, 100, "completed", "large").await;
    sqlx::query("analyze gristmill.jobs, groups").execute(&pool).await.unwrap();
    let rows = visited(&pool, async {
        let pruned = queue.prune(Duration::ZERO).await?;
        assert_eq!(pruned.jobs, 100);
        Ok(())
    })
    .await;
    assert!(rows < 2_000, "{rows} rows were read");
    // Those that a group keeps are not walked over either, though its other members go.
    sqlx::query(
        "insert into gristmill.groups (id, policy, total, state, sealed, finished_at)
         values (gen_random_uuid(), 'continue', 30000, 'failed', true, now() - interval '1 day')",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("update gristmill.jobs set group_id = (select id from gristmill.groups)").execute(&pool).await.unwrap();
    insert(&pool, 100, "completed", "large").await;
    sqlx::query("update gristmill.jobs set group_id = (select id from gristmill.groups) where state = 'completed'")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("analyze gristmill.jobs, groups").execute(&pool).await.unwrap();
    let rows = visited(&pool, async {
        let pruned = queue.prune(Duration::ZERO).await?;
        assert_eq!((pruned.jobs, pruned.groups), (100, 0));
        Ok(())
    })
    .await;
    assert!(rows < 2_000, "{rows} rows were read of a group");
    let rows = visited(&pool, async {
        assert_eq!(queue.prune_dead(Duration::from_secs(3_600)).await?, 0);
        Ok(())
    })
    .await;
    assert!(rows < 100, "{rows} rows were read");
    sqlx::query(
        "update gristmill.jobs set finished_at = now() - interval '2 hours' where id in (select id from gristmill.jobs limit 5000)",
    )
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(queue.prune_dead(Duration::from_secs(3_600)).await.unwrap(), 5_000);
}

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Job for Nothing {
    const NAME: &'static str = "nothing";
}

#[tokio::test]
async fn a_burst_is_found_by_its_ids_where_statistics_know_of_an_idle_queue() {
    const BURST: u64 = 5_000;
    let (queue, pool, _stack) = counted().await;
    insert(&pool, 10_000, "completed", "default").await;
    let done = Arc::new(AtomicU64::new(0));
    let worker = {
        let done = Arc::clone(&done);
        Worker::builder(&queue).queue("default", 64).register::<Nothing>(move |_, _| {
            done.fetch_add(1, Relaxed);
            async { Ok(()) }
        })
    };
    let worker = worker.build();
    let _running = work(&worker);
    let ended = async |number: u64| {
        until("all ran", LONG, async || done.load(Relaxed) >= number).await;
        let left = "select count(*) = 0 from gristmill.jobs where state = 'available'";
        until("all are done", LONG, async || sqlx::query_scalar(left).fetch_one(&pool).await.unwrap()).await;
    };
    // Some alone, so that Postgres keeps its plans for them.
    for n in 1..=20 {
        let mut tx = pool.begin().await.unwrap();
        let enqueued = queue.enqueue(&mut tx, &Nothing, &Options::default()).await.unwrap();
        tx.commit().await.unwrap();
        queue.push(enqueued).await;
        ended(n).await;
    }
    sqlx::query("analyze gristmill.jobs").execute(&pool).await.unwrap();
    let before = read(&pool).await;
    let jobs: Vec<Nothing> = (0..BURST).map(|_| Nothing).collect();
    let mut tx = pool.begin().await.unwrap();
    let enqueued = queue.enqueue_all(&mut tx, &jobs, &Options::default()).await.unwrap();
    tx.commit().await.unwrap();
    queue.push(enqueued).await;
    until("all ran", LONG, async || done.load(Relaxed) >= 20 + BURST).await;
    let rows = read(&pool).await - before;
    assert!(rows < 50 * BURST.cast_signed(), "{rows} rows and entries were read for {BURST} jobs");
    ended(20 + BURST).await;
}
