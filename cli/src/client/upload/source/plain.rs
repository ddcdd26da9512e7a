use std::{io, pin::Pin};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::{PIECE, Source};

impl Source {
    /// Its bytes, decompressed.
    pub(in crate::client::upload) async fn plain(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let pieces = self.pieces().await;
        match self.encoding {
            None => pieces,
            Some(encoding) => ReaderStream::with_capacity(decoder(encoding, pieces), PIECE).boxed(),
        }
    }
}

fn decoder(encoding: &str, packed: BoxStream<'static, io::Result<Bytes>>) -> Pin<Box<dyn AsyncRead + Send>> {
    let packed = StreamReader::new(packed);
    if encoding == "gzip" {
        let mut decoder = GzipDecoder::new(packed);
        decoder.multiple_members(true);
        Box::pin(decoder)
    } else {
        let mut decoder = ZstdDecoder::new(packed);
        decoder.multiple_members(true);
        Box::pin(decoder)
    }
}
