//! Jobs that go on where another run of theirs has stopped.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_with_another_worker_where_the_one_before_stopped() {
    let test = test_queue().await;
    let (silent, other) = (Elsewhere::new(&test.queue, "py-1"), Elsewhere::new(&test.queue, "py-2"));
    let _sweep = sweep(&test.queue);
    let id = test.enqueue(&thumbs(1), &Options::default()).await[0];
    let next = async |elsewhere: &Elsewhere| loop {
        if let Some(job) = elsewhere.claim(1, Duration::from_millis(500)).await.pop() {
            return job;
        }
    };
    let first = next(&silent).await;
    assert!(first.resume.steps.is_empty() && first.resume.cursor.is_none());
    let ticket = first.ticket;
    let step = |ticket, name: &str, result: &str| RemoteStep { ticket, name: name.into(), result: result.into() };
    let report = RemoteReport {
        held: vec![ticket],
        steps: vec![
            step(ticket, "charge", r#"{"id": 7}"#),
            step(ticket, "large", &format!("\"{}\"", "x".repeat(20_000))),
        ],
        cursors: vec![(ticket, "[3]".into())],
        ..RemoteReport::default()
    };
    let orders = silent.report(report).await;
    assert_eq!(orders.refused.len(), 1);
    assert!(orders.refused[0].1.starts_with("the step `large`: a result of 20002 bytes"), "{orders:?}");
    // It dies. What it says later changes nothing.
    let second = next(&other).await;
    let steps = vec![step(ticket, "late", "1")];
    let orders = silent.report(RemoteReport { held: vec![ticket], steps, ..RemoteReport::default() }).await;
    assert_eq!(orders.lost, [id]);
    let of = |job: &RemoteDelivery| {
        let steps: Vec<_> = job.resume.steps.iter().map(|(name, result)| format!("{name}={result}")).collect();
        (steps, job.resume.cursor.as_ref().map(|cursor| cursor.get().to_owned()))
    };
    assert_eq!(of(&second), (vec![r#"charge={"id": 7}"#.to_owned()], Some("[3]".to_owned())));
    // The first result of a step counts; it sleeps, and no attempt is counted.
    let ticket = second.ticket;
    let sleeping = vec![RemoteSleep { ticket, n: 1, time: Duration::from_millis(300) }];
    let steps = vec![step(ticket, "charge", "8")];
    other.report(RemoteReport { steps, sleeping, ..RemoteReport::default() }).await;
    let third = next(&other).await;
    assert_eq!((third.attempt, third.resume.slept.as_slice(), of(&third)), (1, [1].as_slice(), of(&second)));
    let wait = |ticket, n, timeout| RemoteReport {
        waiting: vec![RemoteWait { ticket, signal: "approved".into(), n, timeout }],
        ..RemoteReport::default()
    };
    other.report(wait(third.ticket, 1, LONG * 60)).await;
    assert_eq!(test.state(id).await.0, "scheduled");
    assert!(other.claim(1, Duration::from_millis(300)).await.is_empty());
    assert!(test.queue.signal(id, "approved", &"ana").await.unwrap());
    let fourth = next(&other).await;
    let received = |job: &RemoteDelivery| -> Vec<(String, u32, Option<String>)> {
        let payload = |json: &serde_json::value::RawValue| json.get().to_owned();
        job.resume.received.iter().map(|it| (it.signal.clone(), it.n, it.payload.as_deref().map(payload))).collect()
    };
    let ana = ("approved".to_owned(), 1, Some(r#""ana""#.to_owned()));
    assert_eq!(received(&fourth), std::slice::from_ref(&ana));
    // None in the time.
    other.report(wait(fourth.ticket, 2, Duration::from_millis(200))).await;
    let fifth = next(&other).await;
    assert_eq!(received(&fifth), [ana, ("approved".to_owned(), 2, None)]);
    // One that was sent before the wait brings the job back at once.
    assert!(test.queue.signal(id, "approved", &"bob").await.unwrap());
    other.report(wait(fifth.ticket, 3, LONG * 60)).await;
    let sixth = next(&other).await;
    assert_eq!(received(&sixth)[2], ("approved".to_owned(), 3, Some(r#""bob""#.to_owned())));
    other.done(&[sixth.ticket]).await;
    assert_eq!(test.state(id).await, ("completed".to_owned(), 0, None));
}
