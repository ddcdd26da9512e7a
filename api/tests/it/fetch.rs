//! Files that the server fetches itself.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use gristmill_api::Config;
use gristmill_platform::config::{OutboundConfig, Ports};
use reqwest::StatusCode;
use serde_json::{Value, json as value};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::support::{Api, api, api_with, file, json, problem};

/// A server of files that answers as a test wants it: by the path, and by how often it was asked.
struct Files {
    addr: String,
    /// The heads of its requests.
    asked: Arc<Mutex<Vec<String>>>,
}

/// One answer: what is written, after which the connection is closed.
type Answers = dyn Fn(&str, usize) -> Vec<u8> + Send + Sync;

async fn files(answers: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Files {
    files_at("127.0.0.1", answers).await
}

async fn files_at(ip: &str, answers: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Files {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let addr = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heads, number, answers) = (asked.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(answers) as Arc<Answers>);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, heads.clone(), number.clone(), answers.clone()));
        }
    });
    Files { addr, asked }
}

async fn serve(socket: TcpStream, heads: Arc<Mutex<Vec<String>>>, number: Arc<AtomicUsize>, answers: Arc<Answers>) {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while socket.read_line(&mut head).await.is_ok_and(|read| read > 2) {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    heads.lock().unwrap().push(head.to_lowercase());
    let answer = answers(&path, number.fetch_add(1, Ordering::SeqCst));
    let _ = socket.write_all(&answer).await;
    let _ = socket.shutdown().await;
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    headers.iter().for_each(|header| answer += &format!("{header}\r\n"));
    [answer.as_bytes(), b"\r\n", body].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &[&format!("content-length: {}", body.len()), "etag: \"1\""], body)
}

fn may_call(config: &mut Config) {
    let networks = vec!["127.0.0.1/32".parse().unwrap()];
    config.outbound = OutboundConfig { outbound_http: true, outbound_ports: Ports::Any, outbound_networks: networks };
}

async fn calling() -> Api {
    api_with(may_call).await
}

