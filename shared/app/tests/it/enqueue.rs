//! What can be said of a job that is enqueued.

use std::time::Duration;

use gristmill::queue::{GroupPolicy, NewGroup};
use gristmill::{Backoff, Unique, prelude::*};

use crate::support::{Add, add, app};

const ONE: Add = Add { a: 1, b: 1 };
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn options_stand_in_the_ledger() {
    let app = app().job(add).test().await.unwrap();
    let queue = app.queue().unwrap();
    let mut tx = queue.pool().begin().await.unwrap();
    let group = queue.create_group(&mut tx, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
    tx.commit().await.unwrap();
    let job = app
        .enqueue(ONE)
        .delay(DAY)
        .priority(1)
        .max_attempts(7)
        .unique_key("one")
        .fair_key("shop-1")
        .group(group)
        .queue("bulk")
        .timeout(Duration::from_secs(7))
        .backoff(Backoff::Fixed { delay: Duration::from_secs(3) })
        .expires_in(DAY)
        .retain(DAY)
        .tag("signup")
        .tag("beta")
        .await
        .unwrap();
    let found = queue.jobs().get(job.id().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.job.queue, "bulk");
    let (tags, timeout): (Vec<String>, Option<i64>) =
        sqlx::query_as("select tags, timeout_ms::bigint from gristmill.jobs where id = $1")
            .bind(job.id())
            .fetch_one(app.pool())
            .await
            .unwrap();
    assert_eq!((tags, timeout), (vec!["signup".to_owned(), "beta".to_owned()], Some(7_000)));
    assert_eq!((found.job.priority, found.job.max_attempts, found.job.group_id), (1, 7, Some(group)));
    assert_eq!((found.unique_key.as_deref(), found.fair_key.as_deref()), (Some("one"), Some("shop-1")));
    assert!(found.job.run_at > found.job.created_at + Duration::from_secs(86_000));

    let again = app.enqueue(ONE).unique_key("one").await.unwrap();
    assert_eq!((again.is_new(), again.replaced(), again.id()), (false, false, job.id()));
    let replaced = app.enqueue(Add { a: 2, b: 2 }).unique_key("one").unique_mode(UniqueMode::Replace).await.unwrap();
    assert_eq!((replaced.is_new(), replaced.replaced(), replaced.id()), (false, true, job.id()));
    let ordered = app.enqueue(ONE).order_key("account-7").await.unwrap();
    let found = queue.jobs().get(ordered.id().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.order_key.as_deref(), Some("account-7"));
    let at = app.clock().now().await + DAY;
    let later = app.enqueue(ONE).run_at(at).await.unwrap();
    let found = queue.jobs().get(later.id().unwrap()).await.unwrap().unwrap();
    assert!(later.is_new() && found.job.run_at.duration_since(at).as_millis().abs() < 1);
}

#[tokio::test]
async fn a_delay_passes_by_the_clock_of_the_test() {
    let app = app().job(add).test().await.unwrap();
    app.enqueue(ONE).delay(DAY).await.unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 0);
    app.advance(DAY).await.unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 1);
}

#[tokio::test]
async fn a_job_waits_in_the_queue_that_it_is_given() {
    let app = app().job(add).queue("bulk", |q| q.slots(1)).test().await.unwrap();
    let job = app.enqueue(ONE).queue("bulk").timeout(Duration::from_secs(5)).await.unwrap();
    assert_eq!(app.queue().unwrap().broker_depth("bulk").await.unwrap(), (1, 0));
    app.drain().await.unwrap();
    assert_eq!(job.wait::<i64>(DAY).await.unwrap(), 2);
}

#[tokio::test]
async fn once_a_day() {
    let app = app().job(add).test().await.unwrap();
    let unique = || Unique::within("sum", DAY);
    assert!(app.enqueue(ONE).unique(unique()).await.unwrap().is_new());
    app.drain().await.unwrap();
    assert!(!app.enqueue(ONE).unique(unique()).await.unwrap().is_new());
    app.advance(DAY + Duration::from_secs(1)).await.unwrap();
    assert!(app.enqueue(ONE).unique(unique()).await.unwrap().is_new());
}

#[tokio::test]
async fn nothing_is_enqueued_until_it_is_awaited() {
    let app = app().job(add).test().await.unwrap();
    drop(app.enqueue(ONE));
    assert_eq!(app.drain().await.unwrap().completed, 0);
    let none: [Add; 0] = [];
    assert_eq!(app.enqueue_all(none).await.unwrap().ids(), []);
}

#[tokio::test]
async fn limits_of_queues() {
    let limited = || app().job(add).queue("default", |q| q.slots(3).concurrency(2).rate(50.0).burst(5).per_key(1));
    let first = limited().test().await.unwrap();
    let of = async || first.queue().unwrap().queues().get("default").await.unwrap().limits;
    let limits = of().await;
    assert_eq!((limits.concurrency, limits.key_concurrency, limits.burst), (Some(2), Some(1), Some(5)));
    // What an operator says stays, unless the App says that it does not.
    let said = gristmill::Limits { concurrency: Some(9), ..Default::default() };
    first.queue().unwrap().queues().set_limits("default", &said).await.unwrap();
    let start = async |app: App| {
        let settings = first.settings().clone();
        app.with(|own| *own = settings).start().await.unwrap().stop().await.unwrap();
    };
    start(limited()).await;
    assert_eq!(of().await.concurrency, Some(9));
    start(limited().queue("default", |q| q.fixed())).await;
    assert_eq!(of().await.concurrency, Some(2));
}

#[tokio::test]
async fn limits_by_name_and_pools_are_set_at_the_start_and_stay_as_an_operator_says() {
    let limited =
        || app().slots("gpu", 4).job_with(add, |job| job.uses("gpu", 2).concurrency(3).rate(20.0).burst(5).per_key(1));
    let test = limited().test().await.unwrap();
    let limits = test.queue().unwrap().limits();
    let of_add = async || limits.list().await.unwrap().jobs.remove(0).limits;
    let set = of_add().await;
    assert_eq!(
        (set.concurrency, set.rate_per_second, set.burst, set.key_concurrency),
        (Some(3), Some(20.0), Some(5), Some(1))
    );
    assert_eq!(set.uses["gpu"], 2);
    for _ in 0..8 {
        test.enqueue(ONE).await.unwrap();
    }
    assert_eq!(test.drain().await.unwrap().completed, 8);

    limits.set_job("add", &gristmill::JobLimits { concurrency: Some(9), ..Default::default() }).await.unwrap();
    let settings = test.settings().clone();
    let again = |app: App| app.with(|into| *into = settings.clone()).start();
    again(limited()).await.unwrap().stop().await.unwrap();
    assert_eq!(of_add().await.concurrency, Some(9));
    again(app().job_with(add, |job| job.concurrency(2).fixed_limits())).await.unwrap().stop().await.unwrap();
    assert_eq!(of_add().await.concurrency, Some(2));
    let error = again(app().job_with(add, |job| job.uses("cpu", 1).fixed_limits())).await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "jobs `add` cannot be held to their limits: there is no pool of slots `cpu`: make it first"
    );
}
