//! Nothing is left behind, and what is there can be counted.

use std::time::Duration;

use gristmill_queue::{GroupPolicy, NewGroup, Options};

use crate::{
    cron::every,
    support::{Effect, LONG, test_queue, until, work},
};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_jobs_leave_redis_empty() {
    let test = test_queue().await;
    let workers = [work(&test.effect_worker(16)), work(&test.effect_worker(16))];
    for _ in 0..20 {
        test.enqueue(&Effect::many(1_000), &Options::default()).await;
    }
    until("all jobs", LONG * 2, || async {
        test.count("select count(*) from gristmill.jobs where state = 'completed'").await == 20_000
    })
    .await;
    test.acknowledged().await;
    assert!(test.queue.stray_leases("default").await.unwrap().is_empty());
    let seen = test.queue.workers().await.unwrap();
    assert_eq!(seen.iter().map(|worker| worker.label.as_str()).collect::<Vec<_>>(), ["test", "test"]);
    for worker in workers {
        worker.stop().await;
    }
    until("the last farewell", LONG, || async { test.queue.workers().await.unwrap().is_empty() }).await;
    // Signals and counts may be left, for a minute. One may go while it is looked at.
    for key in test.keys().await {
        let seconds: i64 = test.ttl(&key).await;
        let signal = key.contains(":nudge:") || [":wake", ":acked", ":ledger"].iter().any(|end| key.ends_with(end));
        assert!(seconds == -2 || (signal && (0..=60).contains(&seconds)), "{key} is left for {seconds} s");
    }
    assert_eq!(test.effects().await, (20_000, 20_000));
}

#[tokio::test]
async fn depths_are_counted_by_queue_and_state() {
    let test = test_queue().await;
    test.enqueue(&Effect::many(7), &Options::default()).await;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    test.enqueue(&Effect::many(2), &Options { run_at: Some(later), ..Options::default() }).await;
    let depths = test.queue.depths().await.unwrap();
    let seen: Vec<_> = depths.iter().map(|depth| (depth.queue.as_str(), depth.state.as_str(), depth.jobs)).collect();
    assert_eq!(seen, [("default", "available", 7), ("default", "scheduled", 2)]);
    assert!(depths[0].oldest_seconds >= 0.0 && depths[1].oldest_seconds < -3_000.0);
}

#[tokio::test]
async fn finished_jobs_and_groups_are_pruned_by_age() {
    let test = test_queue().await;
    let mut conn = test.pool.acquire().await.unwrap();
    let new = NewGroup::new(GroupPolicy::Continue);
    let group = test.queue.create_group(&mut conn, new).await.unwrap();
    test.enqueue(&Effect::many(30), &Options { group: Some(group), ..Options::default() }).await;
    let enqueued = test.queue.seal_group(&mut conn, group).await.unwrap();
    assert!(enqueued.is_empty());
    drop(conn);
    test.enqueue(&Effect::many(5_000), &Options::default()).await;
    test.queue.drain(&test.effect_worker(50), LONG).await.unwrap();
    let waiting = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    assert_eq!(test.queue.prune(Duration::from_secs(3_600)).await.unwrap(), Default::default());
    let pruned = test.queue.prune(Duration::ZERO).await.unwrap();
    assert_eq!((pruned.jobs, pruned.groups), (5_030, 1));
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 1);
    assert_eq!(test.state(waiting).await.0, "available");
}

#[tokio::test]
async fn old_ticks_are_pruned_but_for_the_last_of_each_schedule() {
    let test = test_queue().await;
    for name in ["busy", "asleep", "young"] {
        test.put(&every(name, "@daily")).await;
    }
    let at = |hours: &'static str, cause: &'static str, schedule: &'static str| {
        sqlx::query(
            "insert into gristmill.schedule_ticks (schedule, fire_at, created_at, cause)
             select $1, now() - h * interval '1 hour', now() - h * interval '1 hour', $2
             from unnest(string_to_array($3, ' ')::int[]) as h",
        )
        .bind(schedule)
        .bind(cause)
        .bind(hours)
        .execute(&test.pool)
    };
    at("50 40 30", "due", "busy").await.unwrap();
    at("50 40", "due", "asleep").await.unwrap();
    at("30 29 28", "missed", "asleep").await.unwrap();
    at("3 2", "due", "young").await.unwrap();
    let pruned = test.queue.prune(Duration::from_secs(24 * 3_600)).await.unwrap();
    assert_eq!(pruned.ticks, 5);
    let left: Vec<(String, i32, String)> = sqlx::query_as(
        "select schedule, (extract(epoch from now() - fire_at) / 3600)::int, cause from gristmill.schedule_ticks
         order by schedule, fire_at",
    )
    .fetch_all(&test.pool)
    .await
    .unwrap();
    let left: Vec<_> = left.iter().map(|(name, hours, cause)| (name.as_str(), *hours, cause.as_str())).collect();
    let kept = [
        ("asleep", 40, "due"),
        ("asleep", 28, "missed"),
        ("busy", 30, "due"),
        ("young", 3, "due"),
        ("young", 2, "due"),
    ];
    assert_eq!(left, kept);
}

#[tokio::test]
async fn a_miscounted_group_is_found() {
    let test = test_queue().await;
    let mut conn = test.pool.acquire().await.unwrap();
    let new = NewGroup::new(GroupPolicy::Continue);
    let group = test.queue.create_group(&mut conn, new).await.unwrap();
    test.enqueue(&Effect::many(3), &Options { group: Some(group), ..Options::default() }).await;
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    sqlx::query("delete from gristmill.jobs where id = (select min(id::text)::uuid from gristmill.jobs)")
        .execute(&test.pool)
        .await
        .unwrap();
    let found = test.queue.miscounted_groups(Duration::ZERO).await.unwrap();
    assert_eq!(found.iter().map(|group| (group.total, group.members)).collect::<Vec<_>>(), [(3, 2)]);
}
