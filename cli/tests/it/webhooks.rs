//! Webhooks while workers are killed, to an endpoint that does not take every third event at first.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gristmill_core::ClientId;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use gristmill_webhooks::{
    Event, EventType, Merchant, NormalizationCompleted, Scheme,
    endpoints::{self, NewEndpoint},
    publish_all,
};
use uuid::Uuid;

use crate::harness::{Harness, Process};

/// What came to the sink.
#[derive(Default)]
struct Seen {
    /// The messages that came at all.
    called: HashSet<String>,
    /// How often each message was accepted.
    accepted: HashMap<String, usize>,
}

impl Seen {
    /// How a call is taken. Of six messages one is first answered 500, and one never: its line is cut. By turns, and only at
    /// first, so that chance makes no endpoint of it that is held for dead, and no delivery that fails for good.
    fn takes(&mut self, id: &str) -> Taken {
        let turn = self.called.len() % 6;
        match (self.called.insert(id.to_owned()), turn) {
            (true, 0) => Taken::Fault,
            (true, 3) => Taken::Cut,
            _ => {
                *self.accepted.entry(id.to_owned()).or_default() += 1;
                Taken::Well
            }
        }
    }
}

enum Taken {
    Well,
    Fault,
    Cut,
}

async fn sink() -> (String, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, seen) = (format!("http://{}/", listener.local_addr().unwrap()), Arc::<Mutex<Seen>>::default());
    let serving = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, Arc::clone(&serving)));
        }
    });
    (url, seen)
}

async fn serve(socket: TcpStream, seen: Arc<Mutex<Seen>>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let (mut id, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
                Some((name, value)) if name.eq_ignore_ascii_case("webhook-id") => value.clone_into(&mut id),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        // So long that a killed worker has calls on their way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer: &[u8] = match seen.lock().unwrap().takes(&id) {
            Taken::Well => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Taken::Fault => b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
            Taken::Cut => return None,
        };
        socket.write_all(answer).await.ok()?;
    }
}

fn worker(harness: &Harness) -> Process {
    let mut command = harness.command("worker");
    command
        .env("GRISTMILL_OUTBOUND_HTTP", "true")
        .env("GRISTMILL_OUTBOUND_PORTS", "any")
        .env("GRISTMILL_OUTBOUND_NETWORKS", "127.0.0.0/8");
    Process::of(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_accepted_though_workers_are_killed() {
    const EVENTS: usize = 400;
    let harness = Harness::with(1).await;
    let (url, seen) = sink().await;
    let pool = &harness.stack.pool;
    let client: ClientId = sqlx::query_scalar("select id from clients").fetch_one(pool).await.unwrap();
    let new = NewEndpoint {
        url,
        events: EventType::ALL.to_vec(),
        description: None,
        scheme: Scheme::Hmac,
        old_callback: false,
    };
    endpoints::create(pool, client, &new).await.unwrap();
    let _scheduler = harness.start("scheduler");
    let mut workers = [worker(&harness), worker(&harness)];
    let queue = harness.queue().await;
    let merchant = Merchant { name: "n/a".into(), rule: None, score: None, category: None, wikidata_id: None };
    let events: Vec<Event> = (0..EVENTS)
        .map(|_| {
            let (request_id, merchant) = (Uuid::now_v7(), merchant.clone());
            Event::NormalizationCompleted(NormalizationCompleted { request_id, merchant })
        })
        .collect();
    let mut tx = pool.begin().await.unwrap();
    let jobs = publish_all(&mut tx, &queue, client, &events, &[]).await.unwrap();
    tx.commit().await.unwrap();
    queue.push(jobs).await;
    let begun = Instant::now();
    let mut killed = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        // Nobody waits for hours in a test.
        sqlx::query("update gristmill.jobs set run_at = now() where state = 'scheduled'").execute(pool).await.unwrap();
        if killed < 4 && seen.lock().unwrap().accepted.len() > killed * EVENTS / 8 {
            workers[killed % 2].kill();
            workers[killed % 2] = worker(&harness);
            killed += 1;
        }
        if harness.count("select count(*) from webhook_deliveries where state <> 'delivered'").await == 0 {
            break;
        }
        if begun.elapsed() > Duration::from_secs(120) {
            let left = "select state || ' ' || count(*) from webhook_deliveries group by state";
            let left: Vec<String> = sqlx::query_scalar(left).fetch_all(pool).await.unwrap();
            panic!("not all are delivered: {left:?}");
        }
    }
    assert!(killed > 0, "no worker was killed");
    let accepted = &seen.lock().unwrap().accepted;
    assert_eq!(accepted.len(), EVENTS);
    let twice = accepted.values().filter(|times| **times > 1).count();
    assert!(twice < EVENTS / 4, "{twice} came more than once: more than were on their way when a worker was killed");
}
