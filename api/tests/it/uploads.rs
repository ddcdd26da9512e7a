use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::Value;

use crate::support::{HEADER, api, api_with, eventually, file, json, problem, rows};

#[tokio::test]
async fn a_file_is_stored_and_will_be_done() {
    let api = api_with(|config| config.limits.chunk_bytes = 64 * 1024).await;
    let body = file(2_000);
    let response =
        api.post("/v1/uploads?kind=debts&filename=a.csv&policy=atomic").body(body.clone()).send().await.unwrap();
    let location = response.headers()[LOCATION].to_str().unwrap().to_owned();
    let upload = json(response, StatusCode::ACCEPTED).await;
    assert_eq!(location, format!("/v1/uploads/{}", upload["id"].as_str().unwrap()));
    assert_eq!(api.json(&location).await, upload);
    assert_eq!(upload["bytes"], body.len());
    insta::assert_json_snapshot!(upload, {
        ".id" => "[id]", ".created_at" => "[time]", ".received_at" => "[time]", ".sha256" => "[hash]",
    });

    let chunks = upload["chunks"]["total"].as_i64().unwrap();
    assert_eq!(chunks, 3);
    let stored: i64 = sqlx::query_scalar("select count(*) from chunks").fetch_one(&api.stack.pool).await.unwrap();
    assert_eq!(stored, chunks);
    let waiting = "select count(*) from gristmill.jobs where name = 'uploads.load_chunk' and state = 'available'";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&api.stack.pool).await.unwrap();
    assert_eq!(waiting, chunks);
}

#[tokio::test]
async fn a_header_without_its_columns_is_named() {
    let api = api().await;
    let body = "name,governmentId,email,amount,debtDueDate\nElijah,1,a@b.c,1,2024-01-01\n";
    let response = api.post("/v1/uploads?kind=debts").body(body).send().await.unwrap();
    insta::assert_json_snapshot!(problem(response, StatusCode::UNPROCESSABLE_ENTITY).await);
}

#[tokio::test]
async fn an_empty_file_is_refused_and_a_header_alone_is_not() {
    let api = api().await;
    let response = api.post("/v1/uploads?kind=debts").body("").send().await.unwrap();
    insta::assert_json_snapshot!(problem(response, StatusCode::UNPROCESSABLE_ENTITY).await);
    let upload = api.upload(HEADER).await;
    assert_eq!(upload["chunks"]["total"], 0);
    assert_eq!(upload["bytes"], HEADER.len());
}

