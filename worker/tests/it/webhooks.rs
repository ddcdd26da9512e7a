//! Webhooks, against endpoints that are real servers and do what endpoints do.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gristmill_clients::{Settings, settings};
use gristmill_webhooks::{
    Event, EventType, Merchant, NormalizationCompleted, Scheme,
    deliveries::{self, ReplayOutcome, State},
    endpoints::{self, Change, Endpoint, NewEndpoint},
    publish, publish_all,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::{self, Harness};

/// What arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// What a sink answers to the n-th call, from 0.
type Answers = dyn Fn(u64, &Call) -> &'static str + Send + Sync;

/// An endpoint: answers the n-th call, from 0, with what it is told to.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Sink {
    pub(crate) async fn new(answer: impl Fn(u64) -> &'static str + Send + Sync + 'static) -> Self {
        Self::reading(move |n, _| answer(n)).await
    }

    /// One whose answer depends on what it is told, too.
    async fn reading(answer: impl Fn(u64, &Call) -> &'static str + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let sink = Self { url, calls: Arc::default() };
        let (calls, answer, count) = (Arc::clone(&sink.calls), Arc::new(answer), Arc::new(AtomicU64::new(0)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (calls, answer, count) = (Arc::clone(&calls), Arc::clone(&answer), Arc::clone(&count));
                tokio::spawn(async move { serve(socket, &calls, &*answer, &count).await });
            }
        });
        sink
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Of what was told, however often: one that is told again, as its worker lost its lease, has the same id.
    pub(crate) fn ids(&self) -> HashSet<String> {
        self.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect()
    }
}

/// Keep-alive HTTP/1.1, as far as a sink needs it. An empty answer cuts the connection.
async fn serve(socket: TcpStream, calls: &Mutex<Vec<Call>>, answer: &Answers, count: &AtomicU64) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let (mut headers, mut line) = (HashMap::new(), String::new());
        socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        loop {
            line.clear();
            socket.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().ok()?];
        socket.read_exact(&mut body).await.ok()?;
        let call = Call { headers, body: String::from_utf8(body).ok()? };
        calls.lock().unwrap().push(call.clone());
        let said = answer(count.fetch_add(1, Ordering::SeqCst), &call);
        if said.is_empty() {
            return None;
        }
        socket.write_all(said.as_bytes()).await.ok()?;
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
const LATER: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";

impl Harness {
    pub(crate) async fn hook(&self, url: &str, events: &[EventType]) -> (Endpoint, String) {
        let new = NewEndpoint {
            url: url.to_owned(),
            events: events.to_vec(),
            description: None,
            scheme: Scheme::Hmac,
            old_callback: false,
        };
        endpoints::create(&self.stack.pool, self.client_id, &new).await.unwrap()
    }

    async fn happen(&self, events: &[Event]) {
        let mut tx = self.stack.pool.begin().await.unwrap();
        let jobs = publish_all(&mut tx, &self.env.queue, self.client_id, events, &[]).await.unwrap();
        tx.commit().await.unwrap();
        self.env.queue.push(jobs).await;
    }

    async fn only(&self, endpoint: &Endpoint) -> deliveries::Delivery {
        let mut all = deliveries::list(&self.stack.pool, endpoint.id, None, None, 10).await.unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    async fn endpoint(&self, id: Uuid) -> Endpoint {
        endpoints::find(&self.stack.pool, self.client_id, id).await.unwrap().unwrap()
    }

    /// Nobody waits in a test: what is to be tried again is due now.
    async fn hurry(&self) {
        sqlx::query("update gristmill.jobs set run_at = now() where state = 'scheduled'")
            .execute(&self.stack.pool)
            .await
            .unwrap();
    }
}

fn netflix() -> Event {
    Event::NormalizationCompleted(NormalizationCompleted {
        request_id: Uuid::now_v7(),
        merchant: Merchant { name: "Netflix".into(), rule: None, score: None, category: None, wikidata_id: None },
    })
}

#[tokio::test]
async fn an_event_arrives_signed_once() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| OK).await;
    let (endpoint, _) = harness.hook(&sink.url, &[EventType::NormalizationCompleted]).await;
    let (deaf, _) = harness.hook(&sink.url, &[EventType::BillPaid]).await;
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    let calls = sink.calls();
    assert_eq!(calls.len(), 1);
    let told: serde_json::Value = serde_json::from_str(&calls[0].body).unwrap();
    assert_eq!(
        (&told["type"], &told["data"]["merchant"]["name"]),
        (&"normalization.completed".into(), &"Netflix".into())
    );
    assert!(calls[0].headers["webhook-signature"].starts_with("v1,"));
    let delivery = harness.only(&endpoint).await;
    assert_eq!((delivery.state, &delivery.message_id), (State::Delivered, &calls[0].headers["webhook-id"]));
    assert_eq!((delivery.attempts[0].status, delivery.attempts[0].answer.as_deref()), (Some(200), Some("ok")));
    assert!(deliveries::list(&harness.stack.pool, deaf.id, None, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_rolls_back_tells_nobody() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| OK).await;
    harness.hook(&sink.url, EventType::ALL).await;
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let jobs = publish(&mut tx, &harness.env.queue, harness.client_id, &netflix()).await.unwrap();
    tx.rollback().await.unwrap();
    harness.env.queue.push(jobs).await;
    harness.drain().await;
    assert!(sink.calls().is_empty());
}

