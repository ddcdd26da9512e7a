use gristmill_uploads::UploadId;

use super::{BodyError, FetchError};
use crate::problem::{Code, Problem};

/// What it is called when a file is not fetched.
pub(crate) fn code_of(error: &FetchError) -> Code {
    if error.is_passing() { Code::FetchBroken } else { Code::NotFetched }
}

impl BodyError {
    /// What the client is told.
    pub(crate) fn problem(&self, upload_id: Option<UploadId>) -> Problem {
        let after = match upload_id {
            Some(_) => "The upload has failed and nothing of it stays: send the file again.",
            None => "Nothing was taken: send the file again.",
        };
        let after = match self {
            Self::Fetch(_) | Self::Checksum { .. } => "Nothing of it stays: ask for it again.",
            _ => after,
        };
        let code = match self {
            Self::Fetch(error) => code_of(error),
            Self::Checksum { .. } => Code::WrongChecksum,
            Self::Broken(_) | Self::Form(_) | Self::Halted => Code::IncompleteUpload,
            Self::Silent(_) => Code::UploadTimeout,
            Self::Slow { .. } => Code::UploadTooSlow,
            Self::Stopping => Code::ShuttingDown,
            Self::Corrupt(..) => Code::CorruptEncoding,
            Self::Window(_) => Code::UnsupportedEncoding,
            Self::LatePart(_) | Self::SecondFile(_) | Self::Behind | Self::NoPart => Code::InvalidBody,
            Self::Ratio { .. } => Code::CompressionRatio,
            Self::Twice { .. } => Code::WrongFormat,
            Self::Revoked => Code::Unauthorized,
            Self::Kept(_) => Code::Unavailable,
        };
        let what = match code {
            Code::InvalidBody => "The body is not as it should be",
            Code::UnsupportedEncoding | Code::CompressionRatio => "The body is not decompressed",
            Code::Unauthorized => "The body is not read on",
            Code::NotFetched | Code::FetchBroken => "The file did not come to its end",
            Code::WrongChecksum => "The file is not the one that was asked for",
            _ => "The body did not come to its end",
        };
        let detail = match self {
            Self::Twice { outer, inner } => format!("The file is {inner} inside of {outer}: unpack it once."),
            _ => format!("{what}: {self}. {after}"),
        };
        let problem = Problem::new(code, detail);
        match upload_id {
            Some(upload_id) => problem.about(upload_id),
            None => problem,
        }
    }
}
