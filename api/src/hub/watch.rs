use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::Stream;
use gristmill_uploads::{
    Upload, UploadId,
    events::{Events, order},
};
use redis::RedisError;
use sqlx::PgPool;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Hub, News, UploadStatus, Watcher,
    frame::{self, END, Frame},
};

/// How long after the database says that an upload has ended the event that tells it may still come.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What a watcher asks for, and what it needs.
pub(crate) struct Start {
    pub(crate) upload_id: UploadId,
    /// The event it has seen last; (0, 0): none.
    pub(crate) after: (u64, u64),
    pub(crate) pool: PgPool,
    pub(crate) heartbeat: Duration,
    pub(crate) stop: CancellationToken,
}

/// An upload's events as Server-Sent Events, each once, until its last one.
///
/// The watcher listens first and reads history then, so that nothing falls in between; what it hears and has read
/// already is known by its id.
pub(crate) fn watch(hub: &Hub, start: Start) -> impl Stream<Item = Bytes> + Send + use<> {
    let mut heartbeat = interval_at(Instant::now() + start.heartbeat, start.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch {
        watcher: hub.subscribe(start.upload_id),
        seen: start.after,
        heartbeat,
        start,
        ready: VecDeque::from([frame::retry()]),
        behind: true,
        greeted: false,
        ending: None,
        ended: false,
    };
    futures::stream::unfold(watch, |mut watch| async move { watch.next().await.map(|bytes| (bytes, watch)) })
}

struct Watch {
    start: Start,
    watcher: Watcher,
    seen: (u64, u64),
    heartbeat: Interval,
    /// Written, not yet taken.
    ready: VecDeque<Bytes>,
    /// History must be read.
    behind: bool,
    /// It was told where the upload stands.
    greeted: bool,
    /// The upload has ended; the event that tells it has until then to come.
    ending: Option<Instant>,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.ended || self.start.stop.is_cancelled() {
                return None;
            }
            if self.behind {
                self.catch_up().await;
            }
            if self.ready.is_empty() && !self.ended {
                self.wait().await;
            }
        }
    }

    /// Waits for the next thing of any sort.
    async fn wait(&mut self) {
        let news = self.watcher.news.as_mut().expect("given up only when dropped");
        let ending = self.ending;
        let lost = async {
            match ending {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.start.stop.cancelled() => {}
            news = news.recv() => match news {
                Ok(News::Event(frame)) => self.show(&frame),
                Ok(News::Gap) | Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => self.ended = true,
            },
            () = lost => self.end().await,
            _ = self.heartbeat.tick() => {
                self.ready.push_back(frame::heartbeat());
                self.check(self.start.heartbeat / 2).await;
            }
        }
    }

    fn show(&mut self, frame: &Frame) {
        if frame.order > self.seen && !self.ended {
            self.seen = frame.order;
            self.ready.push_back(frame.bytes.clone());
            self.ended = frame.last;
            self.greeted = true;
        }
    }

    /// Reads what was missed, a page of it: the next one when this one was taken. While Redis does not answer, what is known
    /// comes from the database.
    async fn catch_up(&mut self) {
        let mut age = Duration::from_secs(1);
        match self.read_history().await {
            // It stands for events that are not shown, so it must not be older than they are.
            Ok(true) => age = Duration::ZERO,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "history cannot be read"),
        }
        if !self.ended {
            self.check(age).await;
        }
    }

    /// Whether history was trimmed. Afterwards `behind` says whether there is more of it.
    async fn read_history(&mut self) -> Result<bool, RedisError> {
        let upload_id = self.start.upload_id;
        let history = self.watcher.hub.0.events.since(upload_id, &stream_id(self.seen)).await?;
        if history.trimmed {
            self.reset(history.newest.as_ref().map(Frame::stored));
            self.behind = false;
            return Ok(true);
        }
        let end = history.end.as_deref().map(order);
        for event in &history.events {
            let frame = Frame::stored(event);
            if frame.last && end.is_some_and(|end| frame.order < end) {
                // It was undone since: not the end any more, and nobody is told that it is.
                self.seen = self.seen.max(frame.order);
            } else {
                self.show(&frame);
            }
        }
        self.behind = history.more;
        Ok(false)
    }

    /// Some of what comes next is gone: start again from where the upload stands now.
    fn reset(&mut self, newest: Option<Frame>) {
        self.ready.push_back(frame::reset());
        self.greeted = false;
        match newest {
            Some(end) if end.last => self.show(&end),
            // After a loss of the whole history what comes is new, whatever its id.
            newest => self.seen = newest.map_or((0, 0), |newest| newest.order),
        }
    }

    /// Asks the database where the upload stands: tells a new watcher, and notices an end that nobody told.
    async fn check(&mut self, age: Duration) {
        let upload = match self.watcher.upload(&self.start.pool, age).await {
            UploadStatus::Upload(upload) => upload,
            UploadStatus::Nothing => return,
            UploadStatus::Gone => {
                self.ended = true;
                return;
            }
        };
        if upload.state.is_final() {
            let timeout = if self.greeted { ON_ITS_WAY } else { Duration::ZERO };
            self.ending.get_or_insert(Instant::now() + timeout);
        } else if !self.greeted {
            self.greeted = true;
            let id = (self.seen != (0, 0)).then(|| stream_id(self.seen));
            self.ready.push_back(frame::snapshot(&upload, id.as_deref()));
        }
    }

    /// The upload has ended and its last event did not come: perhaps it was missed, perhaps it was never told.
    async fn end(&mut self) {
        if let Err(error) = self.read_history().await {
            tracing::warn!(%error, "history cannot be read");
        }
        if self.ended || self.behind {
            return;
        }
        match self.watcher.upload(&self.start.pool, Duration::ZERO).await {
            UploadStatus::Upload(upload) if upload.state.is_final() => self.show_end(&upload),
            _ => self.ending = None,
        }
    }

    fn show_end(&mut self, upload: &Upload) {
        self.ready.push_back(frame::snapshot(upload, Some(END)));
        self.ended = true;
    }
}

/// Whether the last event of an upload is this one or before it. That an undone upload was completed is not its last one.
pub(crate) async fn seen_the_end(events: &Events, upload_id: UploadId, after: (u64, u64)) -> Result<bool, RedisError> {
    let end = events.newest_end(upload_id).await?;
    Ok(end.is_some_and(|end| order(&end) <= after))
}

fn stream_id((ms, n): (u64, u64)) -> String {
    if (ms, n) == (0, 0) { "0".to_owned() } else { format!("{ms}-{n}") }
}
