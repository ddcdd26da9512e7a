mod members;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_compression::{tokio::bufread::ZstdDecoder, zstd::DParameter};
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use tokio_util::io::{ReaderStream, StreamReader};

use self::members::members;
use super::{BodyError, Bytestream, packed::once};
use crate::problem::{Code, FieldError, Problem, Result};

/// Bytes decompressed at a time.
const FRAME: usize = 128 * 1024;
/// RFC 9659: what a zstd content encoding may ask its decoder to hold, 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Zstd,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// What `Content-Encoding` says; none: plain.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>> {
    let values = headers.get_all(header::CONTENT_ENCODING);
    let words: Vec<String> = values
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .map(|word| String::from_utf8_lossy(word).trim().to_ascii_lowercase())
        .filter(|word| !word.is_empty() && word != "identity")
        .collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(None),
        ["gzip" | "x-gzip"] => Ok(Some(Encoding::Gzip)),
        ["zstd"] => Ok(Some(Encoding::Zstd)),
        [other] => Err(unsupported(format!("'{other}' is not supported"))),
        _ => Err(unsupported(format!("'{}' is several encodings stacked", words.join(", ")))),
    }
}

fn unsupported(what: String) -> Problem {
    let detail = format!("{what}: send the file plain, or compressed once by gzip or zstd");
    Problem::new(Code::UnsupportedEncoding, format!("header content-encoding: {detail}"))
        .errors(vec![FieldError { field: "content-encoding".to_owned(), detail }])
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))
}

/// Bytes that a body may unpack to whatever its size: small files may be all alike.
const FREE: u64 = 8 * 1024 * 1024;

/// The plain bytes of a body. It ends with an error when it unpacks to more than `max_ratio` times its size, beyond the
/// first 8 MiB; 0: to whatever it does. So it does when they are compressed themselves.
pub(crate) fn decode(
    body: impl Stream<Item = Result<bytes::Bytes, BodyError>> + Send + 'static,
    encoding: Option<Encoding>,
    max_ratio: u64,
) -> Bytestream {
    let Some(encoding) = encoding else { return body.boxed() };
    let packed = Arc::new(AtomicU64::new(0));
    let count = packed.clone();
    let body = body.inspect_ok(move |bytes| {
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    let compressed = StreamReader::new(body.map_err(io::Error::other).boxed());
    let plain = match encoding {
        Encoding::Gzip => members(compressed).boxed(),
        Encoding::Zstd => {
            let mut decoder = ZstdDecoder::with_params(compressed, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]);
            decoder.multiple_members(true);
            ReaderStream::with_capacity(decoder, FRAME).boxed()
        }
    };
    let mut unpacked = 0;
    let plain = plain
        .map_err(move |error| wire_error(error, encoding))
        .and_then(move |bytes| {
            unpacked += bytes.len() as u64;
            let most = packed.load(Ordering::Relaxed).saturating_mul(max_ratio).max(FREE);
            let too_much = max_ratio > 0 && unpacked > most;
            std::future::ready(if too_much { Err(BodyError::Ratio { limit: max_ratio }) } else { Ok(bytes) })
        })
        .boxed();
    once(plain, encoding)
}

/// What zstd says of a frame whose window is larger than it may hold. It has a number for it, which does not come this far.
const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";

/// An error of the connection stays one; what the decoder itself dislikes is damage, or more than it may hold.
fn wire_error(error: io::Error, encoding: Encoding) -> BodyError {
    match error.downcast::<BodyError>() {
        Ok(ours) => ours,
        Err(error) if encoding == Encoding::Zstd && error.to_string().contains(WINDOW_TOO_LARGE) => {
            BodyError::Window(error)
        }
        Err(error) => BodyError::Corrupt(encoding, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(values: &[&'static str]) -> Result<Option<Encoding>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        encoding(&headers).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn reads_the_header() {
        assert_eq!(said(&[]), Ok(None));
        assert_eq!(said(&["identity"]), Ok(None));
        assert_eq!(said(&[" GZIP "]), Ok(Some(Encoding::Gzip)));
        assert_eq!(said(&["identity, zstd"]), Ok(Some(Encoding::Zstd)));
        for bad in [&["br"][..], &["gzip, zstd"], &["gzip", "gzip"], &["deflate, br"]] {
            assert!(said(bad).unwrap_err().contains("compressed once by gzip or zstd"), "{bad:?}");
        }
    }
}
