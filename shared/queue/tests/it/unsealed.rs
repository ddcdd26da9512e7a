//! Groups that nobody seals, and dead members of those that somebody did.

use std::time::Duration;

use gristmill_queue::{GroupId, GroupPolicy, JobSpec, NewGroup, Options, QueueError, Worker};

use crate::support::{Effect, Join, LONG, TestQueue, effect, join, test_queue};

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn group(test: &TestQueue, policy: GroupPolicy, parent: Option<GroupId>) -> GroupId {
    let mut conn = test.pool.acquire().await.unwrap();
    let join = |failed| Some(JobSpec::of(&Join { failed }).unwrap());
    let new = NewGroup { on_complete: join(false), on_failure: join(true), parent, ..NewGroup::new(policy) };
    test.queue.create_group(&mut conn, new).await.unwrap()
}

/// Everything in it happened so much earlier.
async fn earlier(test: &TestQueue, group: GroupId, hours: i32) {
    for sql in [
        "update gristmill.groups set created_at = created_at - $2 * interval '1 hour' where $1 in (id, parent_id)",
        "update gristmill.jobs set created_at = created_at - $2 * interval '1 hour', run_at = run_at - $2 * interval '1 hour',
                finished_at = finished_at - $2 * interval '1 hour'
         where group_id in (select id from gristmill.groups where $1 in (id, parent_id))",
    ] {
        sqlx::query(sql).bind(group).bind(hours).execute(&test.pool).await.unwrap();
    }
}

async fn end(test: &TestQueue, group: GroupId) -> bool {
    let mut tx = test.pool.begin().await.unwrap();
    let ended = test.queue.end_unsealed(&mut tx, group, DAY).await.unwrap();
    tx.commit().await.unwrap();
    let happened = ended.is_some();
    if let Some(joins) = ended {
        test.queue.push(joins).await;
    }
    happened
}

async fn found(test: &TestQueue) -> Vec<GroupId> {
    test.queue.unsealed_groups(DAY).await.unwrap().iter().map(|group| group.id).collect()
}

fn worker(test: &TestQueue) -> Worker {
    Worker::builder(&test.queue).queue("default", 4).register::<Effect>(effect).register::<Join>(join).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_nobody_seals_is_found_and_fails() {
    for policy in [GroupPolicy::Continue, GroupPolicy::FailFast] {
        let test = test_queue().await;
        let outer = group(&test, policy, None).await;
        let inner = group(&test, GroupPolicy::Continue, Some(outer)).await;
        test.enqueue(&Effect::many(2), &Options { group: Some(outer), ..Options::default() }).await;
        test.queue.drain(&worker(&test), LONG).await.unwrap();
        let waits = Options { group: Some(inner), delay: Some(DAY), ..Options::default() };
        test.enqueue(&[Effect::new(9)], &waits).await;
        assert_eq!(found(&test).await, []);
        earlier(&test, outer, 30).await;
        assert_eq!(found(&test).await, [outer, inner]);
        // A member that comes, even far inside, is a sign of life.
        let late = test.enqueue(&[Effect::new(3)], &Options { group: Some(inner), ..Options::default() }).await[0];
        assert_eq!(found(&test).await, []);
        assert!(!end(&test, outer).await);
        earlier(&test, outer, 30).await;

        assert!(end(&test, outer).await);
        assert!(!end(&test, outer).await, "once");
        assert_eq!(test.state(late).await.0, "cancelled");
        let progress = test.queue.group(outer).await.unwrap().unwrap();
        assert_eq!((progress.state.as_str(), progress.completed, progress.cancelled), ("failed", 2, 1));
        test.queue.drain(&worker(&test), LONG).await.unwrap();
        assert_eq!(test.count("select count(*) from effects where n = -2").await, 1, "the join of a failure");
        assert_eq!(test.effects().await, (3, 3));
        assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
        // Its creator was asleep, and finds it closed.
        let mut conn = test.pool.acquire().await.unwrap();
        let options = Options { group: Some(outer), ..Options::default() };
        let refused = test.queue.enqueue(&mut conn, &Effect::new(4), &options).await;
        assert!(matches!(refused, Err(QueueError::GroupClosed(id)) if id == outer), "{refused:?}");
        assert!(test.queue.seal_group(&mut conn, outer).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_member_is_pruned_when_its_group_has_ended_and_then_the_group() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::Continue, None).await;
    let ids = test.enqueue(&Effect::many(3), &Options { group: Some(group), ..Options::default() }).await;
    let other = test.enqueue(&[Effect::new(7)], &Options::default()).await[0];
    let die = "update gristmill.jobs set state = 'dead', finished_at = now() where id = $1";
    sqlx::query(die).bind(other).execute(&test.pool).await.unwrap();
    sqlx::query(die).bind(ids[0]).execute(&test.pool).await.unwrap();
    sqlx::query("update gristmill.groups set failed = 1").execute(&test.pool).await.unwrap();
    assert_eq!(test.queue.prune_dead(Duration::ZERO).await.unwrap(), 1, "the one without a group");
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    let mut conn = test.pool.acquire().await.unwrap();
    let joins = test.queue.seal_group(&mut conn, group).await.unwrap();
    assert!(joins.is_empty());
    drop(conn);
    test.queue.drain(&worker(&test), LONG).await.unwrap();
    assert_eq!(test.queue.group(group).await.unwrap().unwrap().state, "failed");
    test.queue.prune(Duration::ZERO).await.unwrap();
    assert!(test.queue.group(group).await.unwrap().is_some(), "the dead one keeps it");
    assert_eq!(test.queue.prune_dead(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(test.queue.prune(Duration::ZERO).await.unwrap().groups, 1);
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 0);
}
