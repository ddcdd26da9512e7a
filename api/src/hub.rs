//! Events, live: one Redis subscription a process, whatever the number of watchers.

mod frame;
mod listen;
mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gristmill_uploads::{Upload, UploadId, events::Events, read};
use sqlx::PgPool;
use tokio::sync::broadcast::{self, Receiver, Sender};

pub(crate) use frame::{END, Frame};
pub(crate) use watch::{Start, seen_the_end, watch};

/// Events that a watcher may be behind before it has to read history.
const CHANNEL_CAPACITY: usize = 256;

/// How long a watcher waits for the database: events must not wait for it.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The watched uploads and who watches them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    events: Events,
    topics: Mutex<HashMap<UploadId, Topic>>,
}

/// What watchers are told.
#[derive(Debug, Clone)]
enum News {
    /// Something happened.
    Event(Arc<Frame>),
    /// Something may have been missed: read history.
    Gap,
}

/// What the database says of an upload.
#[derive(Debug, Clone)]
enum UploadStatus {
    /// It does not answer.
    Nothing,
    /// It is gone.
    Gone,
    Upload(Box<Upload>),
}

/// When it was asked last, and what it said.
type SingleRequest = Option<(Instant, UploadStatus)>;

struct Topic {
    sender: Sender<News>,
    state: Arc<tokio::sync::Mutex<SingleRequest>>,
}

/// One watcher's place. Dropping it forgets the topic when it was the last.
struct Watcher {
    hub: Hub,
    upload_id: UploadId,
    news: Option<Receiver<News>>,
    state: Arc<tokio::sync::Mutex<SingleRequest>>,
}

impl Hub {
    pub(crate) fn new(events: Events) -> Self {
        Self(Arc::new(Inner { events, topics: Mutex::default() }))
    }

    fn subscribe(&self, upload_id: UploadId) -> Watcher {
        let mut topics = self.0.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.entry(upload_id).or_insert_with(|| {
            metrics::gauge!("gristmill_watched_uploads").increment(1);
            Topic { sender: broadcast::channel(CHANNEL_CAPACITY).0, state: Arc::default() }
        });
        metrics::gauge!("gristmill_watchers").increment(1);
        Watcher { hub: self.clone(), upload_id, news: Some(topic.sender.subscribe()), state: topic.state.clone() }
    }

    /// Tells those who watch an upload; the frame is written once for all of them, and not at all for none.
    fn tell(&self, upload_id: UploadId, frame: impl FnOnce() -> Frame) {
        let topics = self.0.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(&upload_id) {
            // An error only says that nobody is there.
            let _ = topic.sender.send(News::Event(Arc::new(frame())));
        }
    }

    /// Tells everybody that events may have been missed.
    fn tell_gap(&self) {
        let topics = self.0.topics.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in topics.values() {
            let _ = topic.sender.send(News::Gap);
        }
    }
}

impl Watcher {
    /// The upload as the database has it, asked at most once in `age` for all watchers of it together.
    async fn upload(&self, pool: &PgPool, age: Duration) -> UploadStatus {
        let mut asked = self.state.lock().await;
        if let Some((when, known)) = &*asked
            && when.elapsed() < age
        {
            return known.clone();
        }
        let known = match tokio::time::timeout(DATABASE_TIMEOUT, read::by_id(pool, self.upload_id)).await {
            Ok(Ok(Some(upload))) => UploadStatus::Upload(Box::new(upload)),
            Ok(Ok(None)) => UploadStatus::Gone,
            Ok(Err(error)) => {
                tracing::warn!(upload_id = %self.upload_id, %error, "the state of a watched upload cannot be read");
                UploadStatus::Nothing
            }
            Err(_) => UploadStatus::Nothing,
        };
        *asked = Some((Instant::now(), known.clone()));
        known
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut topics = self.hub.0.topics.lock().unwrap_or_else(PoisonError::into_inner);
        self.news = None;
        metrics::gauge!("gristmill_watchers").decrement(1);
        if topics.get(&self.upload_id).is_some_and(|topic| topic.sender.receiver_count() == 0) {
            topics.remove(&self.upload_id);
            metrics::gauge!("gristmill_watched_uploads").decrement(1);
        }
    }
}
