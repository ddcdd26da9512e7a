//! A queue with something on every page, and a board on it at `/admin/jobs` of a server that has a page of its own.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use futures::StreamExt as _;
use gristmill_board::Board;
use gristmill_platform::testing::{self, Stack};
use gristmill_queue::{
    Context, GroupId, GroupPolicy, Job, JobError, JobId, JobSpec, NewGroup, NewSchedule, Options, Queue, QueueConfig,
    Schema, Worker, testing::run_inline,
};
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub(crate) const BASE: &str = "/admin/jobs";
/// A busy machine takes its time.
const DEADLINE: Duration = Duration::from_secs(60);

/// Its queue's name is one that an address cannot have as it is.
#[derive(Serialize, Deserialize)]
pub(crate) struct Thumb {
    pub(crate) of: String,
}

impl Job for Thumb {
    const NAME: &'static str = "thumbs.make";
    const QUEUE: &'static str = "thumbs/large & small";
    const MAX_ATTEMPTS: u16 = 1;
}

/// Fails, or waits until its worker is stopped.
pub(crate) async fn thumb(context: Context, job: Thumb) -> Result<(), JobError> {
    match job.of.as_str() {
        "long.png" => {
            context.cancel.cancelled().await;
            Ok(())
        }
        _ => Err(JobError::retry(format!("{} is <no> picture", job.of))),
    }
}

/// A queue on engines that all tests share, in a database that has nothing but an application's and the queue's tables, and in
/// a namespace of its own.
pub(crate) struct Filled {
    pub(crate) queue: Queue,
    pub(crate) dead: JobId,
    pub(crate) waiting: JobId,
    pub(crate) group: GroupId,
    _stack: Stack,
    _worker: AbortOnDropHandle<()>,
}

impl Filled {
    /// A dead job, one that runs, one that waits in a group, one that is scheduled, a schedule, and a worker.
    pub(crate) async fn new() -> Self {
        Self::with(true).await
    }

    /// The same without a Redis.
    pub(crate) async fn on_postgres_alone() -> Self {
        Self::with(false).await
    }

    async fn with(redis: bool) -> Self {
        let stack = testing::empty_stack().await;
        let schema = Schema::new("shop_queue").unwrap();
        gristmill_queue::migrate(&stack.pool, schema).await.unwrap();
        // What the application itself calls so is another thing.
        let own = "create table jobs (salary int); create table groups (band text); create table queues (people int)";
        sqlx::raw_sql(own).execute(&stack.pool).await.unwrap();
        let config = if redis { QueueConfig::new(&stack.redis_url) } else { QueueConfig::postgres() };
        let config = QueueConfig { namespace: stack.namespace.clone(), schema, ..config };
        let queue = Queue::connect(stack.pool.clone(), config).await.unwrap();
        let worker = Worker::builder(&queue).queue(Thumb::QUEUE, 1).register(thumb).build();
        let dead = run_inline(&worker, &Thumb { of: "dead.png".into() }, &Options::default()).await.unwrap();
        assert_eq!(dead.state, "dead");
        enqueue(&queue, "long.png", &Options::default()).await;
        let worker = tokio::spawn(async move { worker.run(CancellationToken::new()).await.unwrap() });
        let mut tx = queue.pool().begin().await.unwrap();
        let group = NewGroup { name: Some("Spring".into()), ..NewGroup::new(GroupPolicy::Continue) };
        let group = queue.create_group(&mut tx, group).await.unwrap();
        tx.commit().await.unwrap();
        let filled = Self {
            dead: dead.id,
            waiting: enqueue(&queue, "next.png", &Options { group: Some(group), ..Options::default() }).await,
            group,
            queue,
            _stack: stack,
            _worker: AbortOnDropHandle::new(worker),
        };
        let later = Options { delay: Some(Duration::from_secs(3_600)), ..Options::default() };
        enqueue(&filled.queue, "later.png", &later).await;
        let job = JobSpec::of(&Thumb { of: "nightly.png".into() }).unwrap();
        filled.queue.schedules().put(&NewSchedule::new("nightly", "0 3 * * *", job)).await.unwrap();
        until("a worker that runs something", async || {
            let workers = filled.queue.workers().await.unwrap();
            workers.iter().flat_map(|worker| &worker.lines).any(|line| !line.running.is_empty())
        })
        .await;
        filled
    }
}

pub(crate) async fn enqueue(queue: &Queue, of: &str, options: &Options) -> JobId {
    let mut tx = queue.pool().begin().await.unwrap();
    let enqueued = queue.enqueue(&mut tx, &Thumb { of: of.into() }, options).await.unwrap();
    tx.commit().await.unwrap();
    let id = enqueued.ids()[0];
    queue.push(enqueued).await;
    id
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < DEADLINE, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A server that is asked.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) http: Client,
    _server: AbortOnDropHandle<()>,
}

/// A server with a page of its own and this board at [`BASE`].
pub(crate) async fn serve(board: Board) -> Served {
    let own = Router::new().route("/", get(|| async { "the shop" }));
    serve_routes(own.merge(board.base(BASE).router().unwrap())).await
}

pub(crate) async fn serve_routes(routes: Router) -> Served {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    Served { url, http, _server: AbortOnDropHandle::new(server) }
}

impl Served {
    /// A request for an address from the root on.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).header("accept", "text/html")
    }

    /// A press of a button below `{BASE}/act/`.
    pub(crate) fn press(&self, action: &str) -> RequestBuilder {
        self.http.post(format!("{}{BASE}/act/{action}", self.url))
    }

    /// Status and text of a page.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        said(self.get(path)).await
    }

    /// Reads what a page's live part sends until there is an event that is wanted.
    pub(crate) async fn event(&self, page: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let live = self.get(&format!("{BASE}/live?to={page}")).send().await.unwrap();
        let mut events = live.bytes_stream();
        let mut text = String::new();
        let reading = async {
            while let Some(piece) = events.next().await {
                text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    if wanted(event) {
                        return event.to_owned();
                    }
                    text = rest.to_owned();
                }
            }
            panic!("the live part of {page} has ended");
        };
        tokio::time::timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("waited for {what} in vain"))
    }
}

/// With a form.
pub(crate) fn with_form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// Status and text of an answer.
pub(crate) async fn said(request: RequestBuilder) -> (u16, String) {
    let answer: Response = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
