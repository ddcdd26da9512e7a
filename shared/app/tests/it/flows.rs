//! Stages of jobs that wait for each other.

use std::time::Duration;

use gristmill::{Flow, GroupPolicy, JobSpec, NewJob, Stage, prelude::*};

use crate::support::{Add, add, app};

/// The sum of what the stage before came to.
#[derive(Serialize, Deserialize, Job)]
struct Sum {}

async fn sum(_: Sum, context: Context) -> Result<i64, JobError> {
    let before = context.members::<i64>(None, 100).await?;
    Ok(before.into_iter().filter_map(|member| member.result).sum())
}

fn new(a: i64, b: i64) -> NewJob {
    NewJob::from_job(&Add { a, b }).unwrap()
}

fn sums() -> Flow {
    Flow::new()
        .name("sums")
        .stage(Stage::new("add").policy(GroupPolicy::FailFast).jobs((1..=10).map(|n| new(n, n))))
        .stage(Stage::new("sum").after(["add"]).job(NewJob::from_job(&Sum {}).unwrap()))
        .on_complete(JobSpec::of(&Sum {}).unwrap())
}

#[tokio::test]
async fn a_flow_is_enqueued_in_a_transaction_and_its_last_job_sums_it_up() {
    let app = app().job(add).job(sum).test().await.unwrap();
    // Rolled back: there is nothing of it.
    let mut tx = app.begin().await.unwrap();
    app.enqueue_flow(sums()).in_(&mut tx).await.unwrap();
    drop(tx);
    let mut tx = app.begin().await.unwrap();
    let flow = app.enqueue_flow(sums()).in_(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((flow.stages().len(), flow.jobs().len()), (2, 11));
    let report = app.drain().await.unwrap();
    assert_eq!((report.completed, report.scheduled), (12, 0), "and the join");
    let last = *flow.jobs().last().unwrap();
    assert_eq!(app.wait::<i64>(last, Duration::from_secs(60)).await.unwrap(), 110);
    assert_eq!(app.queue().unwrap().group(flow.id()).await.unwrap().unwrap().state, "completed");
    let error = app.enqueue_flow(Flow::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the flow has no stage");
}

#[tokio::test]
async fn without_engines_there_is_no_flow() {
    let app = app().job(add).inline().unwrap();
    let error = app.enqueue_flow(Flow::chain([new(1, 2)])).await.unwrap_err().to_string();
    assert!(error.starts_with("a flow needs Postgres"), "{error}");
}
