//! Pushing through apalis: `backend.push(args)`.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use apalis_core::task::Task;
use futures::{Sink, future::BoxFuture};
use uuid::Uuid;

use super::{FairKey, LeaseBackend};
use crate::broker::{BrokerError, BrokerJob, BrokerQueue, Window};

/// What waits to be flushed, and the flush that is under way.
#[derive(Default)]
pub(super) struct PushBuffer {
    waiting: Vec<PendingPush>,
    // Only for `Sync`: nobody ever waits for this lock.
    flush: Mutex<Option<BoxFuture<'static, Result<(), BrokerError>>>>,
}

struct PendingPush {
    id: String,
    priority: u8,
    key: String,
    payload: Vec<u8>,
}

impl PushBuffer {
    fn poll_flush(&mut self, queue: impl Fn() -> BrokerQueue, cx: &mut Context<'_>) -> Poll<Result<(), BrokerError>> {
        let flush = self.flush.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(future) = flush {
                let result = ready!(future.as_mut().poll(cx));
                *flush = None;
                result?;
            }
            if self.waiting.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (queue, jobs) = (queue(), std::mem::take(&mut self.waiting));
            *flush = Some(Box::pin(async move {
                for same in jobs.chunk_by(|a, b| a.priority == b.priority) {
                    let slice: Vec<_> = same
                        .iter()
                        .map(|job| BrokerJob { id: &job.id, key: &job.key, payload: &job.payload })
                        .collect();
                    queue.push_within(same[0].priority, &slice, Window::UNLIMITED).await?;
                }
                Ok(())
            }));
        }
    }
}

impl<Args, C> Sink<Task<Vec<u8>>> for LeaseBackend<Args, C> {
    type Error = BrokerError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), BrokerError>> {
        Poll::Ready(Ok(()))
    }

    /// A task without an id gets one; its id, its priority and the [`FairKey`] in its data are kept, its other settings
    /// are not.
    fn start_send(self: Pin<&mut Self>, task: Task<Vec<u8>>) -> Result<(), BrokerError> {
        let id = task.task_id().map_or_else(|| Uuid::now_v7().to_string(), ToString::to_string);
        let priority = task.priority().and_then(|priority| u8::try_from(priority).ok()).unwrap_or(4).min(9);
        let key = task.data().get::<FairKey>().cloned().unwrap_or_default().0;
        self.get_mut().outgoing.waiting.push(PendingPush { id, priority, key, payload: task.args });
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BrokerError>> {
        let this = self.get_mut();
        let (links, queue) = (&this.links, &this.settings.queue);
        this.outgoing.poll_flush(|| links.pushes().queue(queue), cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BrokerError>> {
        self.poll_flush(cx)
    }
}
