//! How fast webhooks are delivered, and what one endpoint that never answers does to 99 that do.
//!
//! `cargo run --release -p gristmill-worker --example webhook_rate`: a private Postgres and Redis, one worker, a sink in
//! this process.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gristmill_core::ClientId;
use gristmill_mail::{Mailer, Rate};
use gristmill_normalization::Merchants;
use gristmill_platform::{
    config::{LimitsConfig, MailConfig, OutboundConfig, Ports, WorkerConfig},
    testing::{self, Stack},
};
use gristmill_queue::{Queue, QueueConfig, Sweeper};
use gristmill_uploads::events::Events;
use gristmill_webhooks::{
    Deliverer, Event, EventType, Merchant, NormalizationCompleted, Scheme,
    endpoints::{self, NewEndpoint},
    publish_all,
};
use gristmill_worker::{Env, app, rules};
use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of the first part: deliveries, unless the first argument says how many, and endpoints that share them.
const DELIVERIES: usize = 20_000;
const SHARING: usize = 10;
/// Of the second one: endpoints, rounds of one event to each of them, and the time between rounds.
const ENDPOINTS: usize = 100;
const ROUNDS: usize = 60;
const BETWEEN: Duration = Duration::from_millis(250);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let stack = testing::stack().await;
    let sink = Sink::new(false).await?;
    let env = env(&stack).await?;
    let stop = CancellationToken::new();
    let worker = app(&env, &WorkerConfig::default(), &MailConfig::default()).into_worker()?;
    let sweeper = Sweeper::new(&env.queue);
    let (first, second) = (stop.clone(), stop.clone());
    let working = tokio::spawn(async move { tokio::join!(worker.run(first), sweeper.run(second)).0 });

    let deliveries = std::env::args().nth(1).map_or(Ok(DELIVERIES), |number| number.parse())?;
    let seconds = drain(&env, &sink, deliveries).await?;
    say(&format!("{deliveries} deliveries to {SHARING} endpoints: {:.0} a second", deliveries as f64 / seconds))?;
    for (name, dead) in [("100 healthy", 0), ("99 healthy, one that never answers", 1), ("100 healthy, again", 0)] {
        let latencies = steady(&env, &sink, dead).await?;
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        say(&format!("{name}: {} deliveries, p50 {:.1} ms, p99 {:.1} ms", latencies.len(), at(0.5), at(0.99)))?;
    }
    stop.cancel();
    working.await??;
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

async fn env(stack: &Stack) -> Result<Env, Failure> {
    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    let outbound = OutboundConfig {
        outbound_http: true,
        outbound_ports: Ports::Any,
        outbound_networks: vec!["127.0.0.0/8".parse()?],
    };
    let rate = Rate::connect(&stack.redis_url, &stack.namespace, 0.0)?;
    let queue = Queue::connect(stack.pool.clone(), config).await?;
    Ok(Env {
        pool: stack.pool.clone(),
        queue: queue.clone(),
        store: stack.store.clone(),
        events: Events::connect(&stack.redis_url, &stack.namespace)?,
        mailer: Mailer::new(&MailConfig::default(), stack.pool.clone(), stack.store.clone(), rate)?,
        merchants: Merchants::connect(&stack.redis_url, &stack.namespace)?,
        deliverer: Deliverer::new(&outbound, queue)?,
        rules: Arc::new(rules(&LimitsConfig::default())),
        max_rejects: LimitsConfig::default().max_rejects,
        keep_objects: Duration::ZERO,
        own: gristmill_worker::Own { first_bytes: 1, rows: 0 },
        filters: gristmill_worker::KeyFilters::new(0),
    })
}

/// As fast as it goes. Returns the seconds from the commit to the last call.
async fn drain(env: &Env, sink: &Sink, deliveries: usize) -> Result<f64, Failure> {
    let mut jobs = Vec::new();
    let mut tx = env.pool.begin().await?;
    for number in 0..SHARING {
        let client = client(env, &format!("fast{number}"), &sink.url).await?;
        let events: Vec<Event> = (0..deliveries / SHARING).map(|_| event()).collect();
        jobs.push(publish_all(&mut tx, &env.queue, client, &events, &[]).await?);
    }
    tx.commit().await?;
    sink.take();
    say("committed: the worker is given the jobs")?;
    let begun = Instant::now();
    for jobs in jobs {
        env.queue.push(jobs).await;
    }
    sink.wait(deliveries / SHARING * SHARING).await;
    Ok(begun.elapsed().as_secs_f64())
}

/// One event after another to each endpoint; returns in milliseconds, sorted, how long after its publication each
/// reached its healthy endpoint.
async fn steady(env: &Env, sink: &Sink, dead: usize) -> Result<Vec<f64>, Failure> {
    let silent = Sink::new(true).await?;
    let mut clients = Vec::new();
    for number in 0..ENDPOINTS {
        let url = if number < dead { &silent.url } else { &sink.url };
        clients.push(client(env, &Uuid::new_v4().to_string(), url).await?);
    }
    sink.take();
    for _ in 0..ROUNDS {
        let next = Instant::now() + BETWEEN;
        for client in &clients {
            let mut tx = env.pool.begin().await?;
            let jobs = publish_all(&mut tx, &env.queue, *client, &[event()], &[]).await?;
            tx.commit().await?;
            env.queue.push(jobs).await;
        }
        tokio::time::sleep_until(next.into()).await;
    }
    sink.wait(ROUNDS * (ENDPOINTS - dead)).await;
    let mut latencies = sink.take();
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

fn event() -> Event {
    let merchant = Merchant { name: "Netflix".into(), rule: None, score: None, category: None, wikidata_id: None };
    Event::NormalizationCompleted(NormalizationCompleted { request_id: Uuid::now_v7(), merchant })
}

async fn client(env: &Env, name: &str, url: &str) -> Result<ClientId, Failure> {
    let id: ClientId = sqlx::query_scalar("insert into clients (name) values ($1) returning id")
        .bind(name)
        .fetch_one(&env.pool)
        .await?;
    let new = NewEndpoint {
        url: url.to_owned(),
        events: EventType::ALL.to_vec(),
        description: None,
        scheme: Scheme::Hmac,
        old_callback: false,
    };
    endpoints::create(&env.pool, id, &new).await?;
    Ok(id)
}

/// A server that takes everything, or one that takes a connection and says nothing.
struct Sink {
    url: String,
    latencies: Arc<Mutex<Vec<f64>>>,
}

impl Sink {
    async fn new(silent: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sink = Self { url: format!("http://{}/hooks", listener.local_addr()?), latencies: Arc::default() };
        let latencies = Arc::clone(&sink.latencies);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                if silent {
                    kept.push(socket);
                } else {
                    tokio::spawn(serve(socket, Arc::clone(&latencies)));
                }
            }
        });
        Ok(sink)
    }

    fn take(&self) -> Vec<f64> {
        self.latencies.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default()
    }

    async fn wait(&self, calls: usize) {
        while self.latencies.lock().is_ok_and(|all| all.len() < calls) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn serve(socket: TcpStream, latencies: Arc<Mutex<Vec<f64>>>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        let told: serde_json::Value = serde_json::from_slice(&body).ok()?;
        let told: Timestamp = told["timestamp"].as_str()?.parse().ok()?;
        latencies.lock().ok()?.push(Timestamp::now().duration_since(told).as_secs_f64() * 1_000.0);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}
