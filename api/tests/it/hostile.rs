//! What somebody sends who means harm.

use std::{convert::Infallible, time::Duration};

use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use futures::{StreamExt, stream};
use gristmill_platform::keys;
use gristmill_uploads::client_limits::{self, OwnLimits};
use reqwest::{Body, StatusCode};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::support::{Api, HEADER, api, api_with, eventually, file, problem, rows};

/// `first`, and then `again` without an end.
fn endless(first: &str, again: &'static [u8]) -> Body {
    let first = Bytes::from(first.to_owned());
    let rest = stream::repeat(Bytes::from_static(again));
    Body::wrap_stream(stream::iter([first]).chain(rest).map(Ok::<_, Infallible>))
}

#[tokio::test]
async fn nothing_of_a_form_is_read_without_end() {
    let api = api().await;
    let part = "--BB\r\nContent-Disposition: form-data; name=\"file\"";
    for (what, first) in [
        ("before the first boundary", String::new()),
        ("a header", format!("{part}\r\nX: ")),
        ("headers", format!("{part}\r\nX: y\r\nZ: ")),
        ("a file's name", format!("{part}; filename=\"")),
        ("the blanks behind a boundary", "--BB".to_owned()),
        (
            "the second part's headers",
            "--BB\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\ndebts\r\n--BB\r\nX: ".to_owned(),
        ),
    ] {
        let again: &[u8] = if what.starts_with("the blanks") { &[b' '; 8192] } else { &[b'y'; 8192] };
        let request = api.post("/v1/uploads?kind=debts").header("content-type", "multipart/form-data; boundary=BB");
        let refused = request.body(endless(&first, again)).send().await.expect(what);
        let found = problem(refused, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["type"], "/problems/invalid-body", "{what}");
        assert!(
            found["detail"].as_str().unwrap().contains("16384 bytes came and no part has begun"),
            "{what}: {found}"
        );
    }
    let long = format!("{part}; filename=\"{}\"\r\n\r\n{}\r\n--BB--\r\n", "n".repeat(1_025), file(2));
    let request = api.post("/v1/uploads?kind=debts").header("content-type", "multipart/form-data; boundary=BB");
    let found = problem(request.body(long).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert!(found["detail"].as_str().unwrap().contains("longer than 1024 bytes"), "{found}");
    let boundary = format!("multipart/form-data; boundary={}", "b".repeat(71));
    let request = api.post("/v1/uploads?kind=debts").header("content-type", boundary);
    problem(request.body("x").send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_form_behind_a_preamble_is_read_as_before() {
    let api = api().await;
    let form = format!(
        "{}\r\n--BB\r\nContent-Disposition: form-data; name=\"kind\"\r\nX-More: {}\r\n\r\ndebts\r\n--BB\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n{}\r\n--BB--\r\n",
        "preamble ".repeat(1_000),
        "h".repeat(7_000),
        file(20_000)
    );
    let request = api.post("/v1/uploads").header("content-type", "multipart/form-data; boundary=BB");
    let taken = crate::support::json(request.body(form).send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!((&taken["bytes"], &taken["filename"]), (&json!(file(20_000).len()), &json!("a.csv")));
}

async fn packed(encoding: &str, plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    match encoding {
        "gzip" => GzipEncoder::new(plain).read_to_end(&mut packed).await.unwrap(),
        _ => ZstdEncoder::new(plain).read_to_end(&mut packed).await.unwrap(),
    };
    packed
}

async fn send(api: &Api, encoding: &str, body: Vec<u8>) -> reqwest::Response {
    api.post("/v1/uploads?kind=debts&force=1").header("content-encoding", encoding).body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_little_does_not_become_very_much() {
    let api = api().await;
    let alike = format!("{HEADER}{}", "\"\",\"\"\n".repeat(3 << 20));
    for encoding in ["gzip", "zstd"] {
        let body = packed(encoding, alike.as_bytes()).await;
        let found = problem(send(&api, encoding, body).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(found["type"], "/problems/compression-ratio");
        assert!(found["detail"].as_str().unwrap().contains("more than 200 times"), "{found}");
        assert_eq!(api.newest().await["state"], "failed");
    }
    // Nor where nothing says that it is packed.
    let body = packed("gzip", alike.as_bytes()).await;
    let response = api.post("/v1/uploads?kind=debts&force=1").body(body).send().await.unwrap();
    let found = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(found["type"], "/problems/compression-ratio");
    // A small file may be all alike, and a client may be let do more.
    let small = packed("zstd", &alike.as_bytes()[..4 << 20]).await;
    assert_eq!(send(&api, "zstd", small).await.status(), StatusCode::ACCEPTED);
    let own = OwnLimits { max_ratio: Some(0), ..OwnLimits::default() };
    client_limits::put(&api.stack.pool, api.client_id, &own).await.unwrap();
    let body = packed("gzip", alike.as_bytes()).await;
    assert_eq!(send(&api, "gzip", body).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_client_has_so_much_under_way_and_no_more() {
    let api = api_with(|config| {
        config.limits.max_bytes_under_way = 1 << 20;
        config.limits.chunk_bytes = 64 << 10;
    })
    .await;
    // 94 bytes a row.
    let first = api.upload(file(7_000)).await;
    let too_much = api.post("/v1/uploads?kind=debts&force=1").body(file(8_000)).send().await.unwrap();
    assert_eq!(too_much.headers()["retry-after"], "60");
    let found = problem(too_much, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(found["type"], "/problems/too-much-under-way");
    let failed = api.newest().await;
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("too_much_under_way")));
    let other = api.other_key().await;
    let request = api.bare("POST", "/v1/uploads?kind=debts").bearer_auth(&other).body(file(8_000));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    api.pretend(first["id"].as_str().unwrap(), "completed").await;
    api.upload(format!("{HEADER}{}", rows(8_000))).await;
    let own = OwnLimits { max_bytes_under_way: Some(4 << 20), ..OwnLimits::default() };
    client_limits::put(&api.stack.pool, api.client_id, &own).await.unwrap();
    let request = api.post("/v1/uploads?kind=debts&force=1").body(file(9_000));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_a_revoked_key_has_begun_ends() {
    let api = api().await;
    let watched = api.upload(file(3)).await;
    let events = format!("/v1/uploads/{}/events", watched["id"].as_str().unwrap());
    let mut stream = api.get(&events).send().await.unwrap();
    let mut other = api.bare("GET", "/healthz").send().await.unwrap();
    assert!(other.chunk().await.unwrap().is_some());
    // A body that never waits, and one that waits.
    let quick = api.post("/v1/uploads?kind=debts&force=1");
    let row = "Elijah Santos,9558,janet95@example.com,7811,2024-01-19,ea23f2ca-663a-4266-a742-9da4c9f4fcb3\n";
    let quick = tokio::spawn(quick.timeout(Duration::from_secs(60)).body(endless(HEADER, row.as_bytes())).send());
    let slow = stream::iter([Bytes::from(file(5))]).chain(stream::pending()).map(Ok::<_, Infallible>);
    let slow =
        api.post("/v1/uploads?kind=debts&force=1").timeout(Duration::from_secs(60)).body(Body::wrap_stream(slow));
    let slow = tokio::spawn(slow.send());
    eventually("both are begun", async || {
        let receiving = api.json("/v1/uploads?state=receiving").await;
        (receiving["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert_eq!(keys::revoke(&api.stack.pool, &api.key[..11]).await.unwrap(), 1);
    for answer in [quick, slow] {
        let found = problem(answer.await.unwrap().expect("an answer"), StatusCode::UNAUTHORIZED).await;
        assert!(found["detail"].as_str().unwrap().contains("revoked"), "{found}");
    }
    while let Some(_more) = stream.chunk().await.expect("it ends well") {}
    let states: Vec<String> = sqlx::query_scalar("select state from uploads where state = 'receiving'")
        .fetch_all(&api.stack.pool)
        .await
        .unwrap();
    assert!(states.is_empty(), "nothing is received any more");
}

#[tokio::test]
async fn what_everybody_does_is_counted_for_operators() {
    let api = api().await;
    problem(api.get("/metrics").send().await.unwrap(), StatusCode::FORBIDDEN).await;
    let key = api.operator_key().await;
    assert_eq!(api.bare("GET", "/metrics").bearer_auth(key).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_address_is_checked_when_it_is_set() {
    let api = api().await;
    for address in [
        "https://169.254.169.254/",
        "https://168.63.129.16/",
        "https://[fd00:ec2::254]/",
        "http://example.com/",
        "https://user:password@example.com/",
        "https://example.com:22/",
        "https://2130706433/",
    ] {
        for heuristic in ["external", "built_in"] {
            let settings = json!({ "heuristic": heuristic, "heuristic_url": address });
            let refused = api.send(&api.key, "PUT", "/v1/settings", settings).await;
            let refused = problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
            assert_eq!(refused["errors"][0]["field"], "heuristic_url", "{refused}");
        }
    }
    let settings = json!({ "heuristic": "external", "heuristic_url": "https://example.com/normalize" });
    assert_eq!(api.send(&api.key, "PUT", "/v1/settings", settings).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_upload_fails_for_what_failed() {
    let api = api_with(|config| config.limits.chunk_bytes = 64 << 10).await;
    let (more, rest) = tokio::sync::mpsc::channel::<Bytes>(1);
    let rest = stream::unfold(rest, async |mut rest| Some((rest.recv().await?, rest)));
    let body = stream::iter([Bytes::from(HEADER)]).chain(rest).map(Ok::<_, Infallible>);
    let sending = api.post("/v1/uploads?kind=debts").body(Body::wrap_stream(body));
    let sending = tokio::spawn(sending.send());
    eventually("it is received", async || (api.newest().await["state"] == "receiving").then_some(())).await;
    // The database takes neither its chunks nor its end.
    let alter = async |text: &'static str| sqlx::raw_sql(text).execute(&api.stack.pool).await.unwrap();
    alter("alter table chunks rename to chunks_away; alter table uploads rename to uploads_away").await;
    more.send(Bytes::from(rows(2_000))).await.unwrap();
    drop(more);
    assert!(sending.await.unwrap().unwrap().status().is_server_error());
    alter("alter table chunks_away rename to chunks; alter table uploads_away rename to uploads").await;
    let failed = eventually("it has failed", async || {
        let upload = api.newest().await;
        (upload["state"] == "failed").then_some(upload)
    })
    .await;
    assert_eq!(failed["reason"], "not_stored", "{failed}");
    assert!(!failed["detail"].as_str().unwrap().contains("died"), "{failed}");
}
