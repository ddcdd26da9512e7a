//! A file that is fetched, with its checksum.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use gristmill_webhooks::outbound::Fetched;
use sha2::{Digest as _, Sha256};

use super::BodyError;

/// A SHA-256, written in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum([u8; 32]);

impl FromStr for Sum {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "it is no SHA-256: 64 hexadecimal digits are needed";
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        let mut sum = [0; 32];
        for (no, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[no * 2..no * 2 + 2], 16).map_err(|_| WRONG)?;
        }
        Ok(Self(sum))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The bytes of a file as they come. With a checksum its last piece comes when that is right, so that no decoder is content before.
pub(crate) fn fetched(
    file: Fetched,
    expected: Option<Sum>,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    checked(file.into_stream().map(|piece| piece.map_err(BodyError::Fetch)), expected)
}

fn checked(
    pieces: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    expected: Option<Sum>,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    let Some(expected) = expected else { return pieces.boxed() };
    let state = Some((pieces.boxed(), Sha256::new(), None::<Bytes>));
    stream::unfold(state, move |state| async move {
        let (mut pieces, mut hash, mut last) = state?;
        loop {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    hash.update(&piece);
                    if let Some(before) = last.replace(piece) {
                        return Some((Ok(before), Some((pieces, hash, last))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let found = Sum(hash.finalize().into());
                    let end = if found == expected {
                        last.map(Ok)
                    } else {
                        Some(Err(BodyError::Checksum { expected, found }))
                    };
                    return end.map(|end| (end, None));
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(expected: &str) -> Vec<String> {
        let pieces = ["na", "me"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        let said = |piece: Result<Bytes, BodyError>| match piece {
            Ok(piece) => String::from_utf8(piece.to_vec()).unwrap(),
            Err(error) => error.to_string(),
        };
        checked(stream::iter(pieces), Some(expected.parse().unwrap())).map(said).collect().await
    }

    #[tokio::test]
    async fn the_last_piece_comes_when_the_sum_is_right() {
        let right = "82a3537ff0dbce7eec35d69edc3a189ee6f17d82f353a553f9aa96cb0be3ce89";
        assert_eq!(read(right).await, ["na", "me"]);
        assert_eq!(read(&right.to_uppercase()).await, ["na", "me"]);
        let wrong = right.replace('8', "9");
        assert_eq!(read(&wrong).await, ["na".to_owned(), format!("its SHA-256 is {right}, and {wrong} was given")]);
        for text in ["", "82a3", &right.replace('8', "g"), &format!("{right}00")] {
            assert!(text.parse::<Sum>().is_err(), "{text}");
        }
    }
}
