//! Connections whose peer takes nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// A connection that breaks when its peer takes nothing of what is written to it: one that opens a stream of changes and
/// never reads would be held for ever. Who writes is told [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Stalled<S> {
    stream: S,
    patience: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Stalled<S> {
    /// Waits for `patience` at each write.
    pub fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, alarm: None }
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.alarm = None;
            return written;
        }
        let patience = self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_left() {
        let (here, _there) = tokio::io::duplex(8);
        let mut stalled = Stalled::new(here, Duration::from_millis(20));
        let refused = stalled.write_all(&[0; 9]).await.expect_err("the ninth byte has no room");
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn each_write_has_its_own_time() {
        let (here, mut there) = tokio::io::duplex(8);
        let mut stalled = Stalled::new(here, Duration::from_secs(60));
        assert!(one_too_many(&mut stalled).await.is_pending(), "nine bytes are one too many");
        assert!(stalled.alarm.is_some());
        there.read_exact(&mut [0; 8]).await.expect("eight are there");
        stalled.write_all(&[0; 8]).await.expect("there is room again");
        assert!(stalled.alarm.is_none(), "the next write begins anew");
    }

    /// Fills the peer's room and asks once for more.
    async fn one_too_many(stalled: &mut Stalled<tokio::io::DuplexStream>) -> Poll<io::Result<usize>> {
        stalled.write_all(&[0; 8]).await.expect("there is room");
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *stalled).poll_write(cx, &[0]))).await
    }
}
