use std::time::Duration;

use gristmill_uploads::{
    UploadId,
    events::{Events, Name},
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Api, api, api_with, eventually, file, problem};

/// One event of a stream, or a comment.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(api: &Api, id: UploadId, after: Option<&str>) -> Self {
        let request = api.get(&format!("/v1/uploads/{id}/events"));
        let request = after.into_iter().fold(request, |request, after| request.header("last-event-id", after));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            match self.response.chunk().await.unwrap() {
                Some(bytes) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                None => return None,
            }
        }
    }

    /// Says after each piece how many comments have come, to the end of the stream.
    async fn beats(mut self, beats: &tokio::sync::watch::Sender<usize>) {
        while let Some(bytes) = self.response.chunk().await.unwrap() {
            let comments = bytes.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b":")).count();
            beats.send_modify(|beats| *beats += comments);
        }
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let name = field("event")?.to_owned();
    Some(Event { id: field("id").map(str::to_owned), name, data: serde_json::from_str(field("data")?).unwrap() })
}

fn numbers(events: &[Event]) -> Vec<i64> {
    events.iter().filter_map(|event| event.data["n"].as_i64()).collect()
}

/// An upload whose stream is empty, and the events to fill it.
async fn watched(api: &Api) -> (UploadId, Events) {
    let upload = api.upload(file(3)).await;
    let id: UploadId = upload["id"].as_str().unwrap().parse().unwrap();
    forget(api, id).await;
    (id, Events::connect(&api.stack.redis_url, &api.stack.namespace).unwrap())
}

/// What an hour does to the stream of a finished upload.
async fn forget(api: &Api, id: UploadId) {
    let mut redis = api.stack.redis_connection().await;
    let key = format!("{}:events:{id}", api.stack.namespace);
    redis::cmd("DEL").arg(key).exec_async(&mut redis).await.unwrap();
}

