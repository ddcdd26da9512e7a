//! Files at addresses that clients name, read while they arrive. Each redirect is checked as the first address is; what breaks off
//! goes on where it was, as long as it is the same file.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use reqwest::{
    Response, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
        TRANSFER_ENCODING,
    },
};
use tokio::time::{sleep, timeout};

use super::{CallError, Outbound, UrlError};

/// Addresses that one leads to in turn.
const MAX_REDIRECTS: usize = 5;
/// How long it may take until an answer begins, and between two pieces of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The waits before it goes on after a break; with the next piece they begin again.
const WAITS: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// A file that begins to arrive.
pub struct Fetched {
    /// What its first answer says of it.
    pub headers: HeaderMap,
    /// Whether its end is known when it comes: by its length, or because it is sent in chunks. What is cut off looks whole otherwise.
    pub is_framed: bool,
    arriving: Arriving,
}

/// Why a file is not fetched, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It leads to an address that is not called.
    #[error("it redirects to an address that is not called: {0}")]
    Redirect(#[source] UrlError),
    /// It leads on and on, or nowhere.
    #[error("it redirects more than {MAX_REDIRECTS} times, or does not say where to")]
    Redirects,
    /// It answers, and not with a file.
    #[error("it answers with status {}", .0.as_u16())]
    Status(StatusCode),
    /// It broke off and does not say whether what is there now is the same file.
    #[error("it broke off after {0} bytes, and has neither a strong ETag nor a Last-Modified to go on with")]
    NotResumed(u64),
    /// It broke off, and another file is there now, or it does not send the rest of one.
    #[error("it broke off after {0} bytes, and the rest of the same file is not sent")]
    Changed(u64),
}

impl FetchError {
    /// Whether the same may go well a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Call(error) => !matches!(error, CallError::Url(_) | CallError::NotPublic(_)),
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            Self::Redirect(_) | Self::Redirects => false,
            Self::NotResumed(_) | Self::Changed(_) => true,
        }
    }
}

impl Outbound {
    /// Gets a file. There is no limit of time or size but that of who reads it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn fetch(&self, address: &str) -> Result<Fetched, FetchError> {
        let url = self.check(address).map_err(CallError::from)?;
        let answer = self.ask(url.clone(), &HeaderMap::new()).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let headers = answer.headers().clone();
        let is_framed = answer.content_length().is_some() || headers.contains_key(TRANSFER_ENCODING);
        let same = validator(&headers);
        let arriving = Arriving { outbound: self.clone(), url, same, answer: Some(answer), read: 0, breaks: 0 };
        Ok(Fetched { headers, is_framed, arriving })
    }

    /// The answer that the address leads to.
    async fn ask(&self, mut url: Url, headers: &HeaderMap) -> Result<Response, FetchError> {
        for _ in 0..=MAX_REDIRECTS {
            let request = self.http.get(url.clone()).headers(headers.clone()).header(ACCEPT_ENCODING, "identity");
            let answer = match timeout(PATIENCE, request.send()).await {
                Ok(answer) => answer.map_err(|error| self.failed(error))?,
                Err(_) => return Err(CallError::TimedOut(PATIENCE).into()),
            };
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = location.and_then(|to| url.join(to).ok()).ok_or(FetchError::Redirects)?;
            url = self.check(to.as_str()).map_err(FetchError::Redirect)?;
        }
        Err(FetchError::Redirects)
    }
}

impl Fetched {
    /// Its bytes as they come. After an error nothing follows.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, FetchError>> + Send + 'static {
        stream::unfold(Some(self.arriving), |arriving| async {
            let mut arriving = arriving?;
            match arriving.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(arriving))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

struct Arriving {
    outbound: Outbound,
    url: Url,
    /// What says that it is still the same file.
    same: Option<HeaderValue>,
    /// None after a break.
    answer: Option<Response>,
    read: u64,
    /// Since the last piece.
    breaks: usize,
}

impl Arriving {
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let broken = match &mut self.answer {
                Some(answer) => match timeout(PATIENCE, answer.chunk()).await {
                    Ok(Ok(Some(bytes))) => {
                        self.read += bytes.len() as u64;
                        self.breaks = 0;
                        return Ok(Some(bytes));
                    }
                    Ok(Ok(None)) => return Ok(None),
                    Ok(Err(error)) => self.outbound.failed(error).into(),
                    Err(_) => CallError::TimedOut(PATIENCE).into(),
                },
                None => match self.resume().await {
                    Ok(answer) => {
                        self.answer = Some(answer);
                        continue;
                    }
                    Err(error) if !error.is_passing() || matches!(error, FetchError::Changed(_)) => return Err(error),
                    Err(error) => error,
                },
            };
            self.answer = None;
            if self.same.is_none() {
                return Err(FetchError::NotResumed(self.read));
            }
            let Some(wait) = WAITS.get(self.breaks) else { return Err(broken) };
            self.breaks += 1;
            tracing::debug!(read = self.read, error = &broken as &dyn std::error::Error, "a fetched file broke off");
            sleep(*wait).await;
        }
    }

    /// The rest of the same file. The first address is asked: what it led to may have been for once.
    async fn resume(&self) -> Result<Response, FetchError> {
        let mut headers = HeaderMap::new();
        let range =
            HeaderValue::try_from(format!("bytes={}-", self.read)).map_err(|_| FetchError::Changed(self.read))?;
        headers.insert(RANGE, range);
        headers.extend(self.same.clone().map(|same| (IF_RANGE, same)));
        let answer = self.outbound.ask(self.url.clone(), &headers).await?;
        let begins = format!("bytes {}-", self.read);
        let begins_there = || {
            let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
            range.is_some_and(|range| range.starts_with(&begins))
        };
        match answer.status() {
            // Who does not heed `If-Range` says by its own validator that it is another file.
            StatusCode::PARTIAL_CONTENT if begins_there() && self.is_same(answer.headers()) => Ok(answer),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(FetchError::Changed(self.read))
            }
            status => Err(FetchError::Status(status)),
        }
    }

    fn is_same(&self, headers: &HeaderMap) -> bool {
        validator(headers).is_none_or(|now| self.same.as_ref() == Some(&now))
    }
}

/// What `If-Range` may be asked with: a strong tag, or a date.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    strong.or(headers.get(LAST_MODIFIED)).cloned()
}
