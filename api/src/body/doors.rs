//! What a multipart parser is given, so that it never holds much: it keeps everything until it has found the next
//! boundary, or the end of a part's headers, and looks through all of it again for each piece.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::{BodyError, Bytestream};

/// Bytes that may come before a part begins: what stands before the first boundary, or the headers of a part.
pub(super) const BETWEEN: usize = 16 * 1024;
/// Bytes given at a time while a part has not begun.
const FRAME_BYTES: usize = 4 * 1024;

/// The body, for the parser and for who reads what the parser leaves.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Inner>>);

struct Inner {
    body: Bytestream,
    /// Come, and not given yet.
    kept: VecDeque<Bytes>,
}

impl Shared {
    pub(super) fn new(body: Bytestream) -> Self {
        Self(Arc::new(Mutex::new(Inner { body, kept: VecDeque::new() })))
    }

    /// What came and is given next time.
    fn keep(&self, bytes: Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.push_front(bytes);
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.kept.pop_front() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None => inner.body.poll_next_unpin(cx),
        }
    }
}

/// How much was given since the parser last gave something back. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicUsize>);

/// No end to what a part may hold: it is given on as it comes.
const IN_PART: usize = usize::MAX;

impl Progress {
    /// A part is read from here on.
    pub(super) fn in_part(&self) {
        self.0.store(IN_PART, Ordering::Relaxed);
    }

    /// A part has ended: the next one has to begin soon.
    pub(super) fn between(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// How many bytes of a frame may be given.
    fn room(&self) -> Option<usize> {
        match self.0.load(Ordering::Relaxed) {
            IN_PART => Some(usize::MAX),
            given => BETWEEN.checked_sub(given).filter(|room| *room > 0).map(|room| room.min(FRAME_BYTES)),
        }
    }

    fn gave(&self, bytes: usize) {
        let given = self.0.load(Ordering::Relaxed);
        if given != IN_PART {
            self.0.store(given + bytes, Ordering::Relaxed);
        }
    }
}

/// What the parser reads. It takes all that is ready before it gives anything: so it gets one piece at a time, and between
/// parts small ones, and so many.
pub(super) struct OneByOne {
    body: Shared,
    progress: Progress,
    gave: bool,
}

impl OneByOne {
    pub(super) fn new(body: Shared, progress: Progress) -> Self {
        Self { body, progress, gave: false }
    }
}

impl Stream for OneByOne {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(next) = self.body.poll_next_unpin(cx) else { return Poll::Pending };
        self.gave = true;
        let Some(Ok(mut bytes)) = next else { return Poll::Ready(next) };
        let Some(room) = self.progress.room() else { return Poll::Ready(Some(Err(BodyError::NoPart))) };
        if bytes.len() > room {
            let rest = bytes.split_off(room);
            self.body.keep(rest);
        }
        self.progress.gave(bytes.len());
        Poll::Ready(Some(Ok(bytes)))
    }
}
