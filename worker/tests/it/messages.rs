//! Messages: files of them, and the reports that they name, known here or upstream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use gristmill_clients::{Settings, settings};
use gristmill_core::ClientId;
use gristmill_pipelines::{Kind, generate, messages::Credits};
use gristmill_uploads::{NewUpload, Policy, ReceiveOutcome, RemoveOutcome, State, Upload};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::harness::{self, Harness};

const CSV: &str = "id,timestamp,text,report_id\n\
    1,2024-04-29T02:08:29.375Z,Are there any restrictions on alterations or improvements?,\n\
    2,2024-04-29T03:25:03.613+02:00,Generate a Tenant Obligations Report for the new tenant,5392\n\
    3,2024-04-29T01:00:00Z,What are the indemnity provisions?,nobody's\n\
    2,2024-04-30T00:00:00Z,again,\n\
    4,yesterday,x,\n\
    5,2024-04-29T07:27:34Z,\"A man, a plan\",\n";

const NDJSON: &str = "{\"id\":1,\"timestamp\":\"2024-04-29T02:08:29.375Z\",\"text\":\"Are there any restrictions on alterations or improvements?\",\"report_id\":null}\n\
    {\"id\":2,\"timestamp\":\"2024-04-29T03:25:03.613+02:00\",\"text\":\"Generate a Tenant Obligations Report for the new tenant\",\"report_id\":5392}\n\
    {\"id\":3,\"timestamp\":\"2024-04-29T01:00:00Z\",\"text\":\"What are the indemnity provisions?\",\"report_id\":\"nobody's\"}\n\
    {\"id\":\"2\",\"timestamp\":\"2024-04-30T00:00:00Z\",\"text\":\"again\"}\n\
    {\"id\":4,\"timestamp\":\"yesterday\",\"text\":\"x\"}\n\
    {\"id\":5,\"timestamp\":\"2024-04-29T07:27:34Z\",\"text\":\"A man, a plan\",\"report_id\":\"\"}";

fn new(harness: &Harness, policy: Policy) -> NewUpload {
    NewUpload { kind: Kind::Messages, ..harness.new_upload(policy) }
}

async fn run_file(harness: &Harness, file: &str) -> Upload {
    let ReceiveOutcome::Accepted(upload) = harness.receive(new(harness, Policy::Partial), file).await.unwrap() else {
        panic!("not taken")
    };
    harness.drain().await;
    harness.find(upload.id).await
}

/// Message, report and credits, as `/v1/usage` shows them.
async fn usage(harness: &Harness, client_id: ClientId) -> Vec<(String, Option<String>, String)> {
    let rows: Vec<(String, Option<String>, i64)> = sqlx::query_as(
        "select m.id, r.name, coalesce(r.credit_cost, m.text_credits) from messages m
         left join upload_reports r on r.upload_id = m.upload_id and r.report_id = m.report_id
         where m.client_id = $1 and exists (select from uploads where id = m.upload_id and state = 'completed')
         order by m.sent_at, m.id",
    )
    .bind(client_id)
    .fetch_all(&harness.stack.pool)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(id, name, twentieths)| (id, name, Credits::from_twentieths(twentieths).to_string()))
        .collect()
}

fn used(expected: &[(&str, Option<&str>, &str)]) -> Vec<(String, Option<String>, String)> {
    expected.iter().map(|(id, name, credits)| ((*id).into(), name.map(str::to_owned), (*credits).into())).collect()
}

async fn put(harness: &Harness, id: &str, name: &str, twentieths: i64) {
    sqlx::query(
        "insert into reports (client_id, id, source, name, credit_cost) values ($1, $2, 'client', $3, $4)
         on conflict (client_id, id) do update set source = 'client', name = $3, credit_cost = $4",
    )
    .bind(harness.client_id)
    .bind(id)
    .bind(name)
    .bind(twentieths)
    .execute(&harness.stack.pool)
    .await
    .unwrap();
}

async fn ask_upstream(harness: &Harness, url: &str, max_age: i32) {
    let settings = Settings {
        reports_url: Some(format!("{url}/reports/{{id}}")),
        reports_max_age: max_age,
        ..Settings::default()
    };
    assert_eq!(settings.faults(), []);
    settings::put(&harness.stack.pool, harness.client_id, &settings).await.unwrap();
}