#[tokio::test]
async fn a_failure_is_tried_again_after_its_wait_under_the_same_id() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|n| if n == 0 { BROKEN } else { OK }).await;
    let (endpoint, _) = harness.hook(&sink.url, EventType::ALL).await;
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    assert_eq!((sink.calls().len(), harness.only(&endpoint).await.state), (1, State::Pending));
    // From the end of the attempt, however long ago that is.
    let wait = harness
        .count(
            "select extract(epoch from min(run_at) - (select max(ended_at) from gristmill.job_attempts))::bigint
             from gristmill.jobs where state = 'scheduled'",
        )
        .await;
    assert!((2..=6).contains(&wait), "{wait} s");
    assert!(harness.endpoint(endpoint.id).await.failing_since.is_some());
    harness.hurry().await;
    harness.drain().await;
    assert_eq!((sink.calls().len(), sink.ids().len()), (2, 1));
    let delivery = harness.only(&endpoint).await;
    let statuses: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!((delivery.state, statuses), (State::Delivered, vec![Some(500), Some(200)]));
    assert!(harness.endpoint(endpoint.id).await.failing_since.is_none());
}

#[tokio::test]
async fn after_eight_attempts_it_has_failed_and_can_be_replayed() {
    let harness = Harness::new(1 << 20).await;
    // Not a fault of the endpoint's health: it is refused, so nobody is left alone.
    let sink = Sink::new(|n| if n < 8 { "HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n" } else { OK }).await;
    let (endpoint, _) = harness.hook(&sink.url, EventType::ALL).await;
    harness.happen(&[netflix()]).await;
    for _ in 0..8 {
        harness.drain().await;
        harness.hurry().await;
    }
    let delivery = harness.only(&endpoint).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (State::Failed, 8));
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let replayed =
        deliveries::replay(&mut tx, &harness.env.queue, harness.client_id, endpoint.id, delivery.id).await.unwrap();
    tx.commit().await.unwrap();
    let ReplayOutcome::Again(jobs) = replayed else { panic!("{replayed:?}") };
    harness.env.queue.push(jobs).await;
    harness.drain().await;
    assert_eq!(harness.only(&endpoint).await.state, State::Delivered);
    assert_eq!(sink.ids().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| GONE).await;
    let (endpoint, _) = harness.hook(&sink.url, EventType::ALL).await;
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    assert_eq!(harness.endpoint(endpoint.id).await.disabled_reason.as_deref(), Some("gone"));
    assert_eq!(harness.only(&endpoint).await.state, State::Failed);
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    assert_eq!(sink.calls().len(), 1);
}

#[tokio::test]
async fn five_days_of_failure_disable_it_and_tell_the_operator() {
    let harness = Harness::new(1 << 20).await;
    let heard = Settings { operator_email: Some("ops@acme.example".into()), ..Settings::default() };
    settings::put(&harness.stack.pool, harness.client_id, &heard).await.unwrap();
    let sink = Sink::new(|_| BROKEN).await;
    let (endpoint, _) = harness.hook(&sink.url, EventType::ALL).await;
    harness.happen(&[netflix(), netflix()]).await;
    harness.drain().await;
    assert!(harness.endpoint(endpoint.id).await.enabled);
    sqlx::query("update webhook_endpoints set failing_since = now() - interval '121 hours'")
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    // One alone is due: the mail tells the newest error, and the other one's would be that there is no endpoint any more.
    sqlx::query(
        "update gristmill.jobs j set run_at = now() + interval '1 hour' * (select count(*) from gristmill.jobs o where o.id < j.id and o.state = 'scheduled')
         where state = 'scheduled'",
    )
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    harness.drain().await;
    assert_eq!(harness.endpoint(endpoint.id).await.disabled_reason.as_deref(), Some("failing"));
    let told: Vec<(String, String, String)> =
        sqlx::query_as("select recipient, state, text from mails").fetch_all(&harness.stack.pool).await.unwrap();
    let [(recipient, state, text)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&**recipient, &**state), ("ops@acme.example", "sent"));
    assert!(text.contains(&sink.url) && text.contains("500") && text.contains(": 2\n"), "{text}");
    harness.hurry().await;
    harness.drain().await;
    let left = harness.count("select count(*) from webhook_deliveries where state = 'pending'").await;
    assert_eq!(left, 0, "what waited is cancelled");
    let enable = Change { enabled: Some(true), ..Change::default() };
    let enabled =
        endpoints::change(&harness.stack.pool, harness.client_id, endpoint.id, &enable).await.unwrap().unwrap();
    assert!(enabled.enabled && enabled.failing_since.is_none());
}

