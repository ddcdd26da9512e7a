use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// Bytes a second that a body has to bring while it is waited for, on the whole, after the first timeout.
const RATE: u64 = 1024;

/// A body that ends with an error when nothing comes for too long, or too little on the whole. Only waiting counts.
pub(super) struct TimeoutBody {
    body: Incoming,
    timeout: Duration,
    waited: Duration,
    bytes: u64,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl TimeoutBody {
    pub(super) fn new(body: Incoming, timeout: Duration) -> Self {
        Self { body, timeout, waited: Duration::ZERO, bytes: 0, waiting: None }
    }

    fn is_slow(&self) -> bool {
        self.waited > self.timeout && self.bytes < RATE.saturating_mul(self.waited.as_secs())
    }
}

impl Body for TimeoutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(next) = Pin::new(&mut this.body).poll_frame(cx) {
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            if let Some(Ok(frame)) = &next {
                this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.is_slow() {
                    return Poll::Ready(Some(Err("the body arrives too slowly".into())));
                }
            }
            return Poll::Ready(next.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.timeout;
        let (_, alarm) = this.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(timeout))));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Some(Err("the body stopped arriving".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