#[tokio::test]
async fn a_header_beyond_the_limit_is_refused() {
    let api = api_with(|config| config.limits.max_record_bytes = 64).await;
    // What is left of it within the limit has all the columns.
    let body = format!("{},{}\n{}", HEADER.trim_end(), "comment".repeat(20), rows(3));
    let response = api.post("/v1/uploads?kind=debts").body(body).send().await.unwrap();
    let found = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(found["detail"].as_str().unwrap().contains("64 bytes"), "{found}");
    assert_eq!(api.json("/v1/uploads").await["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused_and_nothing_stays() {
    let api = api_with(|config| {
        config.limits.max_file_bytes = 100_000;
        config.limits.chunk_bytes = 16 * 1024;
    })
    .await;
    let response = api.post("/v1/uploads?kind=debts").body(file(5_000)).send().await.unwrap();
    let found = problem(response, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(found["detail"].as_str().unwrap().contains("100000"), "{found}");
    assert_eq!(api.newest().await["state"], "failed");
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let api = api().await;
    for (query, field) in [
        ("", "kind"),
        ("?kind=invoices", "kind"),
        ("?kind=debts&policy=some", "policy"),
        ("?kind=debts&force=perhaps", "force"),
        ("?kind=debts&on_duplicate=overwrite", "on_duplicate"),
        ("?kind=claims&on_duplicate=replace", "on_duplicate"),
        ("?kind=debts&polcy=atomic", "polcy"),
        ("?kind=debts&kind=claims", "kind"),
        ("?kind=debts&filename=a%00b", "filename"),
    ] {
        let response = api.post(&format!("/v1/uploads{query}")).body(file(1)).send().await.unwrap();
        let found = problem(response, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["errors"][0]["field"], field, "{found}");
    }
    let response = api.post("/v1/uploads?kind=invoices&policy=some").body(file(1)).send().await.unwrap();
    insta::assert_json_snapshot!(problem(response, StatusCode::BAD_REQUEST).await);
}

#[tokio::test]
async fn the_same_file_again_is_the_first_upload() {
    let api = api().await;
    let first = api.upload(file(5)).await;
    api.pretend(first["id"].as_str().unwrap(), "completed").await;
    let again = api.post("/v1/uploads?kind=debts").body(file(5)).send().await.unwrap();
    assert_eq!(json(again, StatusCode::OK).await["id"], first["id"]);
    let forced = api.post("/v1/uploads?kind=debts&force=true").body(file(5)).send().await.unwrap();
    assert_ne!(json(forced, StatusCode::ACCEPTED).await["id"], first["id"]);
}

#[tokio::test]
async fn an_idempotency_key_makes_one_upload() {
    let api = api().await;
    let send = |key: &str, body: String| {
        api.post("/v1/uploads?kind=debts").header("idempotency-key", key.to_owned()).body(body).send()
    };
    let first = json(send("one", file(5)).await.unwrap(), StatusCode::ACCEPTED).await;
    let again = json(send("one", file(5)).await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!(first["id"], again["id"]);
    let replacing = api.post("/v1/uploads?kind=debts&on_duplicate=replace").header("idempotency-key", "one");
    problem(replacing.body(file(5)).send().await.unwrap(), StatusCode::UNPROCESSABLE_ENTITY).await;
    let other = send("one", file(6)).await.unwrap();
    insta::assert_json_snapshot!(problem(other, StatusCode::UNPROCESSABLE_ENTITY).await);
    problem(send(&"x".repeat(256), file(5)).await.unwrap(), StatusCode::BAD_REQUEST).await;
    let found = api.json("/v1/uploads?idempotency_key=one").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_upload_that_fails_while_its_key_is_looked_up_is_no_answer() {
    let api = api().await;
    let send = || api.post("/v1/uploads?kind=debts").header("idempotency-key", "one").body(file(5)).send();
    let first = json(send().await.unwrap(), StatusCode::ACCEPTED).await;
    let pool = &api.stack.pool;
    // As if it were still arriving at a process that has died.
    let arriving = "update uploads set state = 'receiving', received_at = null, sha256 = null";
    sqlx::query(arriving).execute(pool).await.unwrap();
    problem(send().await.unwrap(), StatusCode::CONFLICT).await;

    // The key is found, and before its upload is read, the scheduler fails it.
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("lock table upload_progress in access exclusive mode").execute(&mut *lock).await.unwrap();
    let fail = async {
        let waits = "select count(*) from pg_locks where not granted and relation = 'upload_progress'::regclass";
        eventually("the upload is read", || async {
            let waiting: i64 = sqlx::query_scalar(waits).fetch_one(pool).await.unwrap();
            (waiting > 0).then_some(())
        })
        .await;
        let failed = "update uploads set state = 'failed', reason = 'incomplete', idempotency_key = null";
        sqlx::query(failed).execute(pool).await.unwrap();
        lock.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(send(), fail);
    let second = json(answer.unwrap(), StatusCode::ACCEPTED).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["state"], "processing");
}

#[tokio::test]
async fn multipart_is_read_with_its_parameters_before_the_file() {
    let api = api().await;
    let response = multipart(&api, &[("kind", "debts"), ("policy", "atomic")], Some(&file(4))).await;
    let upload = json(response, StatusCode::ACCEPTED).await;
    assert_eq!((&upload["policy"], &upload["filename"]), (&Value::from("atomic"), &Value::from("sent.csv")));
    assert_eq!(upload["bytes"], file(4).len());

    // Many frames, and compressed: the form is inside.
    let large = file(50_000);
    let upload = json(multipart(&api, &[("kind", "debts")], Some(&large)).await, StatusCode::ACCEPTED).await;
    let raw = api.post("/v1/uploads?kind=debts&force=true").body(large).send().await.unwrap();
    assert_eq!(upload["sha256"], json(raw, StatusCode::ACCEPTED).await["sha256"]);

    let response = multipart(&api, &[("kind", "debts"), ("colour", "red")], Some(&file(4))).await;
    assert_eq!(problem(response, StatusCode::BAD_REQUEST).await["errors"][0]["field"], "colour");
    let response = multipart(&api, &[("kind", "debts")], None).await;
    insta::assert_json_snapshot!(problem(response, StatusCode::BAD_REQUEST).await);
    let request = api.post("/v1/uploads?kind=debts").header("content-type", "multipart/form-data").body(rows(1));
    problem(request.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn nothing_comes_behind_the_file_of_a_form() {
    let api = api_with(|config| config.limits.chunk_bytes = 16 * 1024).await;
    let part = |head: &str, value: &str| format!("--xx\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
    let form = part("name=\"kind\"", "debts") + &part("name=\"file\"; filename=\"a.csv\"", &file(1_000));
    let send = async |body: String| {
        let request = api.post("/v1/uploads").header("content-type", "multipart/form-data; boundary=xx");
        request.body(body).send().await.unwrap()
    };
    for (late, said) in [
        (part("name=\"policy\"", "atomic"), "the part 'policy' comes behind the part 'file'"),
        (part("name=\"file\"; filename=\"b.csv\"", &file(3)), "one file an upload"),
        (part("name=\"more\"; filename=\"b.csv\"", &file(3)), "one file an upload"),
        ("--xx--\r\n".to_owned() + &"x".repeat(8_000_000), "goes on behind its last part"),
    ] {
        let found = problem(send(format!("{form}{late}--xx--\r\n")).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["type"], "/problems/invalid-body");
        assert_eq!(found["upload_id"], "[upload id]");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
        let upload = api.newest().await;
        assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("incomplete")));
    }
    // An end without its line, and a few bytes that mean nothing.
    json(send(format!("{form}--xx--")).await, StatusCode::ACCEPTED).await;
    json(send(format!("{form}--xx--\r\nbye")).await, StatusCode::ACCEPTED).await;
    problem(send(form).await, StatusCode::BAD_REQUEST).await;
}

async fn multipart(api: &crate::support::Api, fields: &[(&str, &str)], file: Option<&str>) -> reqwest::Response {
    let mut body: String = fields
        .iter()
        .map(|(name, value)| format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"))
        .collect();
    if let Some(file) = file {
        body += "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"sent.csv\"\r\nContent-Type: text/csv\r\n\r\n";
        body += file;
        body += "\r\n";
    }
    body += "--xx--\r\n";
    let request = api.post("/v1/uploads").header("content-type", "multipart/form-data; boundary=xx");
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn cancelled_once_and_then_over() {
    let api = api().await;
    let upload = api.upload(file(5)).await;
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    let response = api.get(&format!("{path}/receipt")).send().await.unwrap();
    insta::assert_json_snapshot!("receipt_too_early", problem(response, StatusCode::CONFLICT).await);
    let delete = || api.bare("DELETE", &path).bearer_auth(&api.key).send();
    let cancelled = json(delete().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!((&cancelled["state"], &cancelled["reason"]), (&Value::from("cancelled"), &Value::from("cancelled")));
    problem(delete().await.unwrap(), StatusCode::CONFLICT).await;
    problem(api.get(&format!("{path}/receipt")).send().await.unwrap(), StatusCode::CONFLICT).await;
}

#[tokio::test]
async fn a_completed_upload_has_a_receipt_and_can_be_undone() {
    let api = api().await;
    let upload = api.upload(HEADER).await;
    let id = upload["id"].as_str().unwrap();
    api.pretend(id, "completed").await;
    let receipt = api.json(&format!("/v1/uploads/{id}/receipt")).await;
    assert_eq!((&receipt["bytes"], &receipt["sha256"]), (&upload["bytes"], &upload["sha256"]));
    let undone = api.bare("DELETE", &format!("/v1/uploads/{id}")).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(json(undone, StatusCode::ACCEPTED).await["reason"], "undone");
}

#[tokio::test]
async fn what_replaces_is_taken_each_time_and_what_may_not_repeat_once() {
    let api = api().await;
    let send = async |on_duplicate: &str| {
        let path = format!("/v1/uploads?kind=debts&on_duplicate={on_duplicate}");
        let sent = api.post(&path).body(file(5)).send().await.unwrap();
        let status = sent.status();
        (status, json(sent, status).await)
    };
    let (_, first) = send("replace").await;
    assert_eq!((&first["on_duplicate"], &first["rows"]["replaced"]), (&"replace".into(), &Value::Null));
    api.pretend(first["id"].as_str().unwrap(), "completed").await;
    let (status, again) = send("replace").await;
    assert!(status == StatusCode::ACCEPTED && again["id"] != first["id"], "{again}");
    let (status, same) = send("error").await;
    assert!(status == StatusCode::OK && same["id"] == first["id"], "{same}");
}

#[tokio::test]
async fn only_versions_of_a_file_are_compared() {
    let api = api().await;
    let send = async |query: &str, body: String| {
        let sent = api.post(&format!("/v1/uploads?kind=debts{query}")).body(body).send().await.unwrap();
        json(sent, StatusCode::ACCEPTED).await["id"].as_str().unwrap().to_owned()
    };
    let first = send("&filename=a.csv", file(5)).await;
    let refused = async |path: String, code: &str| {
        let found = problem(api.get(&path).send().await.unwrap(), StatusCode::CONFLICT).await;
        assert!(found["type"].as_str().unwrap().ends_with(code), "{found}");
    };
    refused(format!("/v1/uploads/{first}/delta"), "not-completed").await;
    api.pretend(&first, "completed").await;
    refused(format!("/v1/uploads/{first}/delta"), "not-comparable").await;
    let second = send("&filename=a.csv&on_duplicate=replace", file(6)).await;
    refused(format!("/v1/uploads/{first}/delta?against={second}"), "not-completed").await;
    api.pretend(&second, "completed").await;
    refused(format!("/v1/uploads/{first}/delta?against={second}"), "not-comparable").await;
    refused(format!("/v1/uploads/{first}/delta?against={first}"), "not-comparable").await;
    let delta = api.json(&format!("/v1/uploads/{second}/delta")).await;
    assert_eq!(delta["against"], first.as_str());
    assert_eq!(api.json(&format!("/v1/uploads/{second}/delta?against={first}")).await, delta);
    let missing = api.get(&format!("/v1/uploads/{second}/delta?against={}", uuid::Uuid::nil())).send().await.unwrap();
    problem(missing, StatusCode::NOT_FOUND).await;
    // Another client's are not there.
    let path = format!("/v1/uploads/{second}/delta");
    let found = api.send(&api.other_key().await, "GET", &path, Value::Null).await;
    problem(found, StatusCode::NOT_FOUND).await;
}
