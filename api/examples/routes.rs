//! How long a small client waits for each route, beside a client with fifty times as much, when the planner's statistics miss it.
//!
//! `cargo run --release -p gristmill-api --example routes -- [times each]`
//!
//! Tables and requests are those of the test of plans: 1,000,000 rows of most tables are the large client's, 20,000 the
//! small one's, and no table is analyzed meanwhile. Engines are private and durable, as `gristmill up` starts them; nobody
//! works on the jobs. It fails when a route of the document is not asked, or answers otherwise than it should.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/it/support.rs"]
mod support;

#[allow(dead_code, reason = "the test fills less")]
#[path = "../tests/it/plans/filled.rs"]
mod filled;
#[path = "../tests/it/plans/knowledge.rs"]
mod knowledge;
#[allow(dead_code, reason = "how many rows a statement may look at is for the test")]
#[path = "../tests/it/plans/requests.rs"]
mod requests;

use std::time::{Duration, Instant};

use gristmill_platform::{engines::Engines, testing};

use self::{filled::Filled, knowledge::Knowledge, requests::RouteRequest, support::Api};

/// What p99 of each should be below.
const GOAL: Duration = Duration::from_millis(200);
/// Requests that the table has.
const SLOWEST: usize = 10;

/// A request, and how long each of its answers took.
struct Measured {
    name: String,
    knowledge: Knowledge,
    took: Vec<Duration>,
}

impl Measured {
    /// What so many percent of the answers took at most.
    fn percentile(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took[(took.len() * percent).div_ceil(100).max(1) - 1]
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let times: usize = std::env::args().nth(1).map_or(100, |text| text.parse().expect("a number of times"));
    let folder = tempfile::tempdir().unwrap();
    let engines = Engines::start(folder.path()).await.expect("private engines start");
    let api = support::api_on(testing::stack_on(&engines).await, |_| {}).await;
    let since = Instant::now();
    let filled = filled::fill(&api, 1).await;
    eprintln!("filled in {:.0} s", since.elapsed().as_secs_f64());
    requests::check_all(&requests::there(&api.json("/openapi.json").await), &requests::round(&filled, 0));
    let mut measured = Vec::new();
    for (nth, knowledge) in Knowledge::ALL.into_iter().enumerate() {
        knowledge.set(&api).await;
        measured.extend(rounds(&api, &filled, knowledge, nth * times, times).await);
    }
    report(measured, times);
    api.stopped().await;
    engines.stop().await.expect("the engines stop");
}

/// Asks every route in turn, so many times.
async fn rounds(api: &Api, filled: &Filled, knowledge: Knowledge, base: usize, times: usize) -> Vec<Measured> {
    let named = requests::round(filled, base).into_iter();
    let mut measured: Vec<Measured> =
        named.map(|asked| Measured { name: name(&asked), knowledge, took: Vec::new() }).collect();
    for n in base..base + times {
        restore(api, filled, n).await;
        for (asked, measured) in requests::round(filled, n).iter().zip(&mut measured) {
            let since = Instant::now();
            asked.send(api).await.unwrap_or_else(|error| panic!("{error}"));
            measured.took.push(since.elapsed());
        }
    }
    measured
}

/// Makes again what a round ends, where there are too few for all rounds, and forgets what it would be refused for.
async fn restore(api: &Api, filled: &Filled, n: usize) {
    let sql = "
        delete from webhook_endpoints where client_id = :client and id <> made(8, :client, 1);
        insert into webhook_endpoints (id, client_id, url, events, secret)
        values (made(8, :client, 2 + :n), :client, 'https://example.com/hook', '{bill.created}', '\\x00');
        update webhook_endpoints set old_secret = null, old_secret_until = null where client_id = :client;
        delete from normalization_rules where client_id = :client;
        insert into normalization_rules (id, client_id, test, pattern, name)
        values (made(11, :client, 1 + :n), :client, 'contains', 'nobody', 'Nobody'),
               (made(11, :client, 40), :client, 'contains', 'nobody', 'Nobody')
        on conflict (id) do nothing;
        update billing_runs set state = 'cancelled', finished_at = now()
        where client_id = :client and state in ('queued', 'running')";
    let client = filled.client().to_string();
    sqlx::raw_sql(&sql.replace(":client", &client).replace(":n", &n.to_string()))
        .execute(&api.stack.pool)
        .await
        .unwrap();
    let redis = redis::Client::open(api.stack.redis_url.as_str()).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    let quota = format!("{}:quota:top-providers:{client}", api.stack.namespace);
    let () = redis::cmd("DEL").arg(quota).query_async(&mut redis).await.unwrap();
}

/// The route and its filters, without ids.
fn name(asked: &RouteRequest) -> String {
    let filters = asked.path.split_once('?').map_or("", |(_, query)| query);
    let short = |filter: &str| match filter.split_once('=') {
        Some((name, id)) if id.len() == 36 => format!("{name}=…"),
        _ => filter.to_owned(),
    };
    let filters: Vec<String> = filters.split('&').map(short).collect();
    let (method, path) = asked.operation.split_once(' ').unwrap();
    let mark = if asked.path.contains('?') { "?" } else { "" };
    format!("{} {path}{mark}{}", method.to_uppercase(), filters.join("&"))
}

fn report(mut measured: Vec<Measured>, times: usize) {
    measured.sort_by_key(|one| std::cmp::Reverse(one.percentile(99)));
    let over = measured.iter().filter(|one| one.percentile(99) >= GOAL).count();
    println!(
        "{} requests to all routes, {times} times each, with each kind of statistics: {over} with a p99 of 200 ms or more; \
         the slowest:\n",
        measured.len() / Knowledge::ALL.len()
    );
    println!("{:<72} {:<14} {:>9} {:>9}", "request", "statistics", "p50", "p99");
    for one in measured.iter().take(SLOWEST.max(over)) {
        let ms = |percent| format!("{:.1} ms", one.percentile(percent).as_secs_f64() * 1e3);
        println!("{:<72} {:<14} {:>9} {:>9}", one.name, format!("{:?}", one.knowledge), ms(50), ms(99));
    }
}
