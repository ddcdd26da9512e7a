//! A file on its way in: from the request's body to a stream of the file's plain bytes. Never more than a frame of it
//! is held.

mod charset;
mod decode;
mod disposition;
mod doors;
mod fetched;
mod form;
mod packed;
mod problem;
mod timeout_body;

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use futures::stream::BoxStream;
use gristmill_webhooks::outbound::FetchError;

pub(crate) use charset::charset;
pub(crate) use decode::{Encoding, decode, encoding};
pub(crate) use fetched::{Sum, fetched};
pub(crate) use form::{Form, boundary};
pub(crate) use packed::packed;
pub(crate) use problem::code_of;
pub(crate) use timeout_body::TimeoutBody;

/// The bytes of a file.
pub(crate) type Bytestream = BoxStream<'static, Result<Bytes, BodyError>>;

/// Why a body did not come to its end, or not as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the connection broke off")]
    Broken(#[source] axum::Error),
    #[error("nothing arrived for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("less than {rate} bytes a second arrived for {} s", .over.as_secs())]
    Slow { rate: u64, over: Duration },
    #[error("the server is stopping")]
    Stopping,
    #[error("the {0} stream is damaged or ends too early")]
    Corrupt(Encoding, #[source] io::Error),
    #[error("the zstd stream asks for a window of more than 8 MiB; compress the file without --long and --ultra")]
    Window(#[source] io::Error),
    #[error("the multipart body is damaged or ends too early")]
    Form(#[source] multer::Error),
    #[error("the part '{0}' comes behind the part 'file': parts that set parameters come before it")]
    LatePart(String),
    #[error("the part '{0}' is a second file: one file an upload")]
    SecondFile(String),
    #[error("the multipart body goes on behind its last part")]
    Behind,
    #[error(
        "{} bytes came and no part has begun: so much may stand before the first boundary, and in the headers of a part",
        doors::BETWEEN
    )]
    NoPart,
    #[error("the body unpacks to more than {limit} times its size: it is not a file of records, or send it plain")]
    Ratio { limit: u64 },
    #[error("the file is {inner} inside of {outer}: unpack it once")]
    Twice { outer: Encoding, inner: Encoding },
    #[error("the key that it was sent with was revoked")]
    Revoked,
    #[error("the rest of it comes with another request")]
    Halted,
    #[error("what is kept of it cannot be read")]
    Kept(#[source] io::Error),
    #[error(transparent)]
    Fetch(FetchError),
    #[error("its SHA-256 is {found}, and {expected} was given")]
    Checksum { expected: Sum, found: Sum },
}

impl BodyError {
    /// The innermost of ours in a chain: a decoder and a parser between us and the wire wrap what they met.
    pub(crate) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut found = None;
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Self>() {
                found = Some(ours);
            }
            next = match error.downcast_ref::<io::Error>() {
                // `source` of such an error skips the error inside.
                Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        found
    }
}
