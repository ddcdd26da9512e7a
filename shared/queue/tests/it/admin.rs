//! Jobs and groups in the hands of those who run the queue.

use std::time::Duration;

use gristmill_queue::{
    Context, GroupFilter, GroupId, GroupPolicy, GroupState, Job, JobAction, JobError, JobFilter, JobId, JobSpec,
    JobState, NewGroup, NewSchedule, Options, RedriveJobs, Worker,
};
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Effect, Join, LONG, TestQueue, effect, join, sweep, test_queue, until, work};

/// A job that fails for good, with words of its own, until it is told to succeed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fails {
    words: String,
}

impl Job for Fails {
    const NAME: &'static str = "fails";
    const MAX_ATTEMPTS: u16 = 2;
}

async fn fails(_: Context, job: Fails) -> Result<(), JobError> {
    Err(JobError::discard(job.words))
}

fn worker(test: &TestQueue) -> Worker {
    Worker::builder(&test.queue)
        .queue("default", 8)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .register::<Fails>(fails)
        .with_builtin_jobs()
        .build()
}

impl TestQueue {
    /// Jobs that have failed, as many as words.
    async fn dead(&self, words: &[&str], options: &Options) -> Vec<JobId> {
        let jobs: Vec<Fails> = words.iter().map(|words| Fails { words: (*words).to_owned() }).collect();
        let ids = self.enqueue(&jobs, options).await;
        let worker = work(&worker(self));
        let dead = JobFilter { states: vec![JobState::Dead], ..JobFilter::ids(ids.clone()) };
        until("them to be dead", LONG, || async {
            self.queue.jobs().count(&dead).await.unwrap().jobs == ids.len() as u64
        })
        .await;
        worker.stop().await;
        ids
    }

    /// Every job of a filter, by pages of `limit`.
    async fn pages(&self, filter: &JobFilter, limit: u16) -> Vec<JobId> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.queue.jobs().list(filter, cursor, limit).await.unwrap();
            assert!(page.jobs.len() <= usize::from(limit));
            all.extend(page.jobs.iter().map(|job| job.id));
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    async fn counted(&self, filter: &JobFilter) -> (u64, bool) {
        let count = self.queue.jobs().count(filter).await.unwrap();
        (count.jobs, count.exact)
    }
}

fn states(states: &[JobState]) -> JobFilter {
    JobFilter { states: states.to_vec(), ..JobFilter::default() }
}

