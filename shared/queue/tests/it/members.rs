//! A join reads what the members of its group returned.

use gristmill_queue::{Context, GroupPolicy, Job, JobError, JobSpec, JobState, NewGroup, Options, Worker};
use serde::{Deserialize, Serialize};

use super::support::{LONG, once, sweep, test_queue, until, work};

#[derive(Serialize, Deserialize)]
struct Count {
    n: i64,
}

impl Job for Count {
    const NAME: &'static str = "count";
    const MAX_ATTEMPTS: u16 = 1;
}

async fn count(context: Context, job: Count) -> Result<(), JobError> {
    if job.n % 100 == 0 {
        return Err(JobError::discard("it counts no hundreds"));
    }
    context.set_result(&(job.n * 10))?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Sum {}

impl Job for Sum {
    const NAME: &'static str = "sum";
}

async fn sum(context: Context, _: Sum) -> Result<(), JobError> {
    let (mut sum, mut after) = (0, None);
    loop {
        let page = context.members::<i64>(after, 100).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for member in &page {
            match (member.state, member.result) {
                (JobState::Completed, Some(tens)) => sum += tens,
                (JobState::Dead, None) => sum += 1,
                other => return Err(JobError::discard(format!("{other:?} of {}", member.name))),
            }
        }
    }
    once(&context, sum).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_sums_up_its_members_results() {
    let test = test_queue().await;
    let mut tx = test.pool.begin().await.unwrap();
    let on_complete = Some(JobSpec::of(&Sum {}).unwrap());
    let new = NewGroup { on_complete, ..NewGroup::new(GroupPolicy::Continue) };
    let group = test.queue.create_group(&mut tx, new).await.unwrap();
    let members: Vec<Count> = (1..=250).map(|n| Count { n }).collect();
    let options = Options { group: Some(group), ..Options::default() };
    let enqueued = test.queue.enqueue_all(&mut tx, &members, &options).await.unwrap();
    assert!(test.queue.seal_group(&mut tx, group).await.unwrap().is_empty());
    // one that is no join, and sees nothing
    let alone = test.queue.enqueue(&mut tx, &Sum {}, &Options::default()).await.unwrap();
    tx.commit().await.unwrap();
    test.queue.push(enqueued).await;
    test.queue.push(alone).await;
    let worker = Worker::builder(&test.queue).queue("default", 8).register(count).register(sum).build();
    let (_worker, _sweeper) = (work(&worker), sweep(&test.queue));
    until("both sums", LONG, || async { test.effects().await == (2, 2) }).await;
    let tens: i64 = (1..=250).filter(|n| n % 100 != 0).map(|n| n * 10).sum();
    assert_eq!(test.count("select max(n)::bigint from effects").await, tens + 2, "and two that died");
    assert_eq!(test.count("select min(n)::bigint from effects").await, 0);
}
