//! Merchants: of files of transactions, and of single requests.

use gristmill_clients::{Heuristic, Settings, settings};
use gristmill_normalization::{
    jobs::Normalize,
    requests::{self, New, State},
    rules, transactions,
};
use gristmill_pipelines::{Kind, generate, merchants::Test};
use gristmill_queue::Job as _;
use gristmill_uploads::{NewUpload, Policy, ReceiveOutcome, Upload};
use gristmill_webhooks::{
    EventType, Scheme,
    endpoints::{self, NewEndpoint},
};
use uuid::Uuid;

use crate::{harness::Harness, webhooks::Sink};

const HEADER: &str = "date,description,amount,currency,id\n";

async fn run_file(harness: &Harness, file: &str) -> Upload {
    let new = NewUpload { kind: Kind::Transactions, ..harness.new_upload(Policy::Partial) };
    let ReceiveOutcome::Accepted(upload) = harness.receive(new, file).await.unwrap() else { panic!("not taken") };
    harness.drain().await;
    harness.find(upload.id).await
}

async fn merchants(harness: &Harness, upload: &Upload) -> Vec<(i64, Option<String>, Option<String>)> {
    let mut found: Vec<(i64, Option<String>, Option<String>)> = Vec::new();
    // By pages, as they are read.
    loop {
        let after = found.last().map_or(0, |(line, ..)| *line);
        let page =
            transactions::page(&harness.stack.pool, harness.client_id, upload.id.get(), after, 700).await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page.into_iter().map(|one| (one.line, one.answer.merchant, one.answer.matched)));
    }
}

async fn ask(harness: &Harness, description: &str) -> requests::Request {
    let new = New {
        date: "2021-04-01".parse().unwrap(),
        description: description.to_owned(),
        amount_minor: -1299,
        currency: Some("USD".to_owned()),
    };
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let (ids, enqueued) =
        requests::create(&mut tx, &harness.env.queue, harness.client_id, &[new], vec![]).await.unwrap();
    tx.commit().await.unwrap();
    harness.env.queue.push(enqueued).await;
    harness.drain().await;
    requests::find(&harness.stack.pool, ids[0]).await.unwrap().unwrap()
}

async fn rule(harness: &Harness, pattern: &str, name: &str) -> Uuid {
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    rules::create(&mut conn, harness.client_id, Test::Contains, pattern, name).await.unwrap()
}

async fn external(harness: &Harness, url: &str) {
    let settings =
        Settings { heuristic: Heuristic::External, heuristic_url: Some(url.to_owned()), ..Settings::default() };
    assert!(settings.faults().is_empty());
    settings::put(&harness.stack.pool, harness.client_id, &settings).await.unwrap();
}

#[tokio::test]
async fn a_file_has_its_merchants_and_its_ids_are_keys() {
    let harness = Harness::new(1 << 20).await;
    rule(&harness, "joes", "Joe's Diner").await;
    let file = format!(
        "{HEADER}2021-04-01,Payment Netflix APRIL***,12.99,USD,a\n2021-04-02,POS JOES 12,-3.50,,b\n\
         2021-04-02,SQ *HENDRICKSON HANDYMAN,1,,c\n2021-04-03,UBER *TRIP,7,USD,a\n2021-04-03,x,oops,USD,d\n"
    );
    let upload = run_file(&harness, &file).await;
    assert_eq!(
        (<&str>::from(upload.state), upload.rows.accepted, upload.rows.rejected, upload.rows.duplicate),
        ("completed", 3, 1, 1)
    );
    let text = |text: &str| Some(text.to_owned());
    let expected = vec![(2, text("Netflix"), text("exact")), (3, text("Joe's Diner"), text("rule")), (4, None, None)];
    assert_eq!(merchants(&harness, &upload).await, expected);
    // Sent again with another line: what was there is a duplicate.
    let again = run_file(&harness, &format!("{file}2021-04-04,KFC,9,USD,e\n")).await;
    assert_eq!((again.rows.accepted, again.rows.duplicate), (1, 4));
}

#[tokio::test]
async fn without_ids_every_line_is_its_own() {
    let harness = Harness::new(1 << 20).await;
    let upload = run_file(&harness, "Amount,Description,Date\n1,KFC,2021-04-01\n1,KFC,2021-04-01\n").await;
    assert_eq!((upload.rows.accepted, upload.rows.duplicate), (2, 0));
    assert_eq!(merchants(&harness, &upload).await.len(), 2);
}

#[tokio::test]
async fn a_generated_file_of_many_chunks_adds_up() {
    let harness = Harness::new(64 << 10).await;
    let options = generate::Options { rows: 5_000, bad: 0.02, duplicates: 0.02, seed: 5, ..Default::default() };
    let mut file = Vec::new();
    let counts = generate::transactions(&options, &mut file).unwrap();
    let upload = run_file(&harness, std::str::from_utf8(&file).unwrap()).await;
    let rows = [upload.rows.accepted, upload.rows.rejected, upload.rows.duplicate];
    assert_eq!(rows.map(|rows| u64::try_from(rows).unwrap()), [counts.accepted, counts.rejected, counts.duplicate]);
    let merchants = merchants(&harness, &upload).await;
    assert_eq!(merchants.len() as u64, counts.accepted);
    assert!(merchants.is_sorted_by(|one, next| one.0 < next.0));
}

