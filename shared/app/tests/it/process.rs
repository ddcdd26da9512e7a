//! An application that runs: roles, ports, its end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::State, routing::post};
use gristmill::{Running, Settings, prelude::*};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};

use crate::support::{Add, End, add, app};

const MINUTE: Duration = Duration::from_secs(60);

async fn on(settings: &Settings, app: App) -> Running {
    let mut settings = settings.clone();
    settings.addr = SocketAddr::from(([127, 0, 0, 1], 0));
    app.with(|own| {
        let role = own.role;
        *own = settings;
        own.role = role;
    })
    .start()
    .await
    .unwrap()
}

/// The answer's status and body.
async fn ask(addr: SocketAddr, request: &str) -> (u16, String) {
    ask_with(addr, request, "Accept: */*", "").await
}

/// The same with a header and a body.
async fn ask_with(addr: SocketAddr, request: &str, header: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {addr}\r\n{header}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_does_all_of_it() {
    let test = app().job(add).test().await.unwrap();
    let running =
        on(test.settings(), app().job(add).cron("often", "* * * * * *", |c| c.job(&Add { a: 1, b: 1 }))).await;
    assert_eq!(running.enqueue(Add { a: 2, b: 3 }).wait::<i64>(MINUTE).await.unwrap(), 5);
    let later = running.enqueue(Add { a: 3, b: 3 }).delay(Duration::from_millis(300)).await.unwrap();
    assert_eq!(later.wait::<i64>(MINUTE).await.unwrap(), 6);
    let monitor = running.monitor_addr().unwrap();
    assert_eq!(ask(monitor, "GET /healthz").await, (200, "ok\n".into()));
    let (status, ready) = ask(monitor, "GET /readyz").await;
    assert_eq!(status, 200, "{ready}");
    assert!(ready.contains(r#""role":"all""#) && ready.contains(r#""broker":"ok""#), "{ready}");
    let (_, metrics) = ask(monitor, "GET /metrics").await;
    assert!(metrics.contains(r#"gristmill_jobs_total{queue="default",name="add",outcome="completed"}"#), "{metrics}");
    // The schedule fires.
    let ticks = async {
        while running.queue().unwrap().schedules().ticks("often", None, 10).await.unwrap().ticks.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(MINUTE, ticks).await.unwrap();
    running.stop().await.unwrap();
    TcpStream::connect(monitor).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_alone_does() {
    let test = app().job(add).test().await.unwrap();
    let mut settings = test.settings().clone();
    settings.redis_url = None;
    settings.schema = gristmill::queue::Schema::new("alone").unwrap();
    let (first, second) = (on(&settings, app().job(add)).await, on(&settings, app().job(add)).await);
    let (_, ready) = ask(first.monitor_addr().unwrap(), "GET /readyz").await;
    assert!(ready.contains(r#""broker":"ok""#), "{ready}");
    for n in 0..10 {
        assert_eq!(first.enqueue(Add { a: n, b: 3 }).wait::<i64>(MINUTE).await.unwrap(), n + 3);
    }
    let later = second.enqueue(Add { a: 3, b: 3 }).delay(Duration::from_millis(300)).await.unwrap();
    assert_eq!(later.wait::<i64>(MINUTE).await.unwrap(), 6);
    first.stop().await.unwrap();
    assert_eq!(second.enqueue(Add { a: 1, b: 2 }).wait::<i64>(MINUTE).await.unwrap(), 3);
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_part() {
    let test = app().job(add).test().await.unwrap();
    let settings = test.settings();
    let routes = |client: Client| {
        let enqueue =
            async |State(client): State<Client>| match client.enqueue(Add { a: 20, b: 22 }).wait::<i64>(MINUTE).await {
                Ok(sum) => sum.to_string(),
                Err(error) => error.to_string(),
            };
        Router::new().route("/sums", post(enqueue)).with_state(client)
    };
    let web = on(settings, app().job(add).routes(routes).role(Role::Web)).await;
    let scheduler = on(settings, app().job(add).role(Role::Scheduler)).await;
    let job = web.enqueue(Add { a: 1, b: 1 }).await.unwrap();
    job.wait::<i64>(Duration::from_millis(500)).await.unwrap_err();
    let worker = on(settings, app().job(add).routes(routes).role(Role::Worker)).await;
    assert_eq!(worker.addr(), None, "a worker serves no routes");
    assert_eq!(job.wait::<i64>(MINUTE).await.unwrap(), 2);
    assert_eq!(ask(web.addr().unwrap(), "POST /sums").await, (200, "42".into()));
    let listed = async {
        while web.queue().unwrap().workers().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(MINUTE, listed).await.unwrap();
    assert_eq!(web.queue().unwrap().workers().await.unwrap().len(), 1, "the others run no jobs");
    for running in [web, scheduler, worker] {
        running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_is_among_the_routes() {
    let test = app().job(add).test().await.unwrap();
    let routes = |_| Router::new().route("/", axum::routing::get(async || "the shop"));
    let named = app().job(add).routes(routes).board("/admin/jobs", |board| board.named("The shop")).role(Role::Web);
    let web = on(test.settings(), named).await;
    let addr = web.addr().unwrap();
    assert_eq!(ask(addr, "GET /").await, (200, "the shop".into()));
    let (status, page) = ask(addr, "GET /admin/jobs/queues").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("The shop"), "{page}");
    web.stop().await.unwrap();
    let wrong =
        app().job(add).board("admin", |board| board).role(Role::Web).with(|own| own.clone_from(test.settings()));
    let error = wrong.role(Role::Web).start().await.unwrap_err().to_string();
    assert!(error.contains("the board's base path is `admin`"), "{error}");
}

/// A producer and a worker that know nothing but HTTP, at an application's own server.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_by_http_are_among_the_routes() {
    const KEY: &str = "0123456789abcdef";
    let test = app().job(add).test().await.unwrap();
    let keys = gristmill::http::Keys::new().worker(KEY).unwrap();
    let web = on(test.settings(), app().http(keys).role(Role::Web)).await;
    let addr = web.addr().unwrap();
    let post = async |path: &str, key: &str, body: &str| {
        ask_with(addr, &format!("POST {path}"), &format!("Authorization: Bearer {key}"), body).await
    };
    assert_eq!(post("/v1/jobs", "another key here", "{}").await.0, 401);
    let (status, job) = post("/v1/jobs", KEY, r#"{"name": "thumb", "queue": "thumbs", "payload": 7}"#).await;
    assert_eq!(status, 201, "{job}");
    let claim = r#"{"worker": "sh-1", "queues": {"thumbs": 1}, "names": ["thumb"], "wait_ms": 20000}"#;
    let (status, line) = post("/v1/work/claims", KEY, claim).await;
    assert_eq!(status, 200);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["name"], &line["payload"]), (&"thumb".into(), &7.into()));
    web.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_jobs_end_within_the_grace_period() {
    async fn wait(_: End, Data(begun): Data<Arc<Semaphore>>) {
        begun.add_permits(1);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let begun = Arc::new(Semaphore::new(0));
    let test = app().test().await.unwrap();
    let running = on(test.settings(), app().data(Arc::clone(&begun)).job(wait)).await;
    let client = Client::clone(&running);
    let job = client.enqueue(End::by("wait")).await.unwrap();
    begun.acquire().await.unwrap().forget();
    running.stop().await.unwrap();
    let queue = client.queue().unwrap();
    let state = queue.jobs().outcome(job.id().unwrap()).await.unwrap().unwrap().state;
    assert_eq!(<&str>::from(state), "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_within_the_grace_period_goes_to_another_process() {
    async fn hang(_: End, Data(begun): Data<Arc<Semaphore>>) {
        begun.add_permits(1);
        std::future::pending().await
    }
    async fn end(_: End) {}
    let begun = Arc::new(Semaphore::new(0));
    let test = app().test().await.unwrap();
    let mut settings = test.settings().clone();
    settings.grace = Duration::from_millis(200);
    let first = on(&settings, app().data(Arc::clone(&begun)).job(hang)).await;
    let job = test.enqueue(End::by("hang")).await.unwrap();
    begun.acquire().await.unwrap().forget();
    let second = on(&settings, app().job(end)).await;
    let stopped = Instant::now();
    first.stop().await.unwrap();
    job.wait::<()>(MINUTE).await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
    let attempts = test.queue().unwrap().jobs().get(job.id().unwrap()).await.unwrap().unwrap().attempts;
    assert!(attempts.is_empty(), "giving back is no attempt: {attempts:?}");
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_share_a_database_and_a_redis() {
    async fn other(job: Add) -> Result<i64, JobError> {
        Ok(job.a * job.b)
    }
    let test = app().job(add).test().await.unwrap();
    // An application may have a table called jobs.
    sqlx::query("create table public.jobs (title text)").execute(test.pool()).await.unwrap();
    let mut settings = test.settings().clone();
    let first = on(&settings, app().job(add)).await;

    settings.schema = gristmill::queue::Schema::new("shop").unwrap();
    settings.namespace += "b";
    let second = on(&settings, app().job(other)).await;
    for _ in 0..5 {
        let (sum, product) = tokio::join!(
            first.enqueue(Add { a: 3, b: 4 }).wait::<i64>(MINUTE),
            second.enqueue(Add { a: 3, b: 4 }).wait::<i64>(MINUTE),
        );
        assert_eq!((sum.unwrap(), product.unwrap()), (7, 12));
    }
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}
