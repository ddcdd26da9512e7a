//! An application in a program that opens its engines, answers for its health and waits for signals itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use gristmill::{
    Error, WorkerHealth,
    prelude::*,
    queue::{GroupPolicy, NewGroup},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{Add, add, app};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_a_queue_that_is_there_until_it_is_to_stop() {
    let test = app().test().await.unwrap();
    let queue = test.queue().unwrap().clone();
    let (health, shutdown) = (WorkerHealth::default(), CancellationToken::new());
    let running = App::on(queue.clone()).job(add).health(health.clone()).start().await.unwrap();
    assert_eq!((running.monitor_addr(), running.addr()), (None, None));
    assert_eq!(running.enqueue(Add { a: 2, b: 3 }).wait::<i64>(MINUTE).await.unwrap(), 5);
    assert_eq!(health.unhealthy_reason(), None);
    let registered = async {
        while queue.workers().await.unwrap().len() != 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(MINUTE, registered).await.unwrap();
    let ended = tokio::spawn(running.until(shutdown.clone()));
    sleep(Duration::from_millis(100)).await;
    assert!(!ended.is_finished());
    shutdown.cancel();
    timeout(MINUTE, ended).await.unwrap().unwrap().unwrap();
    assert!(queue.workers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_worker_drains_without_a_start() {
    let test = app().test().await.unwrap();
    let queue = test.queue().unwrap();
    let worker = App::on(queue.clone()).job(add).into_worker().unwrap();
    test.enqueue(Add { a: 2, b: 3 }).await.unwrap();
    assert_eq!(queue.drain(&worker, MINUTE).await.unwrap().completed, 1);
    let refused = app().job(add).into_worker().map(drop).unwrap_err().to_string();
    assert!(refused.contains("App::on(queue)"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_up_to_date_are_said() {
    let test = app().test().await.unwrap();
    let queue = test.queue().unwrap();
    sqlx::query("delete from gristmill.migrations where version = (select max(version) from gristmill.migrations)")
        .execute(queue.pool())
        .await
        .unwrap();
    let refused = App::on(queue.clone()).job(add).start().await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::Pending(1)), "{refused}");
}

#[cfg(feature = "encryption")]
#[tokio::test(flavor = "multi_thread")]
async fn a_codec_beside_the_queues_own_is_refused() {
    let test = app().test().await.unwrap();
    let keys = gristmill::queue::Encryption::new("2026-11", &[7; 32]).unwrap();
    let refused = App::on(test.queue().unwrap().clone()).job(add).codec(keys).start().await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("QueueConfig::codec"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_periodic_goes_on_after_it_has_failed() {
    let test = app().test().await.unwrap();
    let times = Arc::new(AtomicU32::new(0));
    let counted = times.clone();
    let running = App::on(test.queue().unwrap().clone())
        .role(Role::Scheduler)
        .every("count", Duration::from_millis(10), move |client| {
            let counted = counted.clone();
            async move {
                let one: i32 = sqlx::query_scalar("select 1").fetch_one(client.queue()?.pool()).await?;
                assert_eq!(one, 1);
                match counted.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(Error::Nothing("the first time it fails")),
                    _ => Ok(()),
                }
            }
        })
        .start()
        .await
        .unwrap();
    let thrice = async {
        while times.load(Ordering::SeqCst) < 3 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(MINUTE, thrice).await.unwrap();
    running.stop().await.unwrap();
    // A worker looks after nothing.
    let before = times.load(Ordering::SeqCst);
    let worker = App::on(test.queue().unwrap().clone()).role(Role::Worker).job(add);
    let worker = worker.every("never", Duration::from_millis(1), |_| async { Err(Error::Nothing("it ran")) });
    let running = worker.start().await.unwrap();
    assert_eq!(running.enqueue(Add { a: 2, b: 3 }).wait::<i64>(MINUTE).await.unwrap(), 5);
    running.stop().await.unwrap();
    assert_eq!(times.load(Ordering::SeqCst), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_no_more_is_removed() {
    let test = app().job(add).cron("old", "0 7 * * *", |c| c.job(&Add { a: 1, b: 1 })).test().await.unwrap();
    let queue = test.queue().unwrap();
    assert_eq!(queue.schedules().list().await.unwrap().len(), 1);
    for _ in 0..2 {
        let running = App::on(queue.clone()).job(add).no_cron("old").start().await.unwrap();
        assert!(queue.schedules().list().await.unwrap().is_empty());
        running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_never_sealed_fails_when_the_setting_says_so() {
    for (hours, ended) in [(24, true), (0, false)] {
        let test = app().test().await.unwrap();
        let queue = test.queue().unwrap();
        let mut conn = queue.pool().acquire().await.unwrap();
        let group = queue.create_group(&mut conn, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
        test.clock().advance(Duration::from_hours(25)).await;
        let app = App::on(queue.clone()).role(Role::Scheduler);
        let running =
            app.with(|settings| settings.unsealed_groups = Duration::from_hours(hours)).start().await.unwrap();
        let open = "select state = 'open' from gristmill.groups where id = $1";
        let is_open = async || sqlx::query_scalar::<_, bool>(open).bind(group).fetch_one(queue.pool()).await.unwrap();
        if ended {
            let closes = async {
                while is_open().await {
                    sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(MINUTE, closes).await.unwrap();
        } else {
            sleep(Duration::from_secs(1)).await;
            assert!(is_open().await);
        }
        running.stop().await.unwrap();
    }
}