#[tokio::test]
async fn a_request_is_answered_and_told() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let endpoint = NewEndpoint {
        url: sink.url.clone(),
        events: vec![EventType::NormalizationCompleted],
        description: None,
        scheme: Scheme::Hmac,
        old_callback: false,
    };
    endpoints::create(&harness.stack.pool, harness.client_id, &endpoint).await.unwrap();
    let found = ask(&harness, "Payment Netflix APRIL***").await;
    assert_eq!((found.state, found.answer.merchant.as_deref()), (State::Completed, Some("Netflix")));
    assert_eq!((found.answer.mcc.as_deref(), found.answer.wikidata.as_deref()), (Some("4899"), Some("Q907311")));
    let calls = sink.calls();
    assert!(calls.len() == 1 && calls[0].body.contains(&found.id.to_string()) && calls[0].body.contains("Netflix"));
    let nobody = ask(&harness, "SQ *HENDRICKSON HANDYMAN").await;
    assert_eq!((nobody.state, nobody.answer.merchant), (State::Completed, None));
    assert!(sink.calls()[1].body.contains("n/a"));
}

#[tokio::test]
async fn rules_win_from_their_change_on() {
    let harness = Harness::new(1 << 20).await;
    assert_eq!(ask(&harness, "NETFLIX.COM").await.answer.merchant.as_deref(), Some("Netflix"));
    let id = rule(&harness, "netflix", "Films").await;
    let ruled = ask(&harness, "NETFLIX.COM").await.answer;
    assert_eq!((ruled.merchant.as_deref(), ruled.rule_id), (Some("Films"), Some(id)));
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    assert!(rules::update(&mut conn, harness.client_id, id, Test::Regex, "^netflix", "Movies").await.unwrap());
    assert_eq!(ask(&harness, "NETFLIX.COM").await.answer.merchant.as_deref(), Some("Movies"));
    assert!(rules::delete(&mut conn, harness.client_id, id).await.unwrap());
    assert_eq!(ask(&harness, "NETFLIX.COM").await.answer.merchant.as_deref(), Some("Netflix"));
}

#[tokio::test]
async fn a_clients_own_heuristic_is_asked_once_for_the_same() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(
        |_| "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n{\"merchant\":{\"name\":\"Elsewhere\",\"score\":0.5}}",
    )
    .await;
    external(&harness, &sink.url).await;
    let found = ask(&harness, "SOMETHING 1234").await.answer;
    assert_eq!(
        (found.merchant.as_deref(), found.matched.as_deref(), found.score),
        (Some("Elsewhere"), Some("external"), Some(0.5))
    );
    assert!(sink.calls()[0].body.contains("\"amount\":\"-12.99\""), "{:?}", sink.calls());
    assert_eq!(ask(&harness, "SOMETHING 99887").await.answer, found);
    assert_eq!(sink.calls().len(), 1, "what is left of both descriptors is the same");
}

#[tokio::test]
async fn a_heuristic_that_never_answers_is_given_up_and_said() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
    external(&harness, &sink.url).await;
    let asked = ask(&harness, "SOMETHING").await;
    // Draining runs what is due; its retries are made due here, one after the other.
    let mut request = asked;
    for _ in 0..Normalize::MAX_ATTEMPTS {
        sqlx::query("update gristmill.jobs set run_at = now() where state = 'scheduled'")
            .execute(&harness.stack.pool)
            .await
            .unwrap();
        harness.drain().await;
        request = requests::find(&harness.stack.pool, request.id).await.unwrap().unwrap();
    }
    assert_eq!(request.state, State::Failed);
    assert!(request.detail.unwrap().contains("500"));
    assert_eq!(sink.calls().len(), usize::from(Normalize::MAX_ATTEMPTS));
}

/// Answers can be read for a time; what is not answered yet is not dropped.
#[tokio::test(flavor = "multi_thread")]
async fn old_answers_are_dropped() {
    let harness = Harness::new(1 << 20).await;
    let answered = ask(&harness, "NETFLIX.COM").await;
    let new = New { date: answered.date.to_jiff(), description: "X".into(), amount_minor: 1, currency: None };
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let (waiting, _) = requests::create(&mut tx, &harness.env.queue, harness.client_id, &[new], vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let prune = async |keep| requests::prune(&harness.stack.pool, keep, 10).await.unwrap();
    assert_eq!(prune(std::time::Duration::from_secs(3_600)).await, 0, "it is young");
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(prune(std::time::Duration::ZERO).await, 1);
    assert!(requests::find(&harness.stack.pool, answered.id).await.unwrap().is_none());
    assert!(requests::find(&harness.stack.pool, waiting[0]).await.unwrap().is_some());
}
