use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::BodyDataStream;
use bytes::Bytes;
use futures::Stream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::BodyError;

/// A body that ends with an error when its client is silent for too long, or when the server stops.
///
/// Only waiting for the client counts: while we do not ask for more, because the store is slow, no time passes.
pub(crate) struct Patient {
    body: BodyDataStream,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Patient {
    pub(crate) fn new(body: axum::body::Body, patience: Duration, stop: CancellationToken) -> Self {
        Self {
            body: body.into_data_stream(),
            patience,
            waiting: None,
            is_waiting: false,
            stop: Box::pin(stop.cancelled_owned()),
            ended: false,
        }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(BodyError::Stopping);
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !self.is_waiting {
            self.is_waiting = true;
            waiting.as_mut().reset(Instant::now() + patience);
        }
        waiting.as_mut().poll(cx).map(|()| BodyError::Silent(patience))
    }
}

impl Stream for Patient {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let next = match Pin::new(&mut this.body).poll_next(cx) {
            Poll::Ready(next) => {
                this.is_waiting = false;
                next.map(|frame| frame.map_err(BodyError::Broken))
            }
            Poll::Pending => match this.poll_waiting(cx) {
                Poll::Ready(error) => Some(Err(error)),
                Poll::Pending => return Poll::Pending,
            },
        };
        this.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}