#[tokio::test]
async fn who_asks_for_an_hour_gets_it() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| LATER).await;
    harness.hook(&sink.url, EventType::ALL).await;
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    assert_eq!(sink.calls().len(), 1, "the second one waits too");
    let soonest = harness
        .count("select extract(epoch from min(run_at) - now())::bigint from gristmill.jobs where state = 'scheduled'")
        .await;
    assert!(soonest > 3_500, "{soonest} s");
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| OK).await;
    let (endpoint, first) = harness.hook(&sink.url, EventType::ALL).await;
    let (_, second) = endpoints::rotate(&harness.stack.pool, harness.client_id, endpoint.id).await.unwrap().unwrap();
    assert_ne!(first, second);
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    assert_eq!(sink.calls()[0].headers["webhook-signature"].split(' ').count(), 2);
}

#[tokio::test]
async fn an_upload_tells_of_its_end() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| OK).await;
    harness.hook(&sink.url, EventType::ALL).await;
    let good = harness.run_file(harness::file(1..=3)).await;
    let mut new = harness.new_upload(gristmill_uploads::Policy::Atomic);
    new.force = true;
    let bad = harness::accepted(harness.receive(new, format!("{}{}x\n", harness::HEADER, harness::row(9))).await);
    harness.drain().await;
    let told: Vec<(String, String)> = sink
        .calls()
        .iter()
        .map(|call| serde_json::from_str::<serde_json::Value>(&call.body).unwrap())
        .map(|told| (told["type"].as_str().unwrap().to_owned(), told["data"]["id"].as_str().unwrap().to_owned()))
        .collect();
    let wanted =
        [("upload.completed".to_owned(), good.id.to_string()), ("upload.failed".to_owned(), bad.id.to_string())];
    assert_eq!(told, wanted);
}

/// Deliveries that have ended are kept for a time, with their attempts; those that wait are never dropped.
#[tokio::test]
async fn old_deliveries_are_dropped_when_they_have_ended() {
    let harness = Harness::new(1 << 20).await;
    let (good, bad) = (Sink::new(|_| OK).await, Sink::new(|_| BROKEN).await);
    harness.hook(&good.url, EventType::ALL).await;
    let (waiting, _) = harness.hook(&bad.url, EventType::ALL).await;
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    let prune = async |keep| deliveries::prune(&harness.stack.pool, keep, 1).await.unwrap();
    assert_eq!(prune(Duration::from_secs(3_600)).await, 0, "they are young");
    assert_eq!([prune(Duration::ZERO).await, prune(Duration::ZERO).await], [1, 0]);
    let left = "select count(*) from webhook_deliveries";
    assert_eq!(harness.count(left).await, 1);
    assert_eq!(harness.only(&waiting).await.state, State::Pending);
    assert_eq!(harness.count("select count(distinct delivery_id) from webhook_attempts").await, 1);
}