/// What `Upstream` answers a path for the n-th time, from 0: a status and a body.
type Answers = dyn Fn(&str, u64) -> (u16, &'static str) + Send + Sync;

/// A server with reports.
struct Upstream {
    url: String,
    asked: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Upstream {
    async fn new(answers: impl Fn(&str, u64) -> (u16, &'static str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, answers): (Arc<Mutex<BTreeMap<_, _>>>, Arc<Answers>) = (Arc::default(), Arc::new(answers));
        let counts = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&counts), Arc::clone(&answers)));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<(String, u64)> {
        self.asked.lock().unwrap().clone().into_iter().collect()
    }
}

async fn serve(socket: TcpStream, asked: Arc<Mutex<BTreeMap<String, u64>>>, answers: Arc<Answers>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        while socket.read_line(&mut line).await.ok()? > 2 {}
        let nth = {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry(path.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let (status, body) = answers(&path, nth);
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(head.as_bytes()).await.ok()?;
    }
}

const LEASES: &str = "{\"id\":5392,\"name\":\"Tenant Obligations\",\"credit_cost\":79.5}";

#[tokio::test]
async fn csv_and_lines_of_json_give_the_same_usage() {
    let expected =
        used(&[("3", None, "2.9"), ("2", Some("Tenant Obligations"), "79.5"), ("1", None, "5.2"), ("5", None, "1")]);
    for (file, chunk_bytes) in [(CSV, 1 << 20), (NDJSON, 1 << 20), (CSV, 60), (NDJSON, 60)] {
        let harness = Harness::new(chunk_bytes).await;
        put(&harness, "5392", "Tenant Obligations", 1590).await;
        let upload = run_file(&harness, file).await;
        let rows = upload.rows;
        assert_eq!(
            (upload.state, rows.read, rows.accepted, rows.rejected, rows.duplicate),
            (State::Completed, 6, 4, 1, 1)
        );
        let rejects = harness.rejects(upload.id).await;
        let shown: Vec<_> =
            rejects.iter().map(|reject| (reject.code.as_str(), reject.column_name.as_deref())).collect();
        assert_eq!(shown, [("duplicate", Some("id")), ("bad_timestamp", Some("timestamp"))]);
        assert_eq!(usage(&harness, harness.client_id).await, expected);
    }
}

#[tokio::test]
async fn what_a_report_costs_is_fixed_when_its_upload_meets_it() {
    let harness = Harness::new(1 << 20).await;
    put(&harness, "r", "First", 20).await;
    let line = |id: u32, report: &str| format!("{id},2024-04-29T00:00:0{id}Z,Hello world,{report}\n");
    let header = "id,timestamp,text,report_id\n";
    let first = run_file(&harness, &format!("{header}{}{}", line(1, "r"), line(2, "later"))).await;
    put(&harness, "r", "Second", 40).await;
    put(&harness, "later", "Later", 60).await;
    run_file(&harness, &format!("{header}{}{}{}", line(1, "r"), line(3, "r"), line(4, "later"))).await;
    let expected = [("1", Some("First"), "1"), ("2", None, "1"), ("3", Some("Second"), "2"), ("4", Some("Later"), "3")];
    assert_eq!(usage(&harness, harness.client_id).await, used(&expected));

    let other = harness::client(&harness.stack, "other").await;
    assert_eq!(usage(&harness, other).await, []);
    let strange = NewUpload { client_id: other, ..new(&harness, Policy::Partial) };
    let ReceiveOutcome::Accepted(theirs) = harness.receive(strange, format!("{header}{}", line(1, "r"))).await.unwrap()
    else {
        panic!("not taken")
    };
    harness.drain().await;
    assert_eq!(harness.find(theirs.id).await.rows.accepted, 1, "ids are the client's own");
    assert_eq!(usage(&harness, other).await, used(&[("1", None, "1")]), "another client's report is unknown");

    assert!(matches!(harness.uploads.remove(harness.client_id, first.id).await.unwrap(), RemoveOutcome::Undone(_)));
    harness.drain().await;
    assert_eq!(usage(&harness, harness.client_id).await, used(&expected[2..]));
    let left = harness
        .count("select count(*) from upload_reports where name = 'First' or report_id = 'later' and name is null");
    assert_eq!(left.await, 0);
}

#[tokio::test]
async fn an_atomic_file_with_a_bad_row_costs_nothing() {
    let harness = Harness::new(1 << 20).await;
    let ReceiveOutcome::Accepted(upload) = harness.receive(new(&harness, Policy::Atomic), NDJSON).await.unwrap() else {
        panic!("not taken")
    };
    harness.drain().await;
    assert_eq!(harness.find(upload.id).await.reason.as_deref(), Some("rejected_rows"));
    assert_eq!(usage(&harness, harness.client_id).await, []);
    assert_eq!(harness.count("select count(*) from messages").await, 0);
    assert_eq!(harness.count("select count(*) from upload_reports").await, 0);
}

#[tokio::test]
async fn upstream_is_asked_once_for_what_is_not_known_here() {
    let harness = Harness::new(60).await;
    let upstream = Upstream::new(|path, _| match path {
        "/reports/5392" => (200, LEASES),
        _ => (404, "{}"),
    })
    .await;
    ask_upstream(&harness, &upstream.url, 3_600).await;
    put(&harness, "own", "Own", 5).await;
    let upload =
        run_file(&harness, &format!("{CSV}6,2024-04-29T08:00:00Z,x,own\n7,2024-04-29T09:00:00Z,Hello world,..\n"))
            .await;
    assert_eq!((upload.state, upload.rows.accepted), (State::Completed, 6));
    let found = usage(&harness, harness.client_id).await;
    assert_eq!(found[..3], used(&[("3", None, "2.9"), ("2", Some("Tenant Obligations"), "79.5"), ("1", None, "5.2")]));
    assert_eq!(found[4..], used(&[("6", Some("Own"), "0.25"), ("7", None, "1")]));
    assert_eq!(upstream.asked(), [("/reports/5392".to_owned(), 1), ("/reports/nobody%27s".to_owned(), 1)]);

    // Kept, that there is none as well, until it is too old.
    run_file(
        &harness,
        "id,timestamp,text,report_id\n8,2024-04-30T00:00:00Z,x,5392\n9,2024-04-30T00:00:00Z,x,nobody's\n",
    )
    .await;
    assert_eq!(upstream.asked().iter().map(|asked| asked.1).sum::<u64>(), 2);
    ask_upstream(&harness, &upstream.url, 0).await;
    run_file(&harness, "id,timestamp,text,report_id\n10,2024-04-30T00:00:00Z,x,5392\n").await;
    assert_eq!(upstream.asked()[0].1, 2);

    // Without an upstream what it said does not count any more.
    settings::put(&harness.stack.pool, harness.client_id, &Settings::default()).await.unwrap();
    run_file(&harness, "id,timestamp,text,report_id\n11,2024-05-01T00:00:00Z,Hello world,5392\n").await;
    assert_eq!(usage(&harness, harness.client_id).await.last().cloned(), used(&[("11", None, "1")]).pop());
}

#[tokio::test]
async fn an_upstream_that_fails_is_asked_again_and_nothing_is_guessed() {
    let harness = Harness::new(1 << 20).await;
    let upstream = Upstream::new(|path, nth| match (path, nth) {
        ("/reports/5392", 0) => (500, "oops"),
        ("/reports/5392", 1) => (200, "{\"name\":\"Too fine\",\"credit_cost\":0.01}"),
        ("/reports/5392", 2) => (302, ""),
        ("/reports/5392", _) => (200, LEASES),
        _ => (404, ""),
    })
    .await;
    ask_upstream(&harness, &upstream.url, 3_600).await;
    let ReceiveOutcome::Accepted(upload) = harness.receive(new(&harness, Policy::Partial), NDJSON).await.unwrap()
    else {
        panic!("not taken")
    };
    // No attempt is due by itself, however long a drain takes.
    sqlx::query(
        r#"update gristmill.jobs set backoff = '{"type": "fixed", "delay_ms": 3600000}' where name = 'uploads.load_chunk'"#,
    )
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let mut errors = Vec::new();
    for _ in 0..3 {
        harness.drain().await;
        assert_eq!(harness.find(upload.id).await.state, State::Processing);
        assert_eq!(harness.count("select count(*) from messages").await, 0);
        let error: Option<String> =
            sqlx::query_scalar("select last_error from gristmill.jobs where state = 'scheduled'")
                .fetch_one(&harness.stack.pool)
                .await
                .unwrap();
        errors.push(error.unwrap());
        sqlx::query("update gristmill.jobs set run_at = now() where state = 'scheduled'")
            .execute(&harness.stack.pool)
            .await
            .unwrap();
    }
    harness.drain().await;
    assert_eq!(harness.find(upload.id).await.state, State::Completed);
    assert_eq!(usage(&harness, harness.client_id).await[1], used(&[("2", Some("Tenant Obligations"), "79.5")])[0]);
    for (error, said) in errors.iter().zip(["500", "multiple of 0.05", "302"]) {
        assert!(error.contains(said) && error.contains("report 5392"), "{error}");
    }
    let asked = upstream.asked();
    assert_eq!(asked[0], ("/reports/5392".to_owned(), 4));
    assert_eq!(asked[1].1, 1, "what was answered is kept though the chunk's job failed: {asked:?}");
}

#[tokio::test]
async fn a_generated_file_of_many_chunks_adds_up() {
    let harness = Harness::new(64 << 10).await;
    let options = generate::Options { rows: 5_000, bad: 0.02, duplicates: 0.02, seed: 5, ..Default::default() };
    let mut file = Vec::new();
    let counts = generate::messages(&options, &mut file).unwrap();
    put(&harness, "7", "Seven", 77).await;
    let upload = run_file(&harness, std::str::from_utf8(&file).unwrap()).await;
    let rows = [upload.rows.accepted, upload.rows.rejected, upload.rows.duplicate];
    assert_eq!(rows.map(|rows| u64::try_from(rows).unwrap()), [counts.accepted, counts.rejected, counts.duplicate]);
    assert_eq!(usage(&harness, harness.client_id).await.len() as u64, counts.accepted);
    let open = "select count(*) from messages m where report_id is not null and not exists (
                    select from upload_reports r where r.upload_id = m.upload_id and r.report_id = m.report_id)";
    assert_eq!(harness.count(open).await, 0, "every report that is named is settled");
}
