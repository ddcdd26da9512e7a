//! Files that are read and not taken.

use gristmill_pipelines::{
    Kind,
    generate::{self, Counts, Options},
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use uuid::Uuid;

use crate::support::{Api, HEADER, api, api_with, eventually, file, json, problem, rows};

async fn dry(api: &Api, more: &str, body: impl Into<reqwest::Body>) -> Response {
    api.post(&format!("/v1/uploads?dry_run=true&{more}")).body(body).send().await.unwrap()
}

async fn checked(api: &Api, more: &str, body: impl Into<reqwest::Body>) -> Value {
    json(dry(api, more, body).await, StatusCode::OK).await
}

/// What is in the ledger.
async fn stored(api: &Api) -> i64 {
    sqlx::query_scalar("select (select count(*) from uploads) + (select count(*) from chunks)")
        .fetch_one(&api.stack.pool)
        .await
        .unwrap()
}

fn dirty(kind: Kind) -> (Counts, Vec<u8>) {
    let duplicates = if kind == Kind::Claims { 0.0 } else { 0.1 };
    let options = Options { rows: 20_000, bad: 0.1, duplicates, seed: 5, ..Options::default() };
    let mut file = Vec::new();
    let counts = match kind {
        Kind::Debts => generate::debts(&options, &mut file),
        Kind::Claims => generate::claims(&options, &mut file),
        Kind::Transactions => generate::transactions(&options, &mut file),
        Kind::Messages => generate::messages(&options, &mut file),
    };
    (counts.unwrap(), file)
}

#[tokio::test]
async fn counts_are_those_of_a_load() {
    let api = api().await;
    for kind in Kind::ALL {
        let (counts, file) = dirty(*kind);
        let found = checked(&api, &format!("kind={kind}"), file).await;
        let of = |field: &str| found[field].as_u64().unwrap();
        let duplicate = of("duplicate_in_file");
        assert_eq!(
            (of("read"), of("rejected"), duplicate),
            (counts.read(), counts.rejected, counts.duplicate),
            "{kind}"
        );
        assert_eq!((of("good") - duplicate, of("bytes")), (counts.accepted, counts.bytes), "{kind}");
        let reasons: u64 = found["reasons"].as_array().unwrap().iter().map(|why| why["rows"].as_u64().unwrap()).sum();
        assert_eq!(reasons, counts.rejected, "{kind}");
        let (rejects, sample) = (found["rejects"].as_array().unwrap(), found["sample"].as_array().unwrap());
        assert_eq!((rejects.len(), sample.len()), (100, 20), "{kind}");
        assert_eq!(found["dialect"]["delimiter"], ",", "{kind}");
    }
    assert_eq!(stored(&api).await, 0);
}

#[tokio::test]
async fn what_was_found_is_told() {
    let api = api().await;
    let text = file(1) + "Ana Lima,9558,none,x,2024-01-19,00000000-0000-0000-0000-000000000009\n";
    let found = checked(&api, "kind=debts", text).await;
    assert_eq!((&found["good"], &found["rejected"]), (&json!(1), &json!(1)));
    let reason = &found["reasons"][0];
    assert_eq!((&reason["code"], &reason["column"]), (&json!("bad_email"), &json!("email")));
    assert_eq!((&reason["rows"], &reason["first_line"]), (&json!(1), &json!(3)));
    let reject = &found["rejects"][0];
    assert_eq!((&reject["line"], &reject["reason"]), (&json!(3), &json!("bad_email")));
    assert_eq!(reject["faults"][1]["code"], "bad_amount");
    assert!(reject["raw"].as_str().unwrap().starts_with("Ana Lima,9558,none,x,"), "{reject}");
    assert_eq!((&found["sample"][0]["line"], &found["sample"][0]["fields"]["debtAmount"]), (&json!(2), &json!("7811")));
    let latin = include_bytes!("../files/semicolon-decimal-comma.csv").to_vec();
    let found = checked(&api, "kind=debts&dates=dmy", latin).await;
    assert_eq!(
        (&found["dialect"]["decimal"], &found["dialect"]["said"]),
        (&json!("comma"), &json!(["dates"])),
        "{found}"
    );
}

#[tokio::test]
async fn what_is_refused_is_refused_alike() {
    let api = api_with(|config| config.limits.max_file_bytes = 100_000).await;
    let open: String = (1..=3_u128)
        .map(|key| format!("Ana Lima,9558,ana@example.com,10,01/02/2030,{}\n", Uuid::from_u128(key)))
        .collect();
    let files = [
        include_bytes!("../files/debts.pdf").to_vec(),
        b"{\"data\": [\n  {\"name\": \"Ana\"}\n]}".to_vec(),
        format!("{HEADER}{open}").into_bytes(),
        b"name,email\nAna,ana@example.com\n".to_vec(),
        Vec::new(),
        file(2_000).into_bytes(),
    ];
    for file in files {
        let real = api.post("/v1/uploads?kind=debts").body(file.clone()).send().await.unwrap();
        let status = real.status();
        assert!(status.is_client_error(), "{status}");
        let mut real = problem(real, status).await;
        real.as_object_mut().unwrap().remove("upload_id");
        assert_eq!(problem(dry(&api, "kind=debts", file).await, status).await, real);
    }
    let wrong = problem(dry(&api, "kind=debts&dates=us", "").await, StatusCode::BAD_REQUEST).await;
    assert_eq!(wrong["errors"][0]["field"], "dates");
    let wrong = api.post("/v1/uploads?kind=debts&dry_run=perhaps").body(file(1)).send().await.unwrap();
    assert_eq!(problem(wrong, StatusCode::BAD_REQUEST).await["errors"][0]["field"], "dry_run");
}

#[tokio::test]
async fn a_form_says_it_too() {
    let api = api().await;
    let part =
        |name: &str, value: &str| format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body =
        [part("kind", "debts"), part("dry_run", "true"), part("file", &file(3)), "--xx--\r\n".to_owned()].concat();
    let request = api.post("/v1/uploads").header("content-type", "multipart/form-data; boundary=xx");
    let found = json(request.body(body).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(found["good"], 3, "{found}");
    let packed = api.post("/v1/uploads?kind=debts&dry_run=true").header("content-encoding", "gzip");
    let packed = packed.body(include_bytes!("../files/debts.csv.gz").to_vec()).send().await.unwrap();
    assert_eq!(json(packed, StatusCode::OK).await["rejected"], 0);
    assert_eq!(stored(&api).await, 0);
}

#[tokio::test]
async fn an_idempotency_key_stays_free() {
    let api = api().await;
    let keyed = async |more: &str, rows| {
        let request = api.post(&format!("/v1/uploads?kind=debts{more}")).header("idempotency-key", "one");
        request.body(file(rows)).send().await.unwrap()
    };
    assert_eq!(json(keyed("&dry_run=true", 3).await, StatusCode::OK).await["good"], 3);
    assert_eq!(json(keyed("&dry_run=true", 4).await, StatusCode::OK).await["good"], 4);
    json(keyed("", 5).await, StatusCode::ACCEPTED).await;
    assert_eq!(json(keyed("&dry_run=true", 3).await, StatusCode::OK).await["good"], 3);
}

/// Begins a file that does not come to its end.
async fn begin(api: &Api) -> TcpStream {
    let mut stream = TcpStream::connect(api.addr).await.unwrap();
    let head = format!(
        "POST /v1/uploads?kind=debts&dry_run=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 10000000\r\n\r\n",
        api.key
    );
    stream.write_all((head + HEADER + &rows(10)).as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn more_than_allowed_at_once_wait() {
    let api = api().await;
    // A file that arrives slowly keeps no other one from being read.
    let mut begun = vec![begin(&api).await];
    assert_eq!(dry(&api, "kind=debts", file(1)).await.status(), StatusCode::OK);
    let refused = eventually("one more is refused", async || {
        begun.push(begin(&api).await);
        let response = dry(&api, "kind=debts", file(1)).await;
        (response.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(response)
    })
    .await;
    assert_eq!(refused.headers()["retry-after"], "2");
    let refused = problem(refused, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(refused["type"], "/problems/busy");
    assert!(refused["detail"].as_str().unwrap().contains("are being checked"), "{refused}");
    api.upload(file(1)).await;
    drop(begun);
    eventually("the next one is read", async || {
        let response = dry(&api, "kind=debts", file(1)).await;
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
}