/// More bills than a slice has, from several shards: each is told of once.
#[tokio::test(flavor = "multi_thread")]
async fn each_bill_of_a_run_is_told_of() {
    const BILLS: u64 = 1_201;
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| OK).await;
    harness.run_file(harness::file(1..=BILLS)).await;
    harness.hook(&sink.url, &[EventType::BillCreated]).await;
    let run = harness.bill(false).await;
    assert_eq!(run.bills, BILLS.cast_signed());
    let numbers: HashSet<i64> = sink
        .calls()
        .iter()
        .map(|call| serde_json::from_str::<serde_json::Value>(&call.body).unwrap())
        .map(|told| told["data"]["number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers.len() as u64, BILLS, "none is missing");
    assert_eq!(sink.ids().len() as u64, BILLS, "each is one event");
}

/// A third of the calls fail, one way or another, and workers come and go; each event is accepted all the same.
#[tokio::test]
async fn nothing_is_lost_with_an_endpoint_that_fails_at_random() {
    let harness = Harness::new(1 << 20).await;
    let failures: Mutex<HashMap<String, u32>> = Mutex::default();
    let sink = Sink::reading(move |n, call| {
        let fault = match n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 {
            0..=2 => BROKEN,
            3..=4 => "",
            _ => return OK,
        };
        // A delivery has eight attempts.
        let mut failures = failures.lock().unwrap();
        let times = failures.entry(call.headers["webhook-id"].clone()).or_default();
        *times += 1;
        if *times > 5 { OK } else { fault }
    })
    .await;
    let (endpoint, _) = harness.hook(&sink.url, EventType::ALL).await;
    let events: Vec<Event> = (0..200).map(|_| netflix()).collect();
    harness.happen(&events).await;
    let left = "select count(*) from webhook_deliveries where state <> 'delivered'";
    let begun = Instant::now();
    while harness.count(left).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(300), "{} are left", harness.count(left).await);
        let (stop, before) = (CancellationToken::new(), sink.calls().len());
        harness.hurry().await;
        let running = harness.start(1, &stop);
        tokio::time::sleep(Duration::from_millis(700)).await;
        // On a busy machine its first call takes longer, and so it does where the endpoint is left alone for a while.
        for _ in 0..200 {
            if sink.calls().len() > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Dropped in mid-call, as far as a task can be: what it had begun is delivered again.
        running.abort();
        stop.cancel();
    }
    assert_eq!(sink.ids().len(), 200);
    assert!(harness.endpoint(endpoint.id).await.enabled);
}

/// Runs a command that is there on most machines; none where it is not, or where it fails.
fn ran(folder: &std::path::Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        eprintln!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then_some(said)
}

/// What we sign is what the published libraries of the specification verify. They come from PyPI and npm: without those,
/// the vectors in `signature.rs` have to do.
#[tokio::test]
async fn the_published_libraries_verify_what_is_sent() {
    let harness = Harness::new(1 << 20).await;
    let sink = Sink::new(|_| OK).await;
    let (endpoint, old) = harness.hook(&sink.url, EventType::ALL).await;
    let (_, new) = endpoints::rotate(&harness.stack.pool, harness.client_id, endpoint.id).await.unwrap().unwrap();
    let folder = &harness.stack.dir;
    let python = "import json, sys; from standardwebhooks import Webhook; case = json.load(open(sys.argv[1])); \
                  print(Webhook(case['secret']).verify(case['body'], case['headers'])['data']['merchant']['name'])";
    let node = "const { Webhook } = require('standardwebhooks'); const c = JSON.parse(require('fs').readFileSync(process.argv[1])); \
                console.log(new Webhook(c.secret).verify(c.body, c.headers).data.merchant.name)";
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "standardwebhooks==1.1.0"];
    let with_python =
        ran(folder, "python3", &["-m", "venv", "venv"]).and_then(|_| ran(folder, "venv/bin/python", &pip));
    let npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "standardwebhooks@1.1.1"];
    let with_node = ran(folder, "npm", &npm);
    // Sent when the libraries are there: they refuse what is older than five minutes.
    harness.happen(&[netflix()]).await;
    harness.drain().await;
    let call = sink.calls().remove(0);
    for (name, secret) in [("old", &old), ("new", &new)] {
        let case = serde_json::json!({ "secret": secret, "headers": call.headers, "body": call.body });
        std::fs::write(folder.join(format!("{name}.json")), case.to_string()).unwrap();
    }
    let tampered = call.body.replace("Netflix", "Nyetflix");
    let case = serde_json::json!({ "secret": new, "headers": call.headers, "body": tampered });
    std::fs::write(folder.join("tampered.json"), case.to_string()).unwrap();
    for (there, program, flag, script) in
        [(with_python, "venv/bin/python", "-c", python), (with_node, "node", "-e", node)]
    {
        if there.is_none() {
            eprintln!("{program}: the library cannot be had here");
            continue;
        }
        for name in ["old.json", "new.json"] {
            assert_eq!(ran(folder, program, &[flag, script, name]).as_deref(), Some("Netflix"), "{program} {name}");
        }
        assert_eq!(ran(folder, program, &[flag, script, "tampered.json"]), None, "{program} takes what was changed");
    }
}
