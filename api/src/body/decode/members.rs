//! What gzip writes: members, one behind the other, and perhaps zeros.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::FRAME;

/// The plain bytes of all members: `cat a.gz b.gz` and parallel compressors write several. Zeros behind the last one fill
/// up a block of a tape or a disk, and are none of the file (gzip(1)); anything else there is an error.
pub(super) fn members<R>(compressed: R) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    R: AsyncBufRead + Send + Unpin + 'static,
{
    let start = (GzipDecoder::new(compressed), BytesMut::new());
    stream::try_unfold(start, |(mut decoder, mut plain)| async move {
        loop {
            plain.reserve(if plain.capacity() == 0 { FRAME } else { 0 });
            if decoder.read_buf(&mut plain).await? > 0 {
                let bytes = plain.split().freeze();
                return Ok(Some((bytes, (decoder, plain))));
            }
            let mut behind = decoder.into_inner();
            if !another(&mut behind).await? {
                return Ok(None);
            }
            decoder = GzipDecoder::new(behind);
        }
    })
}

/// Whether something else than zeros follows the end of a member.
async fn another(behind: &mut (impl AsyncBufRead + Unpin)) -> io::Result<bool> {
    let mut padded = false;
    loop {
        let bytes = behind.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let (all, first) = (zeros == bytes.len(), zeros == 0 && !padded);
        if first {
            return Ok(true);
        }
        if !all {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "something else than zeros follows zeros behind its end",
            ));
        }
        padded = true;
        behind.consume(zeros);
    }
}
