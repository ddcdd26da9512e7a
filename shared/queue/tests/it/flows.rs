//! Stages begin when those before them have ended, once, whatever happens.

use std::time::Duration;

use gristmill_queue::{
    AfterFailure, ChangeError, Context, Flow, FlowError, GroupId, GroupState, Job, JobChange, JobError, JobFilter,
    JobId, JobSpec, JobState, NewJob, Stage, Sweeper, Worker,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Join, LONG, TestQueue, join, once, sweep, test_queue, until, work};

/// Comes to its number and what the jobs before it came to; fails while its number is in `broken`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    n: i64,
}

impl Job for Step {
    const NAME: &'static str = "step";
    const MAX_ATTEMPTS: u16 = 1;
}

async fn step(ctx: Context, job: Step) -> Result<(), JobError> {
    let broken: bool = sqlx::query_scalar("select exists (select from broken where n = $1)")
        .bind(job.n)
        .fetch_one(ctx.queue.pool())
        .await?;
    if broken {
        return Err(JobError::discard("it is broken"));
    }
    let before = ctx.members::<i64>(None, 1_000).await?;
    let sum: i64 = before.iter().filter_map(|member| member.result).sum();
    ctx.set_result(&(job.n + sum))?;
    once(&ctx, job.n).await
}

async fn flow_queue() -> TestQueue {
    let test = test_queue().await;
    sqlx::raw_sql("create table broken (n bigint primary key)").execute(&test.pool).await.unwrap();
    test
}

fn worker(test: &TestQueue, slots: usize) -> Worker {
    Worker::builder(&test.queue).queue("default", slots).register::<Step>(step).register::<Join>(join).build()
}

fn new(n: i64) -> NewJob {
    let mut job = NewJob::of(Step::NAME, &Step { n }).unwrap();
    job.max_attempts = 1;
    job
}

fn joins(flow: Flow) -> Flow {
    let join = |failed| JobSpec::of(&Join { failed }).unwrap();
    flow.on_complete(join(false)).on_failure(join(true))
}

/// One, then two groups beside each other, then one.
fn diamond() -> Flow {
    joins(Flow::new().name("diamond"))
        .stage(Stage::new("last").after(["left", "right"]).job(new(1_000)))
        .stage(Stage::new("first").job(new(1)))
        .stage(Stage::new("left").after(["first"]).jobs([new(10), new(20)]))
        .stage(Stage::new("right").after(["first"]).jobs([new(100), new(200), new(300)]))
}

async fn enqueue(test: &TestQueue, flow: &Flow) -> (GroupId, Vec<GroupId>, Vec<JobId>) {
    let mut tx = test.pool.begin().await.unwrap();
    let mut enqueued = test.queue.enqueue_flow(&mut tx, flow).await.unwrap();
    tx.commit().await.unwrap();
    let told = (enqueued.id(), enqueued.stages().to_vec(), enqueued.jobs().to_vec());
    test.queue.push(enqueued.take_enqueued()).await;
    told
}

async fn break_down(test: &TestQueue, n: i64) {
    sqlx::query("insert into broken values ($1)").bind(n).execute(&test.pool).await.unwrap();
}

async fn mend(test: &TestQueue) {
    sqlx::query("delete from broken").execute(&test.pool).await.unwrap();
}

/// Name and state of each stage, `held` where it waits.
async fn stages(test: &TestQueue, flow: GroupId) -> Vec<(String, String)> {
    let detail = test.queue.groups().get(flow).await.unwrap().unwrap();
    let state = |held: bool, state: GroupState| if held { "held".to_owned() } else { state.to_string() };
    detail.stages.into_iter().map(|stage| (stage.name, state(stage.held, stage.state))).collect()
}

async fn state(test: &TestQueue, group: GroupId) -> String {
    test.queue.group(group).await.unwrap().unwrap().state
}

/// The numbers of the steps in the order in which they had their effect.
async fn order(test: &TestQueue) -> Vec<i64> {
    sqlx::query_scalar("select n from effects order by at").fetch_all(&test.pool).await.unwrap()
}

