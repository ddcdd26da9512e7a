//! Files that go on where they broke off, by tus 1.0.

use std::{net::SocketAddr, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gristmill_uploads::resumable;
use reqwest::{RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Api, api, api_with, eventually, file, json, problem};

const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// A request as tus has it.
fn tus(api: &Api, method: &str, path: &str) -> RequestBuilder {
    api.bare(method, path).bearer_auth(&api.key).header("tus-resumable", "1.0.0")
}

/// Begins an upload and says where it is.
async fn begin(api: &Api, length: usize) -> String {
    begun(tus(api, "POST", "/v1/tus?kind=debts").header("upload-length", length).send().await.unwrap()).await
}

async fn begun(response: Response) -> String {
    let place = response.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
    let status = response.status();
    assert_eq!(status, StatusCode::CREATED, "{}", response.text().await.unwrap());
    place.expect("it says where it is")
}

fn patch(api: &Api, place: &str, offset: usize, body: &[u8]) -> RequestBuilder {
    let request = tus(api, "PATCH", place).header("upload-offset", offset).header("content-type", MEDIA_TYPE);
    request.body(body.to_owned())
}

async fn added(request: RequestBuilder, offset: usize) -> HeaderMap {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(status, StatusCode::NO_CONTENT, "{}", response.text().await.unwrap());
    assert_eq!(headers["upload-offset"], offset.to_string());
    assert_eq!(headers["tus-resumable"], "1.0.0");
    headers
}

async fn offset(api: &Api, place: &str) -> usize {
    let head = tus(api, "HEAD", place).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["cache-control"], "no-store");
    head.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
}

/// Where the pieces of unfinished uploads are.
fn kept(api: &Api) -> PathBuf {
    PathBuf::from(api.stack.store_url.trim_start_matches("file://")).join("resumable")
}

/// Objects of unfinished uploads in the store.
fn objects(api: &Api) -> usize {
    let folder = kept(api);
    let Ok(uploads) = std::fs::read_dir(folder) else { return 0 };
    uploads.map(|upload| std::fs::read_dir(upload.unwrap().path()).unwrap().count()).sum()
}

/// A PATCH of a whole file that sends its head by itself, and no more.
async fn patch_by_hand(api: &Api, place: &str, length: usize) -> TcpStream {
    let mut sending = TcpStream::connect(api.addr).await.unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n\r\n",
        api.key
    );
    sending.write_all(head.as_bytes()).await.unwrap();
    sending
}

