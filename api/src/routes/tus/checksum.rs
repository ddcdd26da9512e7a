//! The checksum of a request's body.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderMap;
use ring::digest::{self, Context};

use super::Names;
use crate::{
    params::{bad_header, text_header},
    problem::{Code, Problem, Result},
};

/// Those that can be checked.
pub(super) const ALGORITHMS: &str = "sha1,sha256,sha512";

/// What `Upload-Checksum` says of a body, beside what the body comes to.
pub(super) struct Checksum {
    context: Context,
    said: Vec<u8>,
}

impl Checksum {
    /// `None`: nothing is said.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(text) = text_header(headers, &Names::CHECKSUM)? else { return Ok(None) };
        let wrong = |detail: String| bad_header(&Names::CHECKSUM, detail);
        let (algorithm, said) = text
            .split_once(' ')
            .ok_or_else(|| wrong(format!("'{text}' is not an algorithm, a space and a checksum in Base64")))?;
        let known = match algorithm {
            "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => &digest::SHA256,
            "sha512" => &digest::SHA512,
            _ => return Err(wrong(format!("'{algorithm}' is none of {ALGORITHMS}"))),
        };
        let said = BASE64_STANDARD.decode(said.trim()).map_err(|_| wrong(format!("'{said}' is not Base64")))?;
        Ok(Some(Self { context: Context::new(known), said }))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub(super) fn check(self) -> Result<()> {
        if self.context.finish().as_ref() == self.said {
            return Ok(());
        }
        Err(Problem::new(
            Code::ChecksumMismatch,
            "The body has another checksum than Upload-Checksum says: nothing of it is kept. Send it again.",
        ))
    }
}
