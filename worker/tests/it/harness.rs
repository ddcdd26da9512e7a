//! A whole installation in one process: an upload service and a worker on a stack of their own.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, stream};
use gristmill_core::ClientId;
use gristmill_mail::{Mailer, Rate};
use gristmill_normalization::Merchants;
use gristmill_pipelines::{Kind, Said};
use gristmill_platform::{
    config::{LimitsConfig, MailConfig, OutboundConfig, Ports, WorkerConfig},
    testing::{self, Stack},
};
use gristmill_queue::{Queue, QueueConfig, Sweeper, Worker};
use gristmill_uploads::{
    MemoryBudget, NewUpload, OnDuplicate, Policy, ReceiveError, ReceiveOutcome, Spool, Upload, UploadId, UploadService,
    events::Events, read, read::RejectRow,
};
use gristmill_webhooks::Deliverer;
use gristmill_worker::{Env, KeyFilters, Own, app, rules};
use tokio_util::sync::CancellationToken;

pub(crate) const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId\n";

/// Longer than any test should need.
pub(crate) const DRAIN: Duration = Duration::from_secs(60);

pub(crate) struct Harness {
    pub(crate) stack: Stack,
    pub(crate) uploads: UploadService,
    pub(crate) env: Env,
    pub(crate) client_id: ClientId,
}

/// Segments of its own for every upload.
pub(crate) const OWN: Own = Own { first_bytes: 1, rows: 0 };
/// None for any: its rows wait in the inbox.
pub(crate) const INBOX: Own = Own { first_bytes: i64::MAX, rows: 0 };
/// For every upload, until it turns out to be small.
pub(crate) const MOVED: Own = Own { first_bytes: 1, rows: i64::MAX };

impl Harness {
    /// With chunks of `chunk_bytes`, and segments of its own for each upload.
    pub(crate) async fn new(chunk_bytes: u64) -> Self {
        Self::with(chunk_bytes, OWN).await
    }

    /// The same, with rows that share a segment.
    pub(crate) async fn sharing(chunk_bytes: u64) -> Self {
        Self::with(chunk_bytes, INBOX).await
    }

    async fn with(chunk_bytes: u64, own: Own) -> Self {
        let stack = testing::stack().await;
        let limits = LimitsConfig { chunk_bytes, max_record_bytes: 64 * 1024, ..LimitsConfig::default() };
        let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
        let queue = Queue::connect(stack.pool.clone(), config).await.unwrap();
        let events = Events::connect(&stack.redis_url, &stack.namespace).unwrap();
        let client_id = client(&stack, "acme").await;
        let uploads = UploadService {
            pool: stack.pool.clone(),
            queue: queue.clone(),
            store: stack.store.clone(),
            events: events.clone(),
            limits: limits.clone(),
            memory: MemoryBudget::new(&limits),
            spool: Spool::new(&limits),
            hooks: gristmill_kinds::HOOKS,
        };
        let env = Env {
            pool: stack.pool.clone(),
            queue: queue.clone(),
            store: stack.store.clone(),
            events,
            mailer: mailer(&stack, &MailConfig::default()),
            merchants: Merchants::connect(&stack.redis_url, &stack.namespace).unwrap(),
            deliverer: Deliverer::new(&outbound(), queue).unwrap(),
            rules: Arc::new(rules(&limits)),
            max_rejects: limits.max_rejects,
            keep_objects: Duration::ZERO,
            own,
            filters: KeyFilters::new(1 << 20),
        };
        Self { stack, uploads, env, client_id }
    }

    pub(crate) fn worker(&self, concurrency: usize) -> Worker {
        let config = WorkerConfig { worker_concurrency: concurrency, ..WorkerConfig::default() };
        app(&self.env, &config, &MailConfig::default()).into_worker().unwrap()
    }

    /// Starts a worker, and a sweeper for what is retried or snoozed, that run until `stop`.
    pub(crate) fn start(
        &self,
        concurrency: usize,
        stop: &CancellationToken,
    ) -> tokio::task::JoinHandle<Result<(), gristmill_queue::WorkerError>> {
        let (worker, stop) = (self.worker(concurrency), stop.clone());
        let sweeper = Sweeper::new(&self.env.queue);
        tokio::spawn(async move { tokio::join!(worker.run(stop.clone()), sweeper.run(stop)).0 })
    }

