//! Workers that know nothing but HTTP.

use std::time::{Duration, Instant};

use gristmill_queue::{JobSpec, LogLevel, NewSchedule};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{both, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_comes_in_is_claimed_and_done() {
    for server in both().await {
        // The worker waits, and the job finds it.
        let waits = server.claim("sh-1", 8, 20_000);
        let comes = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let job = json!({ "name": "thumb", "queue": "thumbs", "payload": { "picture": 7 }, "timeout": "30s" });
            server.enqueue(&job).await
        };
        let (jobs, id) = tokio::join!(waits, comes);
        assert_eq!(
            jobs,
            [json!({
                "id": id, "delivery": 1, "queue": "thumbs", "name": "thumb", "attempt": 1, "max_attempts": 8,
                "payload": { "picture": 7 }, "version": 1, "timeout_ms": 30_000, "lease_ms": 6_000,
            })]
        );
        let held = json!({ "held": [[id, 1]], "progress": [{ "id": id, "delivery": 1, "done": 1, "total": 2 }] });
        let orders = server.report("sh-1", &held).await;
        assert_eq!(orders, json!({ "lost": [], "cancel": [], "drain": false, "refused": [] }));
        let line = |more: serde_json::Value| {
            let mut line = json!({ "id": id, "delivery": 1 });
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line
        };
        let logs = json!([
            line(json!({ "message": "half of it" })),
            line(json!({ "message": "it is small", "level": "warn", "at": "2026-01-31T07:00:00Z" })),
        ]);
        let done = json!({ "done": [{ "id": id, "delivery": 1, "result": { "width": 32 } }], "logs": logs });
        server.report("sh-1", &done).await;
        assert_eq!(server.state(&id).await, ("completed".to_owned(), Some(json!({ "width": 32 }))));
        let said = server.queue.jobs().logs(id.parse().unwrap()).await.unwrap();
        let lines: Vec<_> = said[0].lines.iter().map(|line| (line.level, line.message.as_str())).collect();
        assert_eq!(lines, [(LogLevel::Info, "half of it"), (LogLevel::Warn, "it is small")]);
        assert_eq!(said[0].lines[1].at.to_string(), "2026-01-31T07:00:00Z");
        let workers = server.queue.workers().await.unwrap();
        assert_eq!((workers[0].label.as_str(), workers[0].language.as_deref()), ("sh-1", Some("shell")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_comes_again_and_one_that_is_lost_is_done_elsewhere() {
    for server in both().await {
        let id = server.enqueue(&json!({ "name": "thumb", "queue": "thumbs" })).await;
        let first = server.claim("sh-1", 1, 20_000).await;
        let failed =
            json!({ "failed": [{ "id": id, "delivery": first[0]["delivery"], "error": "no", "retry_in": 0 }] });
        server.report("sh-1", &failed).await;
        let second = server.claim("sh-1", 1, 20_000).await;
        assert_eq!((&second[0]["id"], &second[0]["attempt"]), (&json!(id), &json!(2)));
        // It dies.
        let third = server.claim("sh-2", 1, 20_000).await;
        assert_eq!((&third[0]["id"], &third[0]["attempt"]), (&json!(id), &json!(2)));
        assert_eq!(server.done("sh-1", &second).await["lost"], json!([id]));
        assert_eq!(server.state(&id).await.0, "available");
        server.done("sh-2", &third).await;
        assert_eq!(server.state(&id).await.0, "completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_drain_is_told_by_both() {
    for server in both().await {
        server.claim("sh-1", 1, 0).await;
        let worker = server.queue.workers().await.unwrap()[0].id;
        assert!(server.queue.drain_worker(worker).await.unwrap());
        let told = Instant::now();
        while server.report("sh-1", &json!({})).await["drain"] != json!(true) {
            assert!(told.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server.enqueue(&json!({ "name": "thumb", "queue": "thumbs" })).await;
        let body = json!({ "worker": "sh-1", "queues": { "thumbs": 1 }, "names": ["thumb"] });
        let answer = server.request("/v1/work/claims", "all").body(body.to_string()).send().await.unwrap();
        assert_eq!((answer.status(), answer.headers()["gristmill-drain"].to_str().unwrap()), (StatusCode::OK, "true"));
        assert_eq!(answer.text().await.unwrap(), "");
        server.report("sh-1", &json!({ "leaving": true })).await;
        assert!(server.queue.workers().await.unwrap().is_empty());
    }
}

/// A worker that goes on and on holds its job no longer than its producer allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_what_its_worker_does_not() {
    let server = server().await;
    let job = json!({ "name": "thumb", "queue": "thumbs", "timeout": "1s", "max_attempts": 1 });
    let id = server.enqueue(&job).await;
    let begun = Instant::now();
    let jobs = server.claim("sh-1", 1, 20_000).await;
    let held = json!({ "held": [[id, jobs[0]["delivery"]]] });
    while server.report("sh-1", &held).await["lost"] != json!([id]) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(
        begun.elapsed() > Duration::from_secs(5),
        "it has its time, and five seconds to say so: {:?}",
        begun.elapsed()
    );
    assert_eq!(server.state(&id).await.0, "dead");
    let error: String = sqlx::query_scalar("select error from gristmill.job_attempts where job_id = $1::uuid")
        .bind(&id)
        .fetch_one(&server.stack.pool)
        .await
        .unwrap();
    assert_eq!(error, "timed out after 1s: its worker did not stop it");
    server.done("sh-1", &jobs).await;
    assert_eq!(server.state(&id).await.0, "dead", "what it says too late changes nothing");
}

/// A report of "yesterday" needs the time of its tick, and not that of its run.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_schedule_comes_with_its_tick() {
    let server = server().await;
    let spec = JobSpec::new("thumb", json!({})).queue("thumbs");
    server.queue.schedules().put(&NewSchedule::new("nightly", "0 3 * * *", spec)).await.unwrap();
    server.queue.schedules().run_now("nightly").await.unwrap();
    let jobs = server.claim("sh-1", 1, 20_000).await;
    let tick = &jobs[0]["tick"];
    assert_eq!((&tick["schedule"], &tick["cause"]), (&json!("nightly"), &json!("run_now")));
    assert!(tick["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{tick}");
    server.done("sh-1", &jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_in_a_poll_is_given_nothing() {
    for server in both().await {
        // Two polls whose clients go away without a word, as killed ones do.
        let polls = ["sh-1", "sh-2"]
            .map(|worker| tokio::time::timeout(Duration::from_millis(400), server.claim(worker, 250, 20_000)));
        assert!(futures::future::join_all(polls).await.iter().all(Result::is_err), "there was a job");
        tokio::time::sleep(Duration::from_millis(200)).await;
        for n in 0..20 {
            server.enqueue(&json!({ "name": "thumb", "queue": "thumbs", "payload": n })).await;
        }
        let (since, mut given) = (Instant::now(), 0);
        while given < 20 && since.elapsed() < Duration::from_secs(4) {
            let jobs = server.claim("sh-3", 20, 500).await;
            server.done("sh-3", &jobs).await;
            given += jobs.len();
        }
        assert_eq!(given, 20, "the rest was given to those that had gone");
    }
}