async fn ask(api: &Api, body: Value) -> reqwest::Response {
    api.post("/v1/uploads/fetch?kind=debts").json(&body).send().await.unwrap()
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nothing of a file stays that was not taken.
async fn nothing_stays(api: &Api) {
    // What a failed one had stored the scheduler takes away.
    let sql = "select (select count(*) from uploads where state <> 'failed')
                    + (select count(*) from gristmill.jobs where name = 'uploads.load_chunk' and state = 'available')";
    let left: i64 = sqlx::query_scalar(sql).fetch_one(&api.stack.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_file_is_fetched_as_if_it_were_sent() {
    let api = calling().await;
    let body = file(2_000);
    let served = body.clone();
    let files = files(move |_, _| whole(served.as_bytes())).await;
    let url = format!("{}/in/d%C3%ADvidas.csv?signature=secret", files.addr);
    let response = ask(&api, value!({ "url": url, "sha256": sum(body.as_bytes()) })).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let upload = json(response, StatusCode::ACCEPTED).await;
    assert_eq!(location, format!("/v1/uploads/{}", upload["id"].as_str().unwrap()));
    assert_eq!((&upload["filename"], &upload["bytes"]), (&value!("dívidas.csv"), &value!(body.len())));
    assert_eq!(upload["sha256"], sum(body.as_bytes()));
    let head = files.asked.lock().unwrap()[0].clone();
    assert!(!head.contains("authorization") && head.contains("accept-encoding: identity"), "{head}");

    // As ours, and as another client's, it is not seen.
    let other = api.other_key().await;
    let seen = api.bare("GET", &location).bearer_auth(&other).send().await.unwrap();
    assert_eq!(seen.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_makes_one_upload_and_a_dry_run_none() {
    let api = calling().await;
    let body = file(100);
    let files = files(move |_, _| whole(body.as_bytes())).await;
    let url = format!("{}/a.csv", files.addr);
    let send = async |query: &str| {
        let request = api.post(&format!("/v1/uploads/fetch?kind=debts{query}")).header("idempotency-key", "k");
        request.json(&value!({ "url": url })).send().await.unwrap()
    };
    let found = json(send("&dry_run=true").await, StatusCode::OK).await;
    assert_eq!(found["read"], 100, "{found}");
    nothing_stays(&api).await;
    let first = json(send("").await, StatusCode::ACCEPTED).await;
    let second = json(send("").await, StatusCode::ACCEPTED).await;
    assert_eq!(first["id"], second["id"]);
    let other = problem(send("&policy=atomic").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(other["type"], "/problems/idempotency-key-reused");
}

#[tokio::test]
async fn compressed_files_are_read_as_they_are_sent() {
    let api = calling().await;
    let body = file(500);
    let packed = gzip(body.as_bytes()).await;
    let (named, plain) = (packed.clone(), packed.clone());
    let files = files(move |path, _| {
        let length = format!("content-length: {}", named.len());
        let said: &[&str] = if path == "/said" { &["content-encoding: gzip", &length] } else { &[&length] };
        answer("200 OK", said, &named)
    })
    .await;
    for path in ["said", "found.csv.gz"] {
        let url = format!("{}/{path}", files.addr);
        let query = format!("/v1/uploads/fetch?kind=debts&force=true&filename={path}");
        // The sum is of the bytes as they come.
        let request = api.post(&query).json(&value!({ "url": url, "sha256": sum(&plain) }));
        let upload = json(request.send().await.unwrap(), StatusCode::ACCEPTED).await;
        assert_eq!(upload["bytes"], body.len(), "{path}");
    }
}

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    packed.write_all(bytes).await.unwrap();
    packed.shutdown().await.unwrap();
    packed.into_inner()
}

/// What is sent from a byte on, of a file that breaks off after half of what is asked for.
fn breaking(body: &[u8], number: usize, tag: &str) -> Vec<u8> {
    let half = body.len() / 2;
    let (tag, rest) = (format!("etag: {tag}"), body.len() - half);
    match number {
        0 => answer("200 OK", &[&format!("content-length: {}", body.len()), &tag], &body[..half]),
        1 => answer("503 Service Unavailable", &["content-length: 0"], b""),
        _ => {
            let range = format!("content-range: bytes {half}-{}/{}", body.len() - 1, body.len());
            answer("206 Partial Content", &[&format!("content-length: {rest}"), &range, &tag], &body[half..])
        }
    }
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let api = calling().await;
    let body = file(20_000);
    let served = body.clone();
    let files = files(move |_, number| breaking(served.as_bytes(), number, "\"v1\"")).await;
    let upload = json(ask(&api, value!({ "url": format!("{}/a.csv", files.addr) })).await, StatusCode::ACCEPTED).await;
    assert_eq!(upload["sha256"], sum(body.as_bytes()));
    let asked = files.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3);
    assert!(asked[2].contains(&format!("range: bytes={}-", body.len() / 2)), "{}", asked[2]);
    assert!(asked[2].contains("if-range: \"v1\""), "{}", asked[2]);
}

#[tokio::test]
async fn two_files_are_not_put_together() {
    let body = file(20_000);
    let (other, weak) = (body.clone(), body.clone());
    // The second half is of another file; or it does not say of which.
    let changed = files(move |_, number| breaking(other.as_bytes(), number, &format!("\"v{number}\""))).await;
    let unknown = files(move |_, number| breaking(weak.as_bytes(), number, "W/\"v1\"")).await;
    for (files, said) in [(changed, "the rest of the same file is not sent"), (unknown, "neither a strong ETag")] {
        let api = calling().await;
        let response = ask(&api, value!({ "url": format!("{}/a.csv", files.addr) })).await;
        let found = problem(response, StatusCode::BAD_GATEWAY).await;
        assert_eq!(found["type"], "/problems/fetch-broken");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
        nothing_stays(&api).await;
    }
}

#[tokio::test]
async fn another_checksum_is_refused_and_nothing_stays() {
    let api = api_with(|config| {
        may_call(config);
        config.limits.chunk_bytes = 16 * 1024;
    })
    .await;
    let (body, packed) = (file(5_000), gzip(file(5_000).as_bytes()).await);
    let plain = body.clone();
    let files = files(move |path, _| whole(if path == "/gz" { &packed } else { plain.as_bytes() })).await;
    for path in ["plain", "gz"] {
        let url = format!("{}/{path}", files.addr);
        let response = ask(&api, value!({ "url": url, "sha256": sum(b"another") })).await;
        let found = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(found["type"], "/problems/wrong-checksum", "{path}");
        assert!(found["detail"].as_str().unwrap().contains(&sum(b"another")), "{found}");
        nothing_stays(&api).await;
    }
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused() {
    let api = api_with(|config| {
        may_call(config);
        config.limits.max_file_bytes = 50_000;
    })
    .await;
    let files = files(|_, _| whole(file(2_000).as_bytes())).await;
    let response = ask(&api, value!({ "url": format!("{}/a.csv", files.addr) })).await;
    assert_eq!(problem(response, StatusCode::PAYLOAD_TOO_LARGE).await["type"], "/problems/too-large");
    nothing_stays(&api).await;
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let api = calling().await;
    let files = files(|path, _| match path {
        "/none" => answer("404 Not Found", &["content-length: 0"], b""),
        "/down" => answer("500 Internal Server Error", &["content-length: 0"], b""),
        "/loop" => answer("302 Found", &["location: /loop", "content-length: 0"], b""),
        "/lost" => answer("302 Found", &["content-length: 0"], b""),
        "/far" => answer("302 Found", &["location: /near", "content-length: 0"], b""),
        // Neither a length nor chunks: the end of the connection is the end.
        "/open" => answer("200 OK", &[], file(10).as_bytes()),
        _ => whole(file(10).as_bytes()),
    })
    .await;
    for (path, status, code, said) in [
        ("none", 422, "not-fetched", "status 404"),
        ("down", 502, "fetch-broken", "status 500"),
        ("loop", 422, "not-fetched", "redirects more than 5 times"),
        ("lost", 422, "not-fetched", "does not say where to"),
        ("open", 422, "not-fetched", "give its sha256"),
    ] {
        let response = ask(&api, value!({ "url": format!("{}/{path}", files.addr) })).await;
        let found = problem(response, status.try_into().unwrap()).await;
        assert_eq!(found["type"], format!("/problems/{code}"), "{path}");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
    }
    nothing_stays(&api).await;
    for (path, more) in [("far", value!({})), ("open", value!({ "sha256": sum(file(10).as_bytes()) }))] {
        let mut body = value!({ "url": format!("{}/{path}", files.addr) });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let taken = ask(&api, body).await.status();
        assert!(taken == StatusCode::ACCEPTED || taken == StatusCode::OK, "{path}: {taken}");
    }
}

#[tokio::test]
async fn nothing_inside_is_called() {
    // With its settings as they come nothing of this machine is called.
    let strict = api().await;
    let inside = files_at("127.0.0.2", |_, _| whole(file(10).as_bytes())).await;
    let there = format!("{}/a.csv", inside.addr);
    for url in [&there, "https://127.0.0.2/a", "https://10.0.0.1/x", "file:///etc/passwd", "x"] {
        let found = problem(ask(&strict, value!({ "url": url })).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["errors"][0]["field"], "url", "{url}: {found}");
    }
    // Nor by a redirect of what may be called.
    let api = calling().await;
    let leading = files(move |path, _| {
        let to = if path == "/inside" { &there } else { "ftp://127.0.0.1/a" };
        answer("302 Found", &[&format!("location: {to}"), "content-length: 0"], b"")
    })
    .await;
    for path in ["inside", "ftp"] {
        let response = ask(&api, value!({ "url": format!("{}/{path}", leading.addr) })).await;
        let found = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert!(found["detail"].as_str().unwrap().contains("redirects to an address that is not called"), "{found}");
    }
    assert!(inside.asked.lock().unwrap().is_empty());
    nothing_stays(&api).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_question_is_named() {
    let api = calling().await;
    for (body, field) in [
        (value!({}), "url"),
        (value!({ "url": "http://127.0.0.1/a", "sha256": "abc" }), "sha256"),
        (value!({ "url": "http://127.0.0.1/a", "headers": {} }), "headers"),
    ] {
        let found = problem(ask(&api, body).await, StatusCode::BAD_REQUEST).await;
        assert!(found["detail"].as_str().unwrap().contains(field), "{found}");
    }
    let response = api.post("/v1/uploads/fetch").json(&value!({ "url": "http://127.0.0.1/a" })).send().await.unwrap();
    assert_eq!(problem(response, StatusCode::BAD_REQUEST).await["errors"][0]["field"], "kind");
    let response = api.bare("POST", "/v1/uploads/fetch?kind=debts").json(&value!({ "url": "x" })).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}
