use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tower::ServiceExt;

/// What is read of a body that nobody wanted, to keep its connection; a longer one is answered and closed.
const WORTH_READING: u64 = 256 * 1024;
const WORTH_WAITING: Duration = Duration::from_millis(250);

/// Answers one request; sees to a body that was refused before its end.
pub(super) async fn answer(
    router: Router,
    request: Request<Incoming>,
    must_linger: Arc<AtomicBool>,
) -> Result<Response, Infallible> {
    let asks_first = request.headers().contains_key(header::EXPECT);
    let left = Left::default();
    let request = request.map(|body| Body::new(WatchedBody { body: Some(body), asked: false, left: left.clone() }));
    let mut response = router.oneshot(request).await?;
    let Some(Rest { body, asked }) = left.take() else { return Ok(response) };
    // Reading would tell a client that waits for `100 Continue` to send what we do not want.
    let kept = (asked || !asks_first) && read_to_end(body).await;
    if !kept {
        must_linger.store(true, Ordering::Relaxed);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn read_to_end(mut body: Incoming) -> bool {
    if body.size_hint().lower() > WORTH_READING {
        return false;
    }
    let reading = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > WORTH_READING {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(WORTH_WAITING, reading).await.unwrap_or(false)
}

struct Rest {
    body: Incoming,
    asked: bool,
}

#[derive(Clone, Default)]
struct Left(Arc<Mutex<Option<Rest>>>);

impl Left {
    fn take(&self) -> Option<Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request's body that is handed back when it is dropped before its end.
struct WatchedBody {
    body: Option<Incoming>,
    asked: bool,
    left: Left,
}

impl hyper::body::Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.asked = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = next {
            self.body = None;
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            let rest = Rest { body, asked: self.asked };
            *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
    }
}