/// The API's one subscription is there.
async fn subscribed(api: &Api) {
    let channel = format!("{}:events", api.stack.namespace);
    let mut redis = api.stack.redis_connection().await;
    let () = eventually("a subscription", async || {
        let (_, watchers): (String, i64) =
            redis::cmd("PUBSUB").arg("NUMSUB").arg(&channel).query_async(&mut redis).await.unwrap();
        assert!(watchers <= 1, "one a process");
        (watchers == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn history_then_news_each_once_then_the_end() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    subscribed(&api).await;
    for n in 0..5 {
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(tokio::spawn(Stream::open(&api, id, None).await.rest()));
    }
    for n in 5..200 {
        let name = if n % 10 == 0 { Name::Rejected } else { Name::Progress };
        events.publish(id, name, &json!({"n": n})).await;
    }
    events.publish(id, Name::Completed, &json!({"n": 200})).await;
    let expected: Vec<i64> = (0..=200).collect();
    for stream in streams {
        let seen = stream.await.unwrap();
        assert_eq!(numbers(&seen), expected);
        assert_eq!(seen.last().unwrap().name, "completed");
    }
}

#[tokio::test]
async fn a_watcher_goes_on_after_the_last_event_it_has_seen() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    let mut first = Stream::open(&api, id, None).await;
    let greeting = first.next().await.unwrap();
    assert_eq!((greeting.name.as_str(), &greeting.id), ("progress", &None), "no history: the state as it is");
    for n in 0..10 {
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(first.next().await.unwrap());
    }
    drop(first);
    let after = seen.last().unwrap().id.clone().unwrap();
    let again = Stream::open(&api, id, Some(&after)).await;
    for n in 10..15 {
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    events.publish(id, Name::Failed, &json!({"n": 15})).await;
    let rest = again.rest().await;
    assert_eq!(numbers(&[seen, rest.clone()].concat()), (0..=15).collect::<Vec<_>>());

    // A browser that connects again after the end is told to stop.
    api.pretend(&id.to_string(), "failed").await;
    let end = rest.last().unwrap().id.clone().unwrap();
    for seen in [end.as_str(), "end"] {
        let request = api.get(&format!("/v1/uploads/{id}/events")).header("last-event-id", seen);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    let request = api.get(&format!("/v1/uploads/{id}/events")).header("last-event-id", "yesterday");
    insta::assert_json_snapshot!(problem(request.send().await.unwrap(), StatusCode::BAD_REQUEST).await);
}

#[tokio::test]
async fn an_undone_upload_ends_as_cancelled() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    events.publish(id, Name::Progress, &json!({"n": 0})).await;
    api.pretend(&id.to_string(), "completed").await;
    events.publish(id, Name::Completed, &json!({"n": 1})).await;
    let before = Stream::open(&api, id, None).await.rest().await;
    assert_eq!(before.last().unwrap().name, "completed");
    let seen = before.last().unwrap().id.clone().unwrap();
    let status = async |seen: &str| {
        let request = api.get(&format!("/v1/uploads/{id}/events")).header("last-event-id", seen);
        request.send().await.unwrap().status()
    };
    assert_eq!(status(&seen).await, StatusCode::NO_CONTENT);

    let undone = api.bare("DELETE", &format!("/v1/uploads/{id}")).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(undone.status(), StatusCode::ACCEPTED);
    // Told late, it is no news.
    events.publish(id, Name::Completed, &json!({"n": 2})).await;
    let names = |events: &[Event]| events.iter().map(|event| event.name.clone()).collect::<Vec<_>>();
    let anew = Stream::open(&api, id, None).await.rest().await;
    assert_eq!(names(&anew), ["progress", "cancelled"], "{anew:?}");
    let rest = Stream::open(&api, id, Some(&seen)).await.rest().await;
    assert_eq!(names(&rest), ["cancelled"]);
    assert_eq!(rest[0].data["reason"], "undone");
    assert_eq!(status(rest[0].id.as_deref().unwrap()).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn trimmed_history_resets_the_watcher() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    for n in 0..10 {
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    let history = events.since(id, "0").await.unwrap().events;
    let key = format!("{}:events:{id}", api.stack.namespace);
    redis::cmd("XTRIM")
        .arg(key)
        .arg("MAXLEN")
        .arg(3)
        .exec_async(&mut api.stack.redis_connection().await)
        .await
        .unwrap();

    let mut stream = Stream::open(&api, id, Some(&history[2].id)).await;
    assert_eq!(stream.next().await.unwrap().name, "reset");
    let state = stream.next().await.unwrap();
    assert_eq!((state.name.as_str(), &state.data["id"]), ("progress", &Value::from(id.to_string())));
    assert_eq!(state.id.as_ref(), Some(&history[9].id), "what was there is behind it");
    events.publish(id, Name::Cancelled, &json!({"n": 10})).await;
    assert_eq!(numbers(&stream.rest().await), [10]);
}

#[tokio::test]
async fn the_end_comes_from_the_database_when_nobody_told_it() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    let mut stream = Stream::open(&api, id, None).await;
    assert_eq!(stream.next().await.unwrap().name, "progress");
    events.publish(id, Name::Progress, &json!({"n": 1})).await;
    assert_eq!(stream.next().await.unwrap().data["n"], 1);
    api.pretend(&id.to_string(), "completed").await;
    let rest = tokio::time::timeout(Duration::from_secs(60), stream.rest()).await.expect("it ends");
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].name.as_str(), rest[0].id.as_deref()), ("completed", Some("end")));

    forget(&api, id).await;
    let late = Stream::open(&api, id, None).await.rest().await;
    assert_eq!(late.len(), 1);
    assert_eq!((late[0].name.as_str(), &late[0].data["state"]), ("completed", &Value::from("completed")));
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives_and_ends_at_shutdown() {
    let api = api_with(|config| config.api.api_grace = Duration::from_secs(60)).await;
    let (id, _) = watched(&api).await;
    let mut stream = Stream::open(&api, id, None).await;
    stream.next().await.unwrap();
    let (beat, mut beats) = tokio::sync::watch::channel(0);
    let watcher = tokio::spawn(async move { stream.beats(&beat).await });
    tokio::time::timeout(Duration::from_secs(60), beats.wait_for(|beats| *beats >= 2))
        .await
        .expect("it beats")
        .unwrap();
    // The watcher goes on reading: a shutdown that waited for it would wait for the whole grace period, a minute.
    tokio::time::timeout(Duration::from_secs(50), api.stopped()).await.expect("nobody waits for watchers");
    watcher.await.unwrap();
}

#[tokio::test]
async fn a_broken_subscription_loses_nothing() {
    let api = api_with(|config| config.api.heartbeat = Duration::from_secs(60)).await;
    let (id, events) = watched(&api).await;
    subscribed(&api).await;
    let mut stream = Stream::open(&api, id, None).await;
    stream.next().await.unwrap();
    let mut redis = api.stack.redis_connection().await;
    for n in 0..10 {
        if n % 4 == 2 {
            redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec_async(&mut redis).await.unwrap();
        }
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    events.publish(id, Name::Completed, &json!({"n": 10})).await;
    let seen = tokio::time::timeout(Duration::from_secs(60), stream.rest()).await.expect("it catches up");
    assert_eq!(numbers(&seen), (0..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watcher_that_falls_behind_misses_nothing() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    subscribed(&api).await;
    let mut stream = Stream::open(&api, id, None).await;
    stream.next().await.unwrap();
    // More than the buffers of both kernels and of the hub hold.
    let ballast = "x".repeat(16 * 1024);
    for n in 0..1_500 {
        events.publish(id, Name::Progress, &json!({"n": n, "ballast": ballast})).await;
    }
    events.publish(id, Name::Completed, &json!({"n": 1_500})).await;
    assert_eq!(numbers(&stream.rest().await), (0..=1_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_long_past_is_read_in_pages() {
    let api = api().await;
    let (id, events) = watched(&api).await;
    for n in 0..250 {
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    let page = events.since(id, "0").await.unwrap();
    assert_eq!((page.events.len(), page.more), (100, true));
    assert_eq!(page.newest.unwrap().data, r#"{"n":249}"#);
    let stream = Stream::open(&api, id, None).await;
    for n in 250..300 {
        events.publish(id, Name::Progress, &json!({"n": n})).await;
    }
    events.publish(id, Name::Completed, &json!({"n": 300})).await;
    assert_eq!(numbers(&stream.rest().await), (0..=300).collect::<Vec<_>>());
    // Exactly so many as pages hold.
    let (id, events) = watched(&api).await;
    for n in 0..200 {
        let name = if n == 199 { Name::Failed } else { Name::Progress };
        events.publish(id, name, &json!({"n": n})).await;
    }
    assert_eq!(numbers(&Stream::open(&api, id, None).await.rest().await), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn answers_are_compressed_and_events_are_not() {
    let api = api().await;
    let (id, _) = watched(&api).await;
    let get = async |path: &str| api.get(path).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(get("/openapi.json").await.headers()["content-encoding"], "gzip");
    assert!(!get(&format!("/v1/uploads/{id}/events")).await.headers().contains_key("content-encoding"));
}
