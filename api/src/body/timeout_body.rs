use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::Stream;
use gristmill_platform::config::ApiConfig;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::BodyError;
use crate::auth::RevocationSignal;

/// A body that ends with an error when its client is silent for too long or sends too slowly, when its key is revoked, or
/// when the server stops.
///
/// Only waiting for the client counts: while we do not ask for more, because the store is slow, no time passes.
pub(crate) struct TimeoutBody {
    body: BodyDataStream,
    timeout: Duration,
    min_rate: MinRate,
    /// Since when nothing has come, if we wait.
    silent: Option<Instant>,
    /// Up to when the present waiting was counted by `min_rate`.
    counted_until: Instant,
    alarm: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    revoked: Pin<Box<RevocationSignal>>,
    ended: bool,
}

impl TimeoutBody {
    pub(crate) fn new(body: Body, config: &ApiConfig, stop: CancellationToken, revoked: RevocationSignal) -> Self {
        Self {
            body: body.into_data_stream(),
            timeout: config.body_timeout,
            min_rate: MinRate::new(config.body_min_rate),
            silent: None,
            counted_until: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            stop: Box::pin(stop.cancelled_owned()),
            revoked: Box::pin(revoked),
            ended: false,
        }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(BodyError::Stopping);
        }
        let mut now = Instant::now();
        let since = match self.silent {
            Some(since) => since,
            None => {
                self.silent = Some(now);
                self.counted_until = now;
                self.alarm.as_mut().reset(now + self.timeout.min(self.min_rate.left()));
                now
            }
        };
        while self.alarm.as_mut().poll(cx).is_ready() {
            now = Instant::now();
            let silent = now - since;
            if silent >= self.timeout {
                return Poll::Ready(BodyError::Silent(self.timeout));
            }
            if let Err(error) = self.tell(now) {
                return Poll::Ready(error);
            }
            self.alarm.as_mut().reset(now + (self.timeout - silent).min(self.min_rate.left()));
        }
        Poll::Pending
    }

    fn tell(&mut self, now: Instant) -> Result<(), BodyError> {
        self.min_rate.waited(now - std::mem::replace(&mut self.counted_until, now))
    }

    /// Something has come.
    fn arrived(&mut self, bytes: Bytes) -> Result<Bytes, BodyError> {
        if self.silent.take().is_some() {
            self.tell(Instant::now())?;
        }
        self.min_rate.bytes += bytes.len() as u64;
        Ok(bytes)
    }
}

impl Stream for TimeoutBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        // Also a body that never lets us wait.
        if this.revoked.as_mut().poll(cx).is_ready() {
            this.ended = true;
            return Poll::Ready(Some(Err(BodyError::Revoked)));
        }
        let next = match Pin::new(&mut this.body).poll_next(cx) {
            Poll::Ready(next) => {
                next.map(|frame| frame.map_err(BodyError::Broken).and_then(|bytes| this.arrived(bytes)))
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

/// How much arrives in how much waiting, a window after the other.
struct MinRate {
    /// Bytes a second; 0: any will do.
    rate: u64,
    waited: Duration,
    bytes: u64,
}

impl MinRate {
    const WINDOW: Duration = Duration::from_secs(30);

    fn new(rate: u64) -> Self {
        Self { rate, waited: Duration::ZERO, bytes: 0 }
    }

    /// Waiting until this window is full.
    fn left(&self) -> Duration {
        Self::WINDOW.saturating_sub(self.waited)
    }

    fn waited(&mut self, time: Duration) -> Result<(), BodyError> {
        self.waited += time;
        if self.waited < Self::WINDOW {
            return Ok(());
        }
        let full = std::mem::replace(self, Self::new(self.rate));
        if full.bytes < full.rate.saturating_mul(Self::WINDOW.as_secs()) {
            return Err(BodyError::Slow { rate: full.rate, over: Self::WINDOW });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use gristmill_platform::config;

    use super::*;

    /// How a body ends that sends 10 kB, then `bytes` each `pause`, and for how long it was read.
    async fn end(bytes: usize, pause: Duration, flags: &[&str]) -> (String, u64) {
        let begun = Instant::now();
        let pieces = stream::iter(0..1_000).then(move |n| async move {
            if n > 0 {
                tokio::time::sleep(pause).await;
            }
            Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; if n == 0 { 10_000 } else { bytes }]))
        });
        let config: ApiConfig = config::read(flags).unwrap();
        let body = TimeoutBody::new(
            Body::from_stream(pieces.boxed()),
            &config,
            CancellationToken::new(),
            RevocationSignal::never(),
        );
        let last = body.collect::<Vec<_>>().await.pop().unwrap();
        (last.map_or_else(|error| error.to_string(), |_| "whole".to_owned()), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_are_broken_off_and_silent_ones() {
        let second = Duration::from_secs(1);
        let slow = "less than 1024 bytes a second arrived for 30 s".to_owned();
        // The first window has what came at the begin.
        assert_eq!(end(800, second, &[]).await, (slow.clone(), 60));
        assert_eq!(end(600, second, &[]).await, (slow.clone(), 30));
        assert_eq!(end(1_200, second, &[]).await.0, "whole");
        assert_eq!(end(1, second, &["--body-min-rate", "0"]).await.0, "whole");
        assert_eq!(end(40 << 10, Duration::from_secs(40), &[]).await, (slow, 30));
        let flags = ["--body-min-rate", "0", "--body-timeout", "5s"];
        assert_eq!(end(1, 6 * second, &flags).await, ("nothing arrived for 5 s".to_owned(), 5));
        assert_eq!(end(1 << 20, 6 * second, &["--body-timeout", "5s"]).await.1, 5);
    }
}
