use std::io::{self, ErrorKind, Read};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

/// A reader that may block for ever, as a stream. It is read by a thread of its own: tokio's would keep the process
/// from ending for as long as a read waits.
pub(super) struct Pipe {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    peeked: Vec<io::Result<Bytes>>,
}

impl Pipe {
    pub(super) fn read(mut from: impl Read + Send + 'static, size: usize) -> io::Result<Self> {
        let (sender, pieces) = mpsc::channel(2);
        std::thread::Builder::new().name("pipe".to_owned()).spawn(move || {
            loop {
                let mut piece = BytesMut::zeroed(size);
                let read = match from.read(&mut piece) {
                    Ok(0) => return,
                    Ok(read) => Ok(piece.split_to(read).freeze()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.blocking_send(read).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { pieces, peeked: Vec::new() })
    }

    /// The first bytes, `most` at most; they stay in the stream.
    pub(super) async fn peek(&mut self, most: usize) -> Vec<u8> {
        let mut head = Vec::new();
        while head.len() < most {
            let Some(piece) = self.pieces.recv().await else { break };
            let failed = piece.is_err();
            head.extend(piece.iter().flatten().take(most - head.len()));
            self.peeked.push(piece);
            if failed {
                break;
            }
        }
        head
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        let Self { mut pieces, peeked } = self;
        futures::stream::iter(peeked).chain(futures::stream::poll_fn(move |context| pieces.poll_recv(context)))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn what_was_peeked_comes_again() {
        for (text, head) in [("", ""), ("abc", "abc"), ("abcdefg", "abcd")] {
            let mut pipe = Pipe::read(io::Cursor::new(text), 3).unwrap();
            assert_eq!(pipe.peek(4).await, head.as_bytes());
            let pieces: Vec<Bytes> = pipe.into_stream().try_collect().await.unwrap();
            assert_eq!(pieces.concat(), text.as_bytes());
        }
    }
}