fn newest_first(mut ids: Vec<JobId>) -> Vec<JobId> {
    ids.sort_unstable();
    ids.reverse();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_its_jobs_newest_first_whatever_the_page() {
    let test = test_queue().await;
    let new = NewGroup::new(GroupPolicy::Continue);
    let group = test.queue.create_group(&mut test.pool.acquire().await.unwrap(), new).await.unwrap();
    let dead =
        test.dead(&["Disk full", "no such row"], &Options { client_id: Some(7.into()), ..Options::default() }).await;
    let before = Timestamp::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let members = test.enqueue(&Effect::many(7), &Options { group: Some(group), ..Options::default() }).await;
    let later = Options { run_at: Some(Timestamp::now() + 1.hour()), client_id: Some(8.into()), ..Options::default() };
    let scheduled = test.enqueue(&Effect::many(3), &later).await;
    sqlx::query("update gristmill.jobs set state = 'completed', finished_at = now() where id = $1")
        .bind(members[0])
        .execute(&test.pool)
        .await
        .unwrap();
    let all = [dead.clone(), members.clone(), scheduled.clone()].concat();
    let cases = [
        (JobFilter::default(), all.clone()),
        (states(&[JobState::Dead]), dead.clone()),
        (states(&[JobState::Completed]), members[..1].to_vec()),
        (states(&[JobState::Scheduled]), scheduled.clone()),
        (states(&[JobState::Scheduled, JobState::Dead, JobState::Parked]), [dead.clone(), scheduled.clone()].concat()),
        (states(&[JobState::Available, JobState::Dead]), [dead.clone(), members[1..].to_vec()].concat()),
        (states(&[JobState::Completed, JobState::Scheduled]), [members[..1].to_vec(), scheduled.clone()].concat()),
        (JobFilter { name: Some("fails".into()), ..JobFilter::default() }, dead.clone()),
        (JobFilter { excluded_names: vec!["fails".into()], ..JobFilter::default() }, all[2..].to_vec()),
        (JobFilter { excluded_names: vec!["fails".into()], ..states(&[JobState::Dead]) }, Vec::new()),
        (JobFilter { queue: Some("other".into()), ..JobFilter::default() }, Vec::new()),
        (JobFilter { client_id: Some(8.into()), ..JobFilter::default() }, scheduled.clone()),
        (JobFilter { group: Some(group), ..JobFilter::default() }, members.clone()),
        (JobFilter { group: Some(group), ..states(&[JobState::Available]) }, members[1..].to_vec()),
        (JobFilter { error: Some("disk FULL".into()), ..JobFilter::default() }, dead[..1].to_vec()),
        (JobFilter { error: Some("100%".into()), ..states(&[JobState::Dead]) }, Vec::new()),
        (JobFilter { created_after: Some(before), ..JobFilter::default() }, all[2..].to_vec()),
        (JobFilter { created_before: Some(before), ..JobFilter::default() }, dead.clone()),
        (JobFilter::ids([dead[1], members[2], JobId::from(Uuid::now_v7())]), vec![dead[1], members[2]]),
        (JobFilter { redriven_less_than: Some(1), ..states(&[JobState::Dead]) }, dead.clone()),
        (JobFilter { redriven_less_than: Some(0), ..JobFilter::default() }, Vec::new()),
    ];
    for (filter, expected) in cases {
        let expected = newest_first(expected);
        for limit in [1, 2, 3, 200] {
            assert_eq!(test.pages(&filter, limit).await, expected, "{filter:?} by {limit}");
        }
        assert_eq!(test.counted(&filter).await, (expected.len() as u64, true), "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rare_job_is_found_behind_many_and_counting_ends() {
    let test = test_queue().await;
    let rare = test.enqueue(&[Fails { words: String::new() }], &Options::default()).await;
    sqlx::query("update gristmill.jobs set state = 'completed'").execute(&test.pool).await.unwrap();
    // Ids in order of time, as the queue makes them.
    sqlx::query(
        "insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, finished_at)
         select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint + 1000 + n), 12, '0') || '70008000000000000000')::uuid,
                'effect', 'default', 4, '{}', 'completed', 1, now()
         from generate_series(1, 30000) n",
    )
    .execute(&test.pool)
    .await
    .unwrap();
    let filter = JobFilter { name: Some("fails".into()), ..JobFilter::default() };
    assert_eq!(test.pages(&filter, 50).await, rare);
    assert_eq!(test.counted(&JobFilter::default()).await, (10_000, false));
    let found = test.queue.jobs().count_within(&filter, LONG).await.unwrap();
    assert_eq!((found.jobs, found.exact), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_tells_its_whole_story() {
    let test = test_queue().await;
    let group =
        NewGroup { name: Some("import".into()), client_id: Some(7.into()), ..NewGroup::new(GroupPolicy::Continue) };
    let group = test.queue.create_group(&mut test.pool.acquire().await.unwrap(), group).await.unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let options = Options { group: Some(group), trace_parents: vec![Some(trace.into())], ..Options::default() };
    let id = test.dead(&["Disk full"], &options).await[0];
    let detail = test.queue.jobs().get(id).await.unwrap().unwrap();
    assert_eq!((detail.job.id, detail.job.state, detail.job.attempt), (id, JobState::Dead, 1));
    assert_eq!(detail.payload, json!({ "words": "Disk full" }));
    assert_eq!(detail.trace_parent.as_deref(), Some(trace));
    assert!(detail.last_error.unwrap().contains("Disk full"));
    assert_eq!(detail.attempts.len(), 1);
    let attempt = &detail.attempts[0];
    assert_eq!((attempt.attempt, attempt.outcome.as_str()), (1, "discarded"));
    assert!(attempt.error.as_deref().unwrap().contains("Disk full") && attempt.worker.is_some(), "{attempt:?}");
    let around = detail.group.unwrap();
    assert_eq!((around.id, around.name.as_deref(), around.failed), (group, Some("import"), 1));
    assert_eq!(test.queue.jobs().get(JobId::from(Uuid::now_v7())).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_cancelled_and_what_is_finished_stays() {
    let test = test_queue().await;
    test.enqueue(&Effect::many(1_200), &Options { client_id: Some(7.into()), ..Options::default() }).await;
    let others = test.enqueue(&Effect::many(3), &Options { client_id: Some(8.into()), ..Options::default() }).await;
    let mine = JobFilter { client_id: Some(7.into()), ..JobFilter::default() };
    // In parts: each goes on where the one before has ended.
    let (mut changed, mut place, mut parts) = (0, None, 0);
    loop {
        let acted = test.queue.jobs().act(JobAction::Cancel, &mine, place, Duration::ZERO).await.unwrap();
        (changed, place, parts) = (changed + acted.changed, acted.next, parts + 1);
        if place.is_none() {
            break;
        }
    }
    assert!(changed == 1_200 && parts >= 3, "{changed} in {parts}");
    assert_eq!(test.counted(&states(&[JobState::Cancelled])).await, (1_200, true));
    assert_eq!(
        test.counted(&JobFilter { client_id: Some(8.into()), ..states(&[JobState::Available]) }).await,
        (3, true)
    );
    assert_eq!(test.queue.jobs().cancel(&mine).await.unwrap().changed, 0);
    let worker = work(&worker(&test));
    until("the others", LONG, || async { test.effects().await == (3, 3) }).await;
    worker.stop().await;
    assert_eq!(others.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_spreads_its_starts() {
    let test = test_queue().await;
    let words = ["Disk full"; 10];
    let ids = test.dead(&words, &Options::default()).await;
    let other = test.dead(&["no such row"], &Options::default()).await;
    let filter = JobFilter { error: Some("disk full".into()), ..JobFilter::default() };
    let acted = test.queue.jobs().redrive(&filter, Some(2.0)).await.unwrap();
    assert_eq!((acted.changed, acted.requested, acted.next), (10, 0, None));
    // The first at once, the others half a second after each other, the oldest first.
    let starts: Vec<(JobId, f64)> = sqlx::query_as(
        "select id, extract(epoch from run_at - min(run_at) over ())::float8 from gristmill.jobs where redriven = 1 order by run_at",
    )
    .fetch_all(&test.pool)
    .await
    .unwrap();
    assert_eq!(starts.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    assert!((4.0..5.0).contains(&starts[9].1), "{starts:?}");
    assert_eq!(test.counted(&states(&[JobState::Scheduled])).await.0, 9);
    assert_eq!(test.state(other[0]).await.0, "dead");
    // They run, and fail again.
    let (worker, sweeper) = (work(&worker(&test)), sweep(&test.queue));
    until("them to be dead again", LONG, || async { test.counted(&states(&[JobState::Dead])).await == (11, true) })
        .await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(test.queue.jobs().get(ids[0]).await.unwrap().unwrap().attempts.len(), 2);
    // Given up, they are only brought back by name of their state.
    assert_eq!(test.queue.jobs().discard(&filter).await.unwrap().changed, 10);
    assert_eq!(test.queue.jobs().redrive(&filter, None).await.unwrap().changed, 0);
    let filter = JobFilter { states: vec![JobState::Cancelled], ..filter };
    assert_eq!(test.queue.jobs().redrive(&filter, None).await.unwrap().changed, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_redrives_until_a_job_has_had_its_rounds() {
    let test = test_queue().await;
    let ids = test.dead(&["Disk full"], &Options::default()).await;
    let redrive = RedriveJobs {
        filter: JobFilter { name: Some("fails".into()), ..JobFilter::default() },
        per_second: Some(100.0),
        max_rounds: Some(2),
    };
    let new = NewSchedule::new("again", "@yearly", JobSpec::of(&redrive).unwrap());
    test.queue.schedules().put(&new).await.unwrap();
    let (worker, sweeper) = (work(&worker(&test)), sweep(&test.queue));
    for expected in [1, 2, 2] {
        let tick = test.queue.schedules().run_now("again").await.unwrap();
        until("the redrive to end", LONG, || async {
            test.state(tick.job_id.unwrap()).await.0 == "completed" && test.state(ids[0]).await.0 == "dead"
        })
        .await;
        let detail = test.queue.jobs().get(ids[0]).await.unwrap().unwrap();
        assert_eq!((detail.job.redriven, detail.attempts.len()), (expected, expected as usize + 1));
    }
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_and_looked_into() {
    let test = test_queue().await;
    let create =
        async |new: NewGroup| test.queue.create_group(&mut test.pool.acquire().await.unwrap(), new).await.unwrap();
    let join = Some(JobSpec::of(&Join { failed: false }).unwrap());
    let outer =
        create(NewGroup { on_complete: join, client_id: Some(7.into()), ..NewGroup::new(GroupPolicy::Continue) }).await;
    let inner = create(NewGroup { parent: Some(outer), ..NewGroup::new(GroupPolicy::FailFast) }).await;
    let other = create(NewGroup { client_id: Some(8.into()), ..NewGroup::new(GroupPolicy::Continue) }).await;
    let dead = test.dead(&["Disk full"], &Options { group: Some(outer), ..Options::default() }).await;
    let mut tx = test.pool.begin().await.unwrap();
    test.queue.cancel_group(&mut tx, other).await.unwrap();
    tx.commit().await.unwrap();

    let groups = test.queue.groups();
    let found = async |filter: GroupFilter| {
        let (mut ids, mut cursor) = (Vec::new(), None);
        loop {
            let page = groups.list(&filter, cursor, 1).await.unwrap();
            ids.extend(page.groups.iter().map(|group| group.id));
            cursor = page.next;
            if cursor.is_none() {
                return ids;
            }
        }
    };
    assert_eq!(found(GroupFilter::default()).await, [other, inner, outer]);
    let open = vec![GroupState::Open, GroupState::Failing];
    assert_eq!(found(GroupFilter { states: open, ..GroupFilter::default() }).await, [inner, outer]);
    let cancelled = vec![GroupState::Cancelled];
    assert_eq!(found(GroupFilter { states: cancelled, ..GroupFilter::default() }).await, [other]);
    assert_eq!(found(GroupFilter { client_id: Some(7.into()), ..GroupFilter::default() }).await, [outer]);
    assert_eq!(found(GroupFilter { parent: Some(outer), ..GroupFilter::default() }).await, [inner]);

    let detail = groups.get(outer).await.unwrap().unwrap();
    assert_eq!((detail.group.total, detail.group.failed, detail.group.policy.as_str()), (2, 1, "continue"));
    assert_eq!(detail.children.iter().map(|child| child.id).collect::<Vec<_>>(), [inner]);
    assert_eq!(detail.failed_members.iter().map(|job| job.id).collect::<Vec<_>>(), dead);
    assert!(detail.on_complete.is_some() && detail.on_failure.is_none() && detail.parent.is_none());
    assert_eq!(groups.get(inner).await.unwrap().unwrap().parent.unwrap().id, outer);
    assert!(groups.get(GroupId::from(Uuid::now_v7())).await.unwrap().is_none());
}