/// The first line of an answer, as far as its status.
async fn status(sending: &mut TcpStream) -> String {
    let mut said = vec![0; 12];
    sending.read_exact(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

/// The upload that arrives.
async fn receiving(api: &Api) -> Value {
    eventually("it is read in while it arrives", async || {
        let newest = api.newest().await;
        (newest["state"] == "receiving").then_some(newest)
    })
    .await
}

#[tokio::test]
async fn a_file_is_read_in_while_it_arrives() {
    let api = api().await;
    let csv = file(120_000);
    let place = begin(&api, csv.len()).await;
    let mut sending = patch_by_hand(&api, &place, csv.len()).await;
    sending.write_all(&csv.as_bytes()[..9_000_000]).await.unwrap();
    let early = receiving(&api).await;
    sending.write_all(&csv.as_bytes()[9_000_000..]).await.unwrap();
    assert_eq!(status(&mut sending).await, "HTTP/1.1 204");
    let shown = api.json(&place).await;
    assert_eq!(shown["upload_id"], early["id"]);
    let id = early["id"].as_str().unwrap();
    assert_eq!(api.json(&format!("/v1/uploads/{id}")).await["sha256"], hex(&Sha256::digest(&csv)));
}

#[tokio::test]
async fn a_client_that_goes_on_elsewhere_does_not_wait_for_the_request_that_it_left() {
    let api = api().await;
    let csv = file(120_000);
    let place = begin(&api, csv.len()).await;
    let mut left = patch_by_hand(&api, &place, csv.len()).await;
    left.write_all(&csv.as_bytes()[..9_000_000]).await.unwrap();
    let early = receiving(&api).await;
    // The connection stays open and silent, as when a proxy holds it.
    let second = api.second().await;
    let kept = offset(&api, &place).await;
    assert!(kept >= 8 << 20, "{kept}");
    let request = at(&api, second, "PATCH", &place).header("upload-offset", kept).header("content-type", MEDIA_TYPE);
    let answer = added(request.body(csv[kept..].to_owned()), csv.len()).await;
    let id = answer["gristmill-upload"].to_str().unwrap();
    assert_eq!(api.json(&format!("/v1/uploads/{id}")).await["sha256"], hex(&Sha256::digest(&csv)));
    assert_ne!(early["id"], id);
    let given_up = api.json(&format!("/v1/uploads/{}", early["id"].as_str().unwrap())).await;
    assert_eq!((&given_up["state"], &given_up["reason"]), (&"failed".into(), &"incomplete".into()));
    assert_eq!(status(&mut left).await, "HTTP/1.1 409");
}

#[tokio::test]
async fn a_file_that_is_refused_is_not_sent_to_its_end() {
    let api = api().await;
    let csv = format!("a,b\n{}", "1,2\n".repeat(4_000_000));
    let place = begin(&api, csv.len()).await;
    let mut sending = patch_by_hand(&api, &place, csv.len()).await;
    sending.write_all(&csv.as_bytes()[..9_000_000]).await.unwrap();
    assert_eq!(status(&mut sending).await, "HTTP/1.1 422");
    let shown = api.json(&place).await;
    assert_eq!(shown["problem"]["type"], "/problems/wrong-header");
    assert_eq!(objects(&api), 0);
}

#[tokio::test]
async fn it_says_what_is_spoken() {
    let api = api().await;
    let said = api.bare("OPTIONS", "/v1/tus").send().await.unwrap();
    assert_eq!(said.status(), StatusCode::NO_CONTENT);
    assert_eq!(said.headers()["tus-version"], "1.0.0");
    let extensions =
        "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation";
    assert_eq!(said.headers()["tus-extension"], extensions);
    assert_eq!(said.headers()["tus-checksum-algorithm"], "sha1,sha256,sha512");
    assert_eq!(said.headers()["tus-max-size"], (64_u64 << 30).to_string());

    let other = api.post("/v1/tus?kind=debts").header("tus-resumable", "0.2.2").header("upload-length", 1).send().await;
    let other = other.unwrap();
    assert_eq!(other.headers()["tus-version"], "1.0.0");
    assert_eq!(problem(other, StatusCode::PRECONDITION_FAILED).await["type"], "/problems/tus-version");
}

#[tokio::test]
async fn a_file_in_pieces_becomes_the_upload_that_it_is_as_a_whole() {
    let api = api().await;
    let csv = file(1_000);
    let metadata = format!("filename {},policy {},filetype dGV4dC9jc3Y=", b64("a.csv"), b64("atomic"));
    let create =
        tus(&api, "POST", "/v1/tus?kind=debts").header("upload-length", csv.len()).header("upload-metadata", &metadata);
    let place = begun(create.send().await.unwrap()).await;
    let (first, rest) = csv.as_bytes().split_at(30_000);
    let answer = added(patch(&api, &place, 0, first), 30_000).await;
    assert!(answer["upload-expires"].to_str().unwrap().ends_with(" GMT"));
    assert!(!answer.contains_key("gristmill-upload"));
    let head = tus(&api, "HEAD", &place).send().await.unwrap();
    assert_eq!(head.headers()["upload-metadata"], metadata);
    assert_eq!(head.headers()["upload-length"], csv.len().to_string());

    let answer = added(patch(&api, &place, 30_000, rest), csv.len()).await;
    let id = answer["gristmill-upload"].to_str().unwrap().to_owned();
    let upload = api.json(&format!("/v1/uploads/{id}")).await;
    assert_eq!(upload["bytes"], csv.len());
    assert_eq!((&upload["filename"], &upload["policy"]), (&"a.csv".into(), &"atomic".into()));
    assert_eq!(upload["sha256"], hex(&Sha256::digest(&csv)));
    assert_eq!(offset(&api, &place).await, csv.len());
    let shown = api.json(&place).await;
    assert_eq!((&shown["upload_id"], &shown["problem"]), (&id.into(), &Value::Null));
    // The answer to the last piece was lost: nothing happens by asking again.
    added(patch(&api, &place, csv.len(), b""), csv.len()).await;
    assert_eq!(api.json("/v1/uploads").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(objects(&api), 0);
}

#[tokio::test]
async fn what_came_before_a_break_is_kept_and_another_process_goes_on() {
    let api = api().await;
    let csv = file(20_000);
    let place = begin(&api, csv.len()).await;
    let mut broken = TcpStream::connect(api.addr).await.unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\n\r\n",
        api.key,
        csv.len()
    );
    broken.write_all(head.as_bytes()).await.unwrap();
    broken.write_all(&csv.as_bytes()[..1_000_000]).await.unwrap();
    broken.shutdown().await.unwrap();
    let mut said = String::new();
    let _ = broken.read_to_string(&mut said).await;
    drop(broken);
    eventually("what came is kept", async || (offset(&api, &place).await == 1_000_000).then_some(())).await;

    let second = api.second().await;
    let request =
        at(&api, second, "PATCH", &place).header("upload-offset", 1_000_000).header("content-type", MEDIA_TYPE);
    let answer = added(request.body(csv[1_000_000..].to_owned()), csv.len()).await;
    let id = answer["gristmill-upload"].to_str().unwrap();
    assert_eq!(api.json(&format!("/v1/uploads/{id}")).await["sha256"], hex(&Sha256::digest(&csv)));
}

fn at(api: &Api, addr: SocketAddr, method: &str, path: &str) -> RequestBuilder {
    api.at(addr, method, path).bearer_auth(&api.key).header("tus-resumable", "1.0.0")
}

#[tokio::test]
async fn it_goes_on_where_it_ends_and_nowhere_else() {
    let api = api().await;
    let csv = file(100);
    let place = begin(&api, csv.len()).await;
    added(patch(&api, &place, 0, &csv.as_bytes()[..100]), 100).await;
    for wrong in [0, 99, 101] {
        let refused = patch(&api, &place, wrong, b"x").send().await.unwrap();
        assert_eq!(refused.headers()["upload-offset"], "100");
        assert_eq!(problem(refused, StatusCode::CONFLICT).await["type"], "/problems/offset-mismatch");
    }
    let typed = tus(&api, "PATCH", &place).header("upload-offset", 100).header("content-type", "text/csv").body("x");
    let refused = problem(typed.send().await.unwrap(), StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    assert_eq!(refused["type"], "/problems/wrong-media-type");
    let nowhere = tus(&api, "PATCH", &place).header("content-type", MEDIA_TYPE).body("x").send().await.unwrap();
    assert_eq!(problem(nowhere, StatusCode::BAD_REQUEST).await["errors"][0]["field"], "upload-offset");
    let longer = patch(&api, &place, 100, csv.as_bytes()).send().await.unwrap();
    assert_eq!(problem(longer, StatusCode::PAYLOAD_TOO_LARGE).await["type"], "/problems/too-large");
    let other = patch(&api, &place, 100, b"x").header("upload-length", 7).send().await.unwrap();
    assert_eq!(problem(other, StatusCode::BAD_REQUEST).await["errors"][0]["field"], "upload-length");
    assert_eq!(offset(&api, &place).await, 100);
}

#[tokio::test]
async fn of_two_that_write_at_once_the_later_one_goes_on() {
    let api = api().await;
    let csv = file(100);
    let place = begin(&api, csv.len()).await;
    // One that begins, sends some bytes, and is silent.
    let mut slow = TcpStream::connect(api.addr).await.unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\n\r\nBAD BYTES",
        api.key,
        csv.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    eventually("the first one writes", async || {
        let sql = "select writer is not null from resumable_uploads";
        sqlx::query_scalar::<_, bool>(sql).fetch_one(&api.stack.pool).await.unwrap().then_some(())
    })
    .await;
    let answer = added(patch(&api, &place, 0, csv.as_bytes()), csv.len()).await;
    let id = answer["gristmill-upload"].to_str().unwrap().to_owned();
    slow.write_all(&vec![b'x'; csv.len() - 9]).await.unwrap();
    let mut said = vec![0; 12];
    slow.read_exact(&mut said).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 409");
    assert_eq!(api.json(&format!("/v1/uploads/{id}")).await["sha256"], hex(&Sha256::digest(&csv)));

    let place = begin(&api, csv.len()).await;
    let at_once = async || patch(&api, &place, 0, csv.as_bytes()).send().await.unwrap().status();
    let (one, two) = tokio::join!(at_once(), at_once());
    assert!([one, two].contains(&StatusCode::NO_CONTENT), "{one} {two}");
    assert_eq!(api.json("/v1/uploads").await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_body_with_a_checksum_is_all_or_nothing() {
    let api = api().await;
    let csv = file(10);
    let place = begin(&api, csv.len()).await;
    let right = BASE64_STANDARD.encode(Sha256::digest(&csv));
    let wrong = BASE64_STANDARD.encode(Sha256::digest("other"));
    let sent = |checksum: String| patch(&api, &place, 0, csv.as_bytes()).header("upload-checksum", checksum).send();
    let refused = sent(format!("sha256 {wrong}")).await.unwrap();
    assert_eq!(problem(refused, StatusCode::from_u16(460).unwrap()).await["type"], "/problems/checksum-mismatch");
    assert_eq!(offset(&api, &place).await, 0);
    for unknown in [format!("crc32 {right}"), format!("sha256 {right}!"), "sha256".to_owned()] {
        let refused = problem(sent(unknown).await.unwrap(), StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["field"], "upload-checksum");
    }
    // Of tus' own example.
    let hello = begin(&api, 100).await;
    let sha1 = patch(&api, &hello, 0, b"hello world").header("upload-checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
    added(sha1, 11).await;
    assert_eq!(sent(format!("sha256 {right}")).await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_file_is_refused_after_its_last_byte_and_stays_so() {
    let api = api().await;
    let wrong = "a,b\n1,2\n";
    let place = begin(&api, wrong.len()).await;
    added(patch(&api, &place, 0, &wrong.as_bytes()[..3]), 3).await;
    let refused = patch(&api, &place, 3, &wrong.as_bytes()[3..]).send().await.unwrap();
    let refused = problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["type"], "/problems/wrong-header");
    let head = tus(&api, "HEAD", &place).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let shown = api.json(&place).await;
    assert_eq!(shown["problem"]["errors"], refused["errors"]);
    assert_eq!(shown["problem"]["detail"], refused["detail"]);
    assert_eq!(shown["upload_id"], Value::Null);
    let again = patch(&api, &place, wrong.len(), b"").send().await.unwrap();
    assert_eq!(problem(again, StatusCode::UNPROCESSABLE_ENTITY).await["type"], "/problems/wrong-header");
    assert_eq!(objects(&api), 0);

    let empty = tus(&api, "POST", "/v1/tus?kind=debts").header("upload-length", 0).send().await.unwrap();
    assert_eq!(problem(empty, StatusCode::UNPROCESSABLE_ENTITY).await["type"], "/problems/empty-file");
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_arrives() {
    let api = api_with(|config| config.limits.max_file_bytes = 1_000).await;
    let begin = |path: &str| tus(&api, "POST", path);
    for (request, field) in [
        (begin("/v1/tus").header("upload-length", 1), "kind"),
        (begin("/v1/tus?kind=debts&polcy=atomic").header("upload-length", 1), "polcy"),
        (begin("/v1/tus?kind=debts&dry_run=true").header("upload-length", 1), "dry_run"),
        (begin("/v1/tus?kind=debts"), "upload-length"),
        (begin("/v1/tus?kind=debts").header("upload-length", "-1"), "upload-length"),
        (begin("/v1/tus?kind=debts").header("upload-defer-length", "2"), "upload-defer-length"),
        (
            begin("/v1/tus?kind=debts").header("upload-length", 1).header("upload-metadata", "filename !"),
            "upload-metadata",
        ),
        (begin("/v1/tus?kind=debts").header("upload-concat", "final;"), "upload-concat"),
        (begin("/v1/tus?kind=debts").header("upload-concat", "some").header("upload-length", 1), "upload-concat"),
    ] {
        let refused = problem(request.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let large = begin("/v1/tus?kind=debts").header("upload-length", 1_001).send().await.unwrap();
    assert_eq!(problem(large, StatusCode::PAYLOAD_TOO_LARGE).await["type"], "/problems/too-large");
    // A length that is said late is not larger, either, nor is a body without one.
    let place = begun(begin("/v1/tus?kind=debts").header("upload-defer-length", 1).send().await.unwrap()).await;
    let late = patch(&api, &place, 0, b"x").header("upload-length", 1_001).send().await.unwrap();
    assert_eq!(late.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let long = patch(&api, &place, 0, &[b'x'; 1_001]).send().await.unwrap();
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(offset(&api, &place).await, 0);
}

#[tokio::test]
async fn the_length_may_come_late_and_the_first_bytes_early() {
    let api = api().await;
    let csv = file(10);
    let place = begun(
        tus(&api, "POST", "/v1/tus?kind=debts")
            .header("upload-defer-length", 1)
            .header("content-type", MEDIA_TYPE)
            .body(csv[..100].to_owned())
            .send()
            .await
            .unwrap(),
    )
    .await;
    let head = tus(&api, "HEAD", &place).send().await.unwrap();
    assert_eq!(head.headers()["upload-defer-length"], "1");
    assert_eq!(head.headers()["upload-offset"], "100");
    let last = patch(&api, &place, 100, &csv.as_bytes()[100..]).header("upload-length", csv.len());
    assert!(added(last, csv.len()).await.contains_key("gristmill-upload"));

    let at_once = tus(&api, "POST", "/v1/tus?kind=debts&force=true")
        .header("upload-length", csv.len())
        .header("content-type", MEDIA_TYPE)
        .body(csv.clone());
    let whole = at_once.send().await.unwrap();
    assert!(whole.headers().contains_key("gristmill-upload"));
    begun(whole).await;
    assert_eq!(api.json("/v1/uploads").await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn parts_that_arrive_side_by_side_are_one_file() {
    let api = api().await;
    let csv = file(1_000);
    let (first, second) = csv.as_bytes().split_at(50_000);
    let part = async |bytes: &[u8]| {
        let create =
            tus(&api, "POST", "/v1/tus").header("upload-concat", "partial").header("upload-length", bytes.len());
        let place = begun(create.send().await.unwrap()).await;
        added(patch(&api, &place, 0, bytes), bytes.len()).await;
        place
    };
    let (one, two) = tokio::join!(part(first), part(second));
    assert!(api.json("/v1/uploads").await["items"].as_array().unwrap().is_empty());
    let concat =
        |urls: String| tus(&api, "POST", "/v1/tus?kind=debts").header("upload-concat", format!("final;{urls}")).send();
    let unfinished = tus(&api, "POST", "/v1/tus").header("upload-concat", "partial").header("upload-length", 9);
    let unfinished = begun(unfinished.send().await.unwrap()).await;
    assert_eq!(concat(format!("{one} {unfinished}")).await.unwrap().status(), StatusCode::CONFLICT);
    let absent = "/v1/tus/00000000-0000-7000-8000-000000000000";
    assert_eq!(concat(format!("{one} {absent}")).await.unwrap().status(), StatusCode::NOT_FOUND);

    let made = concat(format!("{} {two}", api.url(&one))).await.unwrap();
    let id = made.headers()["gristmill-upload"].to_str().unwrap().to_owned();
    let place = begun(made).await;
    assert_eq!(api.json(&format!("/v1/uploads/{id}")).await["sha256"], hex(&Sha256::digest(&csv)));
    assert_eq!(offset(&api, &place).await, csv.len());
    // Its answer was lost.
    let again = begun(concat(format!("{one} {two}")).await.unwrap()).await;
    assert_eq!(again, place);
    assert_eq!(patch(&api, &place, csv.len(), b"").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn another_clients_is_not_there() {
    let api = api().await;
    let part = tus(&api, "POST", "/v1/tus").header("upload-concat", "partial").header("upload-length", 0);
    let part = begun(part.send().await.unwrap()).await;
    let place = begin(&api, 10).await;
    let other = api.other_key().await;
    let as_other =
        |method: &str, path: &str| api.bare(method, path).bearer_auth(&other).header("tus-resumable", "1.0.0");
    for method in ["HEAD", "GET", "DELETE"] {
        assert_eq!(as_other(method, &place).send().await.unwrap().status(), StatusCode::NOT_FOUND, "{method}");
    }
    let add = as_other("PATCH", &place).header("upload-offset", 0).header("content-type", MEDIA_TYPE).body("x");
    assert_eq!(add.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let take = as_other("POST", "/v1/tus?kind=debts").header("upload-concat", format!("final;{part}"));
    assert_eq!(take.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(api.bare("HEAD", &place).header("tus-resumable", "1.0.0").send().await.unwrap().status(), 401);
    assert_eq!(offset(&api, &place).await, 0);
}

#[tokio::test]
async fn one_that_is_removed_or_expired_is_gone() {
    let api = api().await;
    let place = begin(&api, 10).await;
    added(patch(&api, &place, 0, b"12345"), 5).await;
    assert_eq!(objects(&api), 1);
    let gone = tus(&api, "POST", &place).header("x-http-method-override", "DELETE").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(objects(&api), 0);
    assert_eq!(tus(&api, "HEAD", &place).send().await.unwrap().status(), StatusCode::NOT_FOUND);

    let place = begin(&api, 10).await;
    let expire = "update resumable_uploads set expires_at = now() - interval '1 second'";
    sqlx::query(expire).execute(&api.stack.pool).await.unwrap();
    let refused = patch(&api, &place, 0, b"12345").send().await.unwrap();
    assert_eq!(problem(refused, StatusCode::GONE).await["type"], "/problems/upload-expired");
}

#[tokio::test]
async fn what_has_expired_is_removed_with_its_pieces() {
    let api = api().await;
    let (place, other) = (begin(&api, 10).await, begin(&api, 10).await);
    added(patch(&api, &place, 0, b"12345"), 5).await;
    added(patch(&api, &other, 0, b"12345"), 5).await;
    let prune = async || resumable::prune(&api.stack.pool, &*api.stack.store).await.unwrap();
    prune().await;
    assert_eq!(objects(&api), 2);
    let expire = "update resumable_uploads set expires_at = now() - interval '1 second' where '/v1/tus/' || id = $1";
    sqlx::query(expire).bind(&place).execute(&api.stack.pool).await.unwrap();
    prune().await;
    assert_eq!(objects(&api), 1);
    assert_eq!(tus(&api, "HEAD", &place).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(offset(&api, &other).await, 5);
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_send() {
    let api = api_with(|config| config.api.cors_origins = vec!["https://a.example.com".to_owned()]).await;
    let preflight = |origin: &str| {
        let asked =
            api.bare("OPTIONS", "/v1/tus").header("origin", origin).header("access-control-request-method", "POST");
        asked.header("access-control-request-headers", "authorization,tus-resumable,upload-length").send()
    };
    let allowed = preflight("https://a.example.com").await.unwrap();
    assert!(allowed.status().is_success());
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://a.example.com");
    assert!(allowed.headers()["access-control-allow-headers"].to_str().unwrap().contains("tus-resumable"));
    assert_eq!(allowed.headers()["tus-version"], "1.0.0");
    let other = preflight("https://b.example.com").await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    let create =
        tus(&api, "POST", "/v1/tus?kind=debts").header("upload-length", 5).header("origin", "https://a.example.com");
    let made = create.send().await.unwrap();
    let exposed = made.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(["location", "upload-offset", "gristmill-upload"].iter().all(|name| exposed.contains(name)), "{exposed}");
}

#[tokio::test]
async fn a_client_has_so_many_and_so_much_at_once() {
    let api = api_with(|config| {
        config.limits.max_resumable = 2;
        config.limits.max_bytes_under_way = 100;
    })
    .await;
    let create = |length: usize| tus(&api, "POST", "/v1/tus?kind=debts").header("upload-length", length).send();
    begun(create(60).await.unwrap()).await;
    let much = problem(create(41).await.unwrap(), StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(much["type"], "/problems/too-much-under-way");
    begun(create(40).await.unwrap()).await;
    let many = problem(create(0).await.unwrap(), StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(many["type"], "/problems/too-many-resumable");
}

#[tokio::test]
async fn one_whose_process_died_before_it_was_read_in_is_read_in_by_another() {
    let api = api().await;
    let csv = file(50);
    let place = begin(&api, csv.len()).await;
    let part = tus(&api, "POST", "/v1/tus").header("upload-concat", "partial").header("upload-length", csv.len());
    let part = begun(part.send().await.unwrap()).await;
    added(patch(&api, &part, 0, csv.as_bytes()), csv.len()).await;
    // As a process leaves it that has entered the last piece and was killed: whole, and the lease runs on for a while.
    let (place_id, part_id) = (place.rsplit('/').next().unwrap(), part.rsplit('/').next().unwrap());
    let moved = "update resumable_pieces set resumable_id = $1::text::uuid where resumable_id = $2::text::uuid";
    sqlx::query(moved).bind(place_id).bind(part_id).execute(&api.stack.pool).await.unwrap();
    let folder = kept(&api);
    std::fs::rename(folder.join(part_id), folder.join(place_id)).unwrap();
    let whole = "update resumable_uploads set received = length, writer = gen_random_uuid(), leased_until = now() + interval '2 s'
                 where id = $1::text::uuid";
    sqlx::query(whole).bind(place_id).execute(&api.stack.pool).await.unwrap();
    let locked = tus(&api, "HEAD", &place).send().await.unwrap();
    assert_eq!(locked.status(), StatusCode::LOCKED);
    let upload = eventually("it is read in without its client", async || {
        let newest = api.newest().await;
        newest.get("received_at").is_some().then_some(newest)
    })
    .await;
    assert_eq!(upload["bytes"], csv.len());
    eventually("it is known", async || {
        let shown = json(api.get(&place).send().await.unwrap(), StatusCode::OK).await;
        (shown["upload_id"] == upload["id"]).then_some(())
    })
    .await;
}

fn b64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_said_of_a_file_holds_when_it_is_read_in() {
    let api = api().await;
    let csv = file(3);
    let said = "/v1/tus?kind=debts&on_duplicate=replace&policy=atomic&profile=none";
    let place = begun(tus(&api, "POST", said).header("upload-length", csv.len()).send().await.unwrap()).await;
    added(patch(&api, &place, 0, csv.as_bytes()), csv.len()).await;
    let id = api.json(&place).await["upload_id"].as_str().unwrap().to_owned();
    let upload = api.json(&format!("/v1/uploads/{id}")).await;
    assert_eq!((&upload["on_duplicate"], &upload["policy"]), (&"replace".into(), &"atomic".into()), "{upload}");
    assert_eq!(upload["dialect"]["said"], serde_json::json!(["profile"]));
    let unknown = tus(&api, "POST", "/v1/tus?kind=debts&profile=bank").header("upload-length", 3).send().await.unwrap();
    let found = problem(unknown, StatusCode::BAD_REQUEST).await;
    assert_eq!(found["errors"][0]["field"], "profile", "{found}");
}
