//! What the ledger could not hold is refused before it is asked.

use gristmill_queue::{GroupPolicy, Job, JobSpec, NewGroup, NewSchedule, Options, QueueError, ScheduleError, Unique};
use serde::{Deserialize, Serialize};

use crate::support::{Effect, LONG, test_queue};

/// JSON as somebody else wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Raw(Box<serde_json::value::RawValue>);

impl Job for Raw {
    const NAME: &'static str = "raw";
}

fn raw(json: &str) -> Raw {
    Raw(serde_json::value::RawValue::from_string(json.to_owned()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_cannot_hold_is_refused_and_the_transaction_goes_on() {
    let test = test_queue().await;
    let deep = "[".repeat(200) + &"]".repeat(200);
    let large = format!("\"{}\"", "x".repeat(256 * 1_024));
    for json in [r#"{"a":"x\u0000y"}"#, r#"["\ud83d"]"#, r#""\udc00""#, "1e400000", "1e-20000", &deep, &large] {
        // What is deep or large Postgres would take.
        if json.len() < 100 {
            let stored = sqlx::query("select $1::jsonb").bind(json).execute(&test.pool).await;
            assert!(stored.is_err(), "Postgres takes {json}");
        }
        let mut tx = test.pool.begin().await.unwrap();
        sqlx::query("insert into effects (job, n) values (gen_random_uuid(), 1)").execute(&mut *tx).await.unwrap();
        for jobs in [vec![raw(json)], vec![raw("1"), raw(json)]] {
            let error = test.queue.enqueue_all(&mut tx, &jobs, &Options::default()).await.unwrap_err();
            assert!(matches!(error, QueueError::Payload { .. }), "{error}");
            assert!(error.to_string().starts_with("the payload of `raw` "), "{error}");
        }
        sqlx::query("insert into effects (job, n) values (gen_random_uuid(), 1)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(test.effects().await, (14, 14));
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 0);

    for json in [r#"{"a":"x\\u0000y"}"#, r#"["\ud83d\ude00"]"#, "1e131071", "1e-16383"] {
        test.enqueue(&[raw(json)], &Options::default()).await;
    }
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_joins_and_schedules_are_looked_at_as_well() {
    let test = test_queue().await;
    let nul = || Some("a\0b".to_owned());
    let mut tx = test.pool.begin().await.unwrap();
    for options in [
        Options { unique_key: nul(), ..Options::default() },
        Options { fair_key: nul(), ..Options::default() },
        Options { unique: Some(Unique::within("\0", LONG)), ..Options::default() },
    ] {
        let error = test.queue.enqueue(&mut tx, &Effect::new(1), &options).await.unwrap_err();
        assert!(matches!(error, QueueError::Nul(_)), "{error}");
    }
    let bad = || JobSpec::of(&json_job("\0")).unwrap();
    for group in [
        NewGroup { on_complete: Some(bad()), ..NewGroup::new(GroupPolicy::Continue) },
        NewGroup { on_failure: Some(bad()), ..NewGroup::new(GroupPolicy::FailFast) },
    ] {
        let error = test.queue.create_group(&mut tx, group).await.unwrap_err();
        assert!(matches!(error, QueueError::Payload { .. }), "{error}");
    }
    test.queue.create_group(&mut tx, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
    tx.commit().await.unwrap();

    let schedule = NewSchedule::new("nul", "@yearly", bad());
    let error = test.queue.schedules().put(&schedule).await.unwrap_err();
    assert!(matches!(error, ScheduleError::Queue(QueueError::Payload { .. })), "{error}");
}

fn json_job(text: &str) -> Raw {
    raw(&serde_json::to_string(text).unwrap())
}
