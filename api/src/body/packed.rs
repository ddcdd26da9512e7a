//! What is compressed and does not say so.

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use gristmill_pipelines::{FEW, Foreign, foreign};

use super::{BodyError, Bytestream, Encoding};

/// How a body is compressed: as was said, or as its first bytes show. The body is as it was; an error that comes before them
/// comes out of it.
pub(crate) async fn packed(
    body: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    said: Option<Encoding>,
) -> (Option<Encoding>, Bytestream) {
    match said {
        Some(said) => (Some(said), body.boxed()),
        None => beginning(body.boxed()).await,
    }
}

/// What the first bytes show, and the body.
pub(super) async fn beginning(mut body: Bytestream) -> (Option<Encoding>, Bytestream) {
    let (mut head, mut read) = (Vec::new(), Vec::new());
    while head.len() < FEW {
        let Some(next) = body.next().await else { break };
        if let Ok(bytes) = &next {
            head.extend_from_slice(&bytes[..bytes.len().min(FEW - head.len())]);
        }
        let is_error = next.is_err();
        read.push(next);
        if is_error {
            break;
        }
    }
    let encoding = match foreign(&head) {
        Some(Foreign::Compressed("gzip")) => Some(Encoding::Gzip),
        Some(Foreign::Compressed("zstd")) => Some(Encoding::Zstd),
        _ => None,
    };
    (encoding, stream::iter(read).chain(body).boxed())
}

/// What was unpacked, unless that is compressed, too.
pub(super) fn once(plain: Bytestream, outer: Encoding) -> Bytestream {
    let checked = async move {
        match beginning(plain).await {
            (None, plain) => plain,
            (Some(inner), _) => {
                let twice: Result<Bytes, BodyError> = Err(BodyError::Twice { outer, inner });
                stream::iter([twice]).boxed()
            }
        }
    };
    stream::once(checked).flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frames: &[&'static [u8]]) -> Bytestream {
        let frames: Vec<_> = frames.iter().map(|frame| Ok(Bytes::from_static(frame))).collect();
        stream::iter(frames).boxed()
    }

    #[tokio::test]
    async fn the_first_bytes_show_it_and_nothing_is_lost() {
        let cases: [(&[&'static [u8]], Option<Encoding>); 6] = [
            (&[b"\x1f\x8b\x08\0rest"], Some(Encoding::Gzip)),
            (&[b"\x1f", b"", b"\x8b\x08", b"\0"], Some(Encoding::Gzip)),
            (&[b"\x28\xb5\x2f", b"\xfd.."], Some(Encoding::Zstd)),
            (&[b"name", b",x"], None),
            (&[b"\x1f\x8b"], None),
            (&[], None),
        ];
        for (frames, encoding) in cases {
            let (found, body) = packed(body(frames), None).await;
            assert_eq!(found, encoding, "{frames:?}");
            let all: Vec<Bytes> = body.map(Result::unwrap).collect().await;
            assert_eq!(all.concat(), frames.concat());
        }
        assert_eq!(packed(body(&[b"\x1f\x8b\x08\0"]), Some(Encoding::Zstd)).await.0, Some(Encoding::Zstd));
    }

    #[tokio::test]
    async fn an_error_that_comes_first_stays_in_the_body() {
        let failing = body(&[b"\x1f"]).chain(stream::iter([Err(BodyError::Stopping)]));
        let (found, mut body) = packed(failing, None).await;
        assert_eq!(found, None);
        assert!(matches!(body.next().await, Some(Ok(_))));
        assert!(matches!(body.next().await, Some(Err(BodyError::Stopping))));
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_compressed_twice_is_told_so() {
        let mut twice = once(body(&[b"\x28\xb5", b"\x2f\xfd"]), Encoding::Gzip);
        let error = twice.next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the file is zstd inside of gzip: unpack it once");
        let plain: Vec<Bytes> = once(body(&[b"na", b"me\n"]), Encoding::Gzip).map(Result::unwrap).collect().await;
        assert_eq!(plain.concat(), b"name\n");
    }
}
