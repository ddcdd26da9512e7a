//! What a report says, and what its answer does.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_claimed_done_and_known_as_the_workers() {
    let test = test_queue().await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    // It waits before there is one, and is woken.
    let waiting = elsewhere.claim(4, LONG);
    let id = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        test.enqueue(&[Thumb { n: 7 }], &Options::default()).await[0]
    };
    let (jobs, id) = tokio::join!(waiting, id);
    assert_eq!((jobs.len(), jobs[0].ticket, jobs[0].attempt), (1, Ticket { id, delivery: 1 }, 1));
    assert_eq!((jobs[0].name.as_str(), jobs[0].payload.get(), jobs[0].max_attempts), ("thumb", r#"{"n":7}"#, 8));
    let progress = vec![(jobs[0].ticket, Progress { done: 1, total: 3 })];
    let held = tickets(&jobs);
    elsewhere.report(RemoteReport { held, progress, ..RemoteReport::default() }).await;
    assert_eq!(test.queue.progress(id).await.unwrap(), Some(Progress { done: 1, total: 3 }));
    until("the roster to show it", LONG, || async {
        elsewhere.held(&tickets(&jobs)).await;
        let seen = test.queue.workers().await.unwrap();
        seen.iter().any(|worker| {
            worker.label == "py-1"
                && worker.language.as_deref() == Some("python")
                && worker.lines.iter().any(|line| {
                    line.queue == "default"
                        && line.concurrency == 4
                        && line.held == 1
                        && line.running[0].name.as_deref() == Some("thumb")
                })
        })
    })
    .await;
    let done = vec![(jobs[0].ticket, Some(r#"{"width":32}"#.to_owned()))];
    let orders = elsewhere.report(RemoteReport { done: done.clone(), ..RemoteReport::default() }).await;
    assert_eq!(orders, RemoteOrders::default());
    assert_eq!(test.state(id).await.0, "completed");
    assert_eq!(result(&test, id).await.as_deref(), Some(r#"{"width": 32}"#));
    let (worker, started): (Option<String>, bool) =
        sqlx::query_as("select worker, started_at is not null from gristmill.jobs where id = $1")
            .bind(id)
            .fetch_one(&test.pool)
            .await
            .unwrap();
    assert_eq!((worker.as_deref(), started), (Some("py-1"), true));
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (0, 0));
    // The answer was lost on its way: the same report again does nothing.
    let again = elsewhere.report(RemoteReport { done, leaving: true, ..RemoteReport::default() }).await;
    assert_eq!((again, test.state(id).await.0.as_str()), (RemoteOrders::default(), "completed"));
    assert!(test.queue.workers().await.unwrap().is_empty(), "who leaves is not in the roster");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_snoozes_and_returns_are_what_they_say() {
    let test = test_queue().await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let _sweep = sweep(&test.queue);
    let ids = test.enqueue(&thumbs(6), &Options { max_attempts: Some(2), ..Options::default() }).await;
    let mut jobs = elsewhere.claim(6, LONG).await;
    while jobs.len() < 6 {
        jobs.extend(elsewhere.claim(6, LONG).await);
    }
    let of = |n: usize| jobs.iter().find(|job| job.ticket.id == ids[n]).unwrap().ticket;
    let failure = |n: usize, change: fn(&mut RemoteFailure)| {
        let mut failure = RemoteFailure::new(of(n), "no such picture\0");
        change(&mut failure);
        failure
    };
    let orders = elsewhere
        .report(RemoteReport {
            failed: vec![
                failure(0, |failure| failure.retry_in = Some(Duration::from_secs(3_600))),
                failure(1, |failure| failure.discard = true),
                failure(2, |_| {}),
            ],
            snoozed: vec![(of(3), Duration::from_secs(3_600))],
            released: vec![of(4)],
            done: vec![(of(5), Some(format!("\"{}\"", "x".repeat(20_000))))],
            ..RemoteReport::default()
        })
        .await;
    assert_eq!(orders.refused.len(), 1);
    assert_eq!(orders.refused[0].0, ids[5]);
    assert!(orders.refused[0].1.contains("20002 bytes is too large: at most 16384"), "{orders:?}");
    let text = |text: &str| (text.to_owned(), 1, Some("no such picture".to_owned()));
    assert_eq!(test.state(ids[0]).await, text("scheduled"));
    assert_eq!(test.state(ids[1]).await, text("dead"));
    assert_eq!(test.state(ids[3]).await, ("scheduled".to_owned(), 0, None));
    // At once again: what was given back as the same attempt, the failures as the next one.
    let mut again: Vec<RemoteDelivery> = Vec::new();
    while again.len() < 3 {
        again.extend(elsewhere.claim(6, LONG).await);
    }
    let mut seen: Vec<(JobId, u32)> = again.iter().map(|job| (job.ticket.id, job.attempt)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(ids[2], 2), (ids[4], 1), (ids[5], 2)]);
    // The first attempt's words are not the second's, whatever number the broker gave that.
    let orders = elsewhere.report(RemoteReport { failed: vec![failure(2, |_| {})], ..RemoteReport::default() }).await;
    assert_eq!(orders.lost, [ids[2]]);
    assert_eq!(test.state(ids[2]).await.0, "available");
    let last: Vec<_> = again.iter().map(|job| RemoteFailure::new(job.ticket, "again")).collect();
    elsewhere.report(RemoteReport { failed: last, ..RemoteReport::default() }).await;
    assert_eq!((test.state(ids[2]).await.0.as_str(), test.state(ids[5]).await.0.as_str()), ("dead", "dead"));
    let outcomes: Vec<(i32, String, Option<String>)> =
        sqlx::query_as("select attempt, outcome, worker from gristmill.job_attempts where job_id = $1 order by seq")
            .bind(ids[2])
            .fetch_all(&test.pool)
            .await
            .unwrap();
    let line = |attempt| (attempt, "retried".to_owned(), Some("py-1".to_owned()));
    assert_eq!(outcomes, [line(1), line(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_drain_are_told_in_the_answer() {
    let test = test_queue().await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let ids = test.enqueue(&thumbs(2), &Options::default()).await;
    let mut jobs = elsewhere.claim(2, LONG).await;
    jobs.extend(elsewhere.claim(2 - jobs.len(), Duration::from_millis(500)).await);
    jobs.sort_by_key(|job| job.ticket.id);
    let held = tickets(&jobs);
    assert_eq!(test.queue.cancel_jobs(&ids).await.unwrap().requested, 2);
    let orders = elsewhere.held(&held).await;
    assert_eq!((orders.cancel.as_slice(), orders.lost.is_empty()), (ids.as_slice(), true));
    // One heeds it, the other one does not.
    let heeds = RemoteFailure { cancelled: true, ..RemoteFailure::new(held[0], "stopped") };
    elsewhere.report(RemoteReport { failed: vec![heeds], held: vec![held[1]], ..RemoteReport::default() }).await;
    assert_eq!(test.state(ids[0]).await.0, "cancelled");
    until("the other one to be taken away", LONG, || async { elsewhere.held(&held[1..]).await.lost == [ids[1]] }).await;
    assert_eq!(test.state(ids[1]).await.0, "cancelled");

    let worker = test.queue.workers().await.unwrap()[0].id;
    assert!(test.queue.drain_worker(worker).await.unwrap());
    until("it to be told", LONG, || async { elsewhere.held(&[]).await.drain }).await;
    let waits = test.enqueue(&thumbs(1), &Options::default()).await;
    let queues = BTreeMap::from([("default".to_owned(), 1)]);
    let wait = Duration::from_secs(1);
    let claim = RemoteClaim { worker: elsewhere.worker.clone(), queues, names: vec!["thumb".into()], wait };
    let answer = elsewhere.remote.claim(claim).await.unwrap();
    assert!(answer.drain && answer.deliveries.is_empty());
    assert!(test.queue.workers().await.unwrap()[0].draining);
    assert_eq!(Elsewhere::new(&test.queue, "py-2").claim(1, LONG).await[0].ticket.id, waits[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_join_comes_with_the_report_that_ends_its_last_member() {
    let test = test_queue().await;
    let mut tx = test.pool.begin().await.unwrap();
    let join = JobSpec::of(&Thumb { n: -1 }).unwrap();
    let new = NewGroup { on_complete: Some(join), ..NewGroup::new(GroupPolicy::Continue) };
    let group = test.queue.create_group(&mut tx, new).await.unwrap();
    let options = Options { group: Some(group), ..Options::default() };
    let jobs = test.queue.enqueue_all(&mut tx, &thumbs(1_000), &options).await.unwrap();
    let sealed = test.queue.seal_group(&mut tx, group).await.unwrap();
    tx.commit().await.unwrap();
    test.queue.push(jobs).await;
    test.queue.push(sealed).await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let mut done = 0;
    while done < 1_000 {
        let jobs = elsewhere.claim(500, LONG).await;
        done += jobs.len();
        elsewhere.done(&tickets(&jobs)).await;
    }
    assert_eq!(done, 1_000);
    // No sweep runs here.
    let join = elsewhere.claim(1, LONG).await;
    assert_eq!(join[0].payload.get(), r#"{"n": -1}"#);
    assert_eq!(test.queue.group(group).await.unwrap().unwrap().completed, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_say_is_kept_once_and_outlives_them() {
    let test = test_queue().await;
    let (silent, other) = (Elsewhere::new(&test.queue, "py-1"), Elsewhere::new(&test.queue, "py-2"));
    let id = test.enqueue(&thumbs(1), &Options::default()).await[0];
    let at = |second: i64| jiff::Timestamp::from_second(1_800_000_000 + second).unwrap();
    let line = |second: i64, text: &str| LogLine::new(at(second), LogLevel::Info, text);
    let first = silent.claim(1, LONG).await[0].ticket;
    let says = |ticket, lines: Vec<LogLine>, done: bool| RemoteReport {
        held: vec![ticket],
        done: done.then_some((ticket, None)).into_iter().collect(),
        logs: lines.into_iter().map(|line| (ticket, line)).collect(),
        ..RemoteReport::default()
    };
    silent.report(says(first, vec![line(0, "begun"), line(1, "one\0")], false)).await;
    // Its answer was lost: it is sent again, with more.
    silent.report(says(first, vec![line(0, "begun"), line(1, "one"), line(2, "two")], false)).await;
    // It dies.
    let second = loop {
        if let [job] = other.claim(1, Duration::from_millis(500)).await.as_slice() {
            break job.ticket;
        }
    };
    let orders = silent.report(says(first, vec![line(3, "not its any more")], false)).await;
    assert_eq!(orders.lost, [id]);
    for _ in 0..2 {
        other.report(says(second, vec![line(9, "done by another")], true)).await;
    }
    let said = test.queue.jobs().logs(id).await.unwrap();
    let texts: Vec<&str> = said[0].lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!((said.len(), said[0].attempt, texts), (1, 1, vec!["begun", "one", "two", "done by another"]));
    assert_eq!(test.state(id).await.0, "completed");
    // Bounded, over any number of reports.
    let many = test.enqueue(&thumbs(1), &Options::default()).await[0];
    let ticket = other.claim(1, LONG).await[0].ticket;
    for part in 0..3 {
        let lines = (0..300).map(|n| line(part * 300 + n, &"x".repeat(100))).collect();
        other.report(says(ticket, lines, false)).await;
    }
    let said = &test.queue.jobs().logs(many).await.unwrap()[0];
    assert_eq!((said.lines.len(), said.dropped, said.lines[0].at), (500, 400, at(400)));
    let lines = (0..40).map(|n| line(1_000 + n, &"y".repeat(4_000))).collect();
    other.report(says(ticket, lines, false)).await;
    let said = &test.queue.jobs().logs(many).await.unwrap()[0];
    assert_eq!((said.lines.len(), said.dropped), (31, 909), "64 KiB of messages");
}