async fn sound(test: &TestQueue) {
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    let (effects, jobs) = test.effects().await;
    assert_eq!(effects, jobs, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_runs_in_order_and_each_job_sees_what_came_before() {
    let test = flow_queue().await;
    let (flow, _, jobs) = enqueue(&test, &joins(Flow::chain((1..=5).map(new)))).await;
    assert_eq!(test.count("select count(*) from gristmill.jobs where state = 'available'").await, 1);
    let (_worker, _sweeper) = (work(&worker(&test, 8)), sweep(&test.queue));
    until("the join", LONG, || async { order(&test).await.contains(&-1) }).await;
    assert_eq!(order(&test).await, [1, 2, 3, 4, 5, -1]);
    // Each adds what the one before came to.
    let last = test.queue.jobs().get(jobs[4]).await.unwrap().unwrap();
    assert_eq!(last.result, Some(json!(15)));
    assert_eq!(state(&test, flow).await, "completed");
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_graphs_at_once_keep_their_order() {
    let test = flow_queue().await;
    let mut flows = Vec::new();
    for _ in 0..40 {
        flows.push(enqueue(&test, &diamond()).await);
    }
    let workers = [work(&worker(&test, 8)), work(&worker(&test, 8))];
    let sweepers = [sweep(&test.queue), sweep(&test.queue)];
    until("the joins", LONG, || async { test.count("select count(*) from effects where n = -1").await == 40 }).await;
    for part in workers.into_iter().chain(sweepers) {
        part.stop().await;
    }
    assert_eq!(test.effects().await, (40 * 8, 40 * 8));
    sound(&test).await;
    for (flow, _, jobs) in flows {
        assert_eq!(state(&test, flow).await, "completed");
        // As they were given: `last`, `first`, `left`, `right`. The first one counts for each job of both sides.
        let result = test.queue.jobs().get(jobs[0]).await.unwrap().unwrap().result;
        assert_eq!(result, Some(json!(1_000 + 11 + 21 + 101 + 201 + 301)));
    }
    let early = test
        .count(
            "select count(*) from gristmill.flow_stages s join gristmill.jobs j on j.group_id = s.group_id
             join effects e on e.job = j.id
             where e.at < (select max(b.at) from gristmill.jobs p join effects b on b.job = p.id where p.group_id = any(s.after))",
        )
        .await;
    assert_eq!(early, 0, "none before what it waits for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_cancels_what_waits_for_it_and_a_retry_brings_it_back() {
    let test = flow_queue().await;
    break_down(&test, 20).await;
    let flow = diamond().stage(Stage::new("after").after(["last"]).job(new(5_000)));
    let (flow, _, _) = enqueue(&test, &flow).await;
    let (_worker, _sweeper) = (work(&worker(&test, 4)), sweep(&test.queue));
    until("the join of a failure", LONG, || async { order(&test).await.contains(&-2) }).await;
    let stood = |last: &str| {
        let all = [("last", last), ("first", "completed"), ("left", if last == "completed" { last } else { "failed" })];
        let rest = [("right", "completed"), ("after", last)];
        all.into_iter().chain(rest).map(|(name, state)| (name.to_owned(), state.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(stages(&test, flow).await, stood("cancelled"), "what does not wait for it has run");
    assert_eq!(state(&test, flow).await, "failed");
    assert_eq!(test.count("select count(*) from effects where n >= 1000").await, 0);
    sound(&test).await;

    // As it is still broken, all is as before.
    let retry = async || {
        let mut tx = test.pool.begin().await.unwrap();
        let jobs = test.queue.retry_group(&mut tx, flow).await.unwrap();
        assert_eq!(jobs.ids().len(), 1, "the one that has failed");
        tx.commit().await.unwrap();
        test.queue.push(jobs).await;
    };
    retry().await;
    until("the second failure", LONG, || async { test.count("select count(*) from effects where n = -2").await == 2 })
        .await;
    assert_eq!(stages(&test, flow).await, stood("cancelled"));
    mend(&test).await;
    retry().await;
    until("the join", LONG, || async { order(&test).await.contains(&-1) }).await;
    assert_eq!(stages(&test, flow).await, stood("completed"));
    assert_eq!(state(&test, flow).await, "completed");
    let ends = order(&test).await;
    assert_eq!(ends[ends.len() - 4..], [20, 1_000, 5_000, -1], "{ends:?}");
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_may_go_on_after_a_failure() {
    let test = flow_queue().await;
    break_down(&test, 1).await;
    let flow = joins(Flow::new())
        .stage(Stage::new("first").jobs([new(1), new(2)]))
        .stage(Stage::new("clean").after(["first"]).after_failure(AfterFailure::Continue).job(new(3)))
        .stage(Stage::new("never").after(["first"]).job(new(4)))
        .stage(Stage::new("nor").after(["never", "clean"]).job(new(5)));
    let (flow, _, jobs) = enqueue(&test, &flow).await;
    let (_worker, _sweeper) = (work(&worker(&test, 4)), sweep(&test.queue));
    until("the join", LONG, || async { order(&test).await.contains(&-2) }).await;
    let states: Vec<String> = stages(&test, flow).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["failed", "completed", "cancelled", "cancelled"]);
    assert_eq!(order(&test).await, [2, 3, -2]);
    // What failed has come to nothing.
    assert_eq!(test.queue.jobs().get(jobs[2]).await.unwrap().unwrap().result, Some(json!(5)));
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_seen_to_wait_and_is_not_hurried() {
    let test = flow_queue().await;
    let mut late = new(7);
    late.delay = Some(Duration::from_secs(3_600));
    late.expires_in = Some(Duration::from_secs(60));
    let flow = Flow::new().stage(Stage::new("a").job(new(1))).stage(Stage::new("b").after(["a"]).jobs([late, new(8)]));
    let (flow, groups, jobs) = enqueue(&test, &flow).await;
    let held = test.queue.jobs().get(jobs[1]).await.unwrap().unwrap();
    assert!(held.job.held && held.job.state == JobState::Scheduled, "{held:?}");
    assert_eq!(stages(&test, flow).await[1].1, "held");
    let of_stage = test.queue.groups().get(groups[1]).await.unwrap().unwrap();
    assert_eq!((of_stage.stages.len(), of_stage.stages[1].after.as_slice()), (2, &["a".to_owned()][..]));
    let error = test.queue.jobs().change(jobs[1], &JobChange::promote()).await.unwrap_err();
    assert!(matches!(error, ChangeError::Held(_)), "{error}");
    // Nobody else adds to it.
    let options = gristmill_queue::Options { group: Some(groups[1]), ..Default::default() };
    assert!(test.queue.enqueue(&mut test.pool.acquire().await.unwrap(), &Step { n: 9 }, &options).await.is_err());
    // What is cancelled and brought back waits as before.
    test.queue.jobs().cancel(&JobFilter::ids([jobs[2]])).await.unwrap();
    test.queue
        .jobs()
        .redrive(&JobFilter { states: vec![JobState::Cancelled], ..JobFilter::ids([jobs[2]]) }, None)
        .await
        .unwrap();
    assert!(test.queue.jobs().get(jobs[2]).await.unwrap().unwrap().job.held);
    assert_eq!(test.queue.drain(&worker(&test, 2), LONG).await.unwrap().completed, 2);
    assert_eq!(order(&test).await, [1, 8]);
    // Its delay, and the time in which it must begin, count from there.
    let freed = test.queue.jobs().get(jobs[1]).await.unwrap().unwrap();
    let wait = freed.job.run_at.duration_since(freed.job.created_at).as_secs();
    assert!(!freed.job.held && (3_600..3_660).contains(&wait), "{wait}");
    assert_eq!(freed.expires_at.unwrap().duration_since(freed.job.run_at).as_secs(), 60);
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_and_a_stage_are_cancelled_with_what_waits_for_them() {
    let test = flow_queue().await;
    let (whole, _, _) = enqueue(&test, &diamond()).await;
    let (part, groups, _) = enqueue(&test, &diamond()).await;
    let mut tx = test.pool.begin().await.unwrap();
    assert_eq!(test.queue.cancel_group(&mut tx, whole).await.unwrap(), 7);
    // `left`, and with it `last`; the others are not concerned.
    assert_eq!(test.queue.cancel_group(&mut tx, groups[2]).await.unwrap(), 2);
    tx.commit().await.unwrap();
    let report = test.queue.drain(&worker(&test, 4), LONG).await.unwrap();
    assert_eq!((report.completed, report.cancelled, report.scheduled), (5, 7 + 3, 0));
    let states: Vec<String> = stages(&test, part).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["cancelled", "completed", "cancelled", "completed"]);
    assert_eq!(state(&test, whole).await, "cancelled");
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_between_steps_loses_nothing() {
    let test = flow_queue().await;
    // Nothing of what is rolled back is there.
    let mut tx = test.pool.begin().await.unwrap();
    assert!(!test.queue.enqueue_flow(&mut tx, &diamond()).await.unwrap().take_enqueued().is_empty());
    tx.rollback().await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 0);
    // Dead after the commit and before the push.
    let mut tx = test.pool.begin().await.unwrap();
    let flow = test.queue.enqueue_flow(&mut tx, &Flow::chain((1..=4).map(new))).await.unwrap();
    tx.commit().await.unwrap();
    let (flow, jobs) = (flow.id(), flow.jobs().to_vec());
    // The first one is done by SQL, as a program in any language does it.
    sqlx::query("select gristmill.complete($1, '7')").bind(jobs[0]).execute(&test.pool).await.unwrap();
    assert_eq!(stages(&test, flow).await[1].1, "held");
    Sweeper::new(&test.queue).sweep().await.unwrap();
    assert!(!test.queue.jobs().get(jobs[1]).await.unwrap().unwrap().job.held);
    // A transaction that is lost has let nothing go.
    sqlx::raw_sql(
        "create function lost() returns trigger language plpgsql as $$ begin raise 'lost'; end $$;
         create constraint trigger lost after insert on effects deferrable initially deferred for each row
         when (new.n = 2) execute function lost()",
    )
    .execute(&test.pool)
    .await
    .unwrap();
    let worker_of_test = worker(&test, 1);
    let running = work(&worker_of_test);
    until("the attempt that is lost", LONG, || async { test.state(jobs[1]).await.0 == "dead" }).await;
    assert_eq!(stages(&test, flow).await[2].1, "cancelled");
    running.stop().await;
    sqlx::raw_sql("drop trigger lost on effects").execute(&test.pool).await.unwrap();
    let mut tx = test.pool.begin().await.unwrap();
    let again = test.queue.retry_group(&mut tx, flow).await.unwrap();
    tx.commit().await.unwrap();
    drop(again);
    assert_eq!(stages(&test, flow).await[2].1, "held");
    assert_eq!(test.queue.drain(&worker_of_test, LONG).await.unwrap().completed, 4);
    assert_eq!(order(&test).await, [2, 3, 4]);
    assert_eq!(test.queue.jobs().get(jobs[3]).await.unwrap().unwrap().result, Some(json!(7 + 2 + 3 + 4)));
    sound(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_ends_a_stage_holds_nothing_up() {
    let test = flow_queue().await;
    let (flow, groups, jobs) = enqueue(&test, &Flow::chain([new(1), new(2)])).await;
    // As it does: it counts, and knows of no flow.
    sqlx::query("update gristmill.jobs set state = 'completed', finished_at = now(), result = '1' where id = $1")
        .bind(jobs[0])
        .execute(&test.pool)
        .await
        .unwrap();
    sqlx::query("update gristmill.groups set state = 'completed', completed = 1, completions = 1, finished_at = now() where id = $1")
        .bind(groups[0])
        .execute(&test.pool)
        .await
        .unwrap();
    sqlx::query("update gristmill.groups set completed = 1 where id = $1")
        .bind(flow)
        .execute(&test.pool)
        .await
        .unwrap();
    assert_eq!(test.queue.drain(&worker(&test, 1), LONG).await.unwrap().completed, 2);
    assert_eq!(state(&test, flow).await, "completed");
    assert_eq!(test.queue.prune(Duration::ZERO).await.unwrap().groups, 3);
    assert_eq!(test.count("select count(*) from gristmill.flow_stages").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_is_read_by_its_name() {
    #[derive(Serialize, Deserialize)]
    struct Look {}
    impl Job for Look {
        const NAME: &'static str = "look";
    }
    async fn look(ctx: Context, _: Look) -> Result<(), JobError> {
        let of = async |stage| Ok::<_, JobError>(ctx.members_of::<Value>(stage, None, 10).await?.len());
        let before = ctx.members::<Value>(None, 10).await?;
        let counts = [before.len(), of("first").await?, of("left").await?, of("right").await?, of("none").await?];
        ctx.set_result(&counts)?;
        Ok(())
    }
    let test = flow_queue().await;
    let job = || NewJob::of(Look::NAME, &Look {}).unwrap();
    let flow =
        diamond().on_complete(JobSpec::of(&Look {}).unwrap()).stage(Stage::new("look").after(["left"]).job(job()));
    let (flow, _, jobs) = enqueue(&test, &flow).await;
    let worker = Worker::builder(&test.queue).queue("default", 4).register::<Step>(step).register::<Look>(look).build();
    test.queue.drain(&worker, LONG).await.unwrap();
    let result = async |id| test.queue.jobs().get(id).await.unwrap().unwrap().result.unwrap();
    assert_eq!(result(*jobs.last().unwrap()).await, json!([2, 1, 2, 3, 0]));
    let join: JobId = sqlx::query_scalar("select id from gristmill.jobs where join_of = $1")
        .bind(flow)
        .fetch_one(&test.pool)
        .await
        .unwrap();
    assert_eq!(result(join).await, json!([8, 1, 2, 3, 0]), "a join sees all of them");
}

#[tokio::test]
async fn what_is_no_flow_is_refused_and_nothing_of_it_is_there() {
    let test = flow_queue().await;
    let refused = async |flow: Flow| {
        let mut tx = test.pool.begin().await.unwrap();
        let error = test.queue.enqueue_flow(&mut tx, &flow).await.unwrap_err();
        tx.rollback().await.unwrap();
        error
    };
    let large = NewJob::of("large", &"x".repeat(300_000)).unwrap();
    let error = refused(Flow::new().stage(Stage::new("a").jobs([new(1), large]))).await;
    assert!(matches!(&error, FlowError::Job { stage, job: 1, .. } if stage == "a"), "{error}");
    let error = refused(diamond().stage(Stage::new("x").after(["y"]).job(new(1)))).await;
    assert!(matches!(error, FlowError::Unknown { .. }), "{error}");
    let nowhere = GroupId::from(uuid::Uuid::now_v7());
    assert!(matches!(refused(diamond().inside(nowhere)).await, FlowError::Queue(_)));
    assert_eq!(
        test.count("select (select count(*) from gristmill.jobs) + (select count(*) from gristmill.groups)").await,
        0
    );
}
