use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, header};

use super::{BodyError, Bytestream};
use crate::problem::{Code, Problem, Result};

/// Bytes that a part other than the file may have.
const SMALL: usize = 4 * 1024;
/// Parts before the file.
const FEW: usize = 16;

/// A multipart body, read up to its part `file`.
pub(crate) struct Form {
    /// The parts before the file: parameters.
    pub(crate) fields: Vec<(String, String)>,
    /// What the client calls the file.
    pub(crate) filename: Option<String>,
    /// The file.
    pub(crate) file: Bytestream,
}

/// The boundary, when the body is multipart.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if !kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return Ok(None);
    }
    multer::parse_boundary(kind)
        .map(Some)
        .map_err(|_| bad("the header content-type is not multipart/form-data with a boundary".to_owned()))
}

impl Form {
    pub(crate) async fn read(body: Bytestream, boundary: String) -> Result<Self> {
        let mut parts = multer::Multipart::new(OneByOne { body, gave: false }, boundary);
        let mut fields = Vec::new();
        loop {
            let part = parts.next_field().await.map_err(unreadable)?;
            let Some(part) = part else { return Err(bad("there is no part named 'file'".to_owned())) };
            let name = part.name().unwrap_or_default().to_owned();
            if name == "file" {
                let filename = part.file_name().map(str::to_owned);
                return Ok(Self { fields, filename, file: part.map_err(BodyError::Form).boxed() });
            }
            if fields.len() == FEW {
                return Err(bad(format!("there are more than {FEW} parts before the file")));
            }
            let value = small(part, &name).await?;
            fields.push((name, value));
        }
    }
}

async fn small(mut part: multer::Field<'static>, name: &str) -> Result<String> {
    let mut value = Vec::new();
    while let Some(bytes) = part.chunk().await.map_err(unreadable)? {
        value.extend_from_slice(&bytes);
        if value.len() > SMALL {
            return Err(bad(format!(
                "the part '{name}' is longer than {SMALL} bytes; the file's part is named 'file'"
            )));
        }
    }
    String::from_utf8(value).map_err(|_| bad(format!("the part '{name}' is not UTF-8")))
}

fn bad(what: String) -> Problem {
    Problem::new(
        Code::InvalidBody,
        format!("{what}: send multipart/form-data with one part named 'file', parameters before it"),
    )
}

fn unreadable(error: multer::Error) -> Problem {
    match BodyError::find(&error) {
        Some(error) => error.problem(None),
        None => bad(format!("{error}")).caused_by(error),
    }
}

/// The parser takes all that is ready before it gives anything: one frame at a time keeps what it holds small.
struct OneByOne {
    body: Bytestream,
    gave: bool,
}

impl Stream for OneByOne {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = self.body.poll_next_unpin(cx);
        self.gave = next.is_ready();
        next
    }
}