    pub(crate) fn new_upload(&self, policy: Policy) -> NewUpload {
        NewUpload {
            client_id: self.client_id,
            kind: Kind::Debts,
            policy,
            on_duplicate: OnDuplicate::default(),
            filename: Some("debts.csv".to_owned()),
            force: false,
            idempotency_key: None,
            said: Said::default(),
        }
    }

    /// Receives a whole file.
    pub(crate) async fn receive(&self, new: NewUpload, file: impl AsRef<[u8]>) -> Result<ReceiveOutcome, ReceiveError> {
        self.uploads.receive(new, body(file.as_ref(), 1 << 16)).await
    }

    /// Receives a whole file that is taken, with policy `partial`.
    pub(crate) async fn accept(&self, file: impl AsRef<[u8]>) -> Upload {
        accepted(self.receive(self.new_upload(Policy::Partial), file).await)
    }

    /// Runs every job until nothing is left to do.
    pub(crate) async fn drain(&self) {
        self.env.queue.drain(&self.worker(4), DRAIN).await.unwrap();
    }

    /// Has segments opened and sealed.
    pub(crate) async fn tend(&self) {
        gristmill_uploads::segments::enqueue_tending(&self.stack.pool, &self.env.queue).await.unwrap();
        self.drain().await;
    }

    pub(crate) async fn find(&self, id: UploadId) -> Upload {
        read::by_id(&self.stack.pool, id).await.unwrap().expect("the upload is there")
    }

    /// Waits until an upload is as it should be.
    pub(crate) async fn until(&self, id: UploadId, right: impl Fn(&Upload) -> bool) {
        let wait = async {
            while !right(&self.find(id).await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(DRAIN, wait).await.is_ok(), "still {:?}", self.find(id).await);
    }

    /// Waits until an upload has ended.
    pub(crate) async fn ended(&self, id: UploadId) -> Upload {
        let begun = Instant::now();
        loop {
            let upload = self.find(id).await;
            if upload.state.is_final() {
                return upload;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "not ended within 120 s: {upload:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Receives a file, runs its jobs and says what became of it.
    pub(crate) async fn run_file(&self, file: impl AsRef<[u8]>) -> Upload {
        let upload = self.accept(file).await;
        self.drain().await;
        self.find(upload.id).await
    }

    /// The lines of an upload that are in the table, in their order.
    pub(crate) async fn lines(&self, id: UploadId) -> Vec<i64> {
        sqlx::query_scalar("select line from debts where upload_id = $1 order by line")
            .bind(id)
            .fetch_all(&self.stack.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn rejects(&self, id: UploadId) -> Vec<RejectRow> {
        read::rejects(&self.stack.pool, id, 0, 1_000_000).await.unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.stack.pool).await.unwrap()
    }
}

/// Waits until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), wait).await.expect(what);
}

pub(crate) fn accepted(received: Result<ReceiveOutcome, ReceiveError>) -> Upload {
    match received.unwrap() {
        ReceiveOutcome::Accepted(upload) => upload,
        other => panic!("expected a new upload, got {other:?}"),
    }
}

pub(crate) fn mailer(stack: &Stack, config: &MailConfig) -> Mailer {
    let rate = Rate::connect(&stack.redis_url, &stack.namespace, config.mail_rate).unwrap();
    Mailer::new(config, stack.pool.clone(), stack.store.clone(), rate).unwrap()
}

/// What `gristmill up` allows.
pub(crate) fn outbound() -> OutboundConfig {
    OutboundConfig {
        outbound_http: true,
        outbound_ports: Ports::Any,
        outbound_networks: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

pub(crate) async fn client(stack: &Stack, name: &str) -> ClientId {
    sqlx::query_scalar("insert into clients (name) values ($1) returning id")
        .bind(name)
        .fetch_one(&stack.pool)
        .await
        .unwrap()
}

/// A file as a body in frames.
pub(crate) fn body(
    file: &[u8],
    frame: usize,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Unpin + 'static {
    let frames: Vec<_> = file.chunks(frame).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
    stream::iter(frames)
}

/// A good row with the given number as its key.
pub(crate) fn row(key: u64) -> String {
    format!("Ana Lima,1234,ana@example.com,100.50,2024-01-19,00000000-0000-4000-8000-{key:012x}\n")
}

/// A file of good rows with these keys.
pub(crate) fn file(keys: impl IntoIterator<Item = u64>) -> String {
    keys.into_iter().fold(HEADER.to_owned(), |file, key| file + &row(key))
}
