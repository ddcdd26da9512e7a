use futures::{StreamExt, TryStreamExt, stream};
use gristmill_pipelines::charset::Charset;
use http::{HeaderMap, header};

use super::{
    BodyError, Bytestream, charset, decode,
    disposition::filename,
    doors::{OneByOne, Progress, Shared},
    encoding, packed,
};
use crate::problem::{Code, Problem, Result};

/// Bytes that a part other than the file may have.
const SMALL: usize = 4 * 1024;
/// Parts before the file.
const FEW: usize = 16;
/// Bytes that the name of a part, or of its file, may have.
const MAX_NAME: usize = 1024;
/// Characters that RFC 2046 allows a boundary.
const MAX_BOUNDARY: usize = 70;
/// Bytes behind the last part, which nobody sends, and behind what the parser has read of them.
const MAX_EPILOGUE_BYTES: usize = 64 * 1024;

/// A multipart body, read up to its part `file`.
pub(crate) struct Form {
    /// The parts before the file: parameters.
    pub(crate) fields: Vec<(String, String)>,
    /// What the client calls the file.
    pub(crate) filename: Option<String>,
    /// What the file's part says of its characters.
    pub(crate) charset: Option<Charset>,
    /// The file. It ends well only if nothing that matters comes behind it, and where the body does.
    pub(crate) file: Bytestream,
}

/// The boundary, when the body is multipart.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if !kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return Ok(None);
    }
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| bad("the header content-type is not multipart/form-data with a boundary".to_owned()))?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return Err(bad(format!("the boundary has {} bytes, not 1 to {MAX_BOUNDARY}", boundary.len())));
    }
    Ok(Some(boundary))
}

impl Form {
    pub(crate) async fn read(body: Bytestream, boundary: String, max_ratio: u64) -> Result<Self> {
        let body = Shared::new(body);
        let progress = Progress::default();
        let mut parts = multer::Multipart::new(OneByOne::new(body.clone(), progress.clone()), boundary);
        let mut fields = Vec::new();
        loop {
            progress.between();
            let part = parts.next_field().await.map_err(unreadable)?;
            let Some(part) = part else { return Err(bad("there is no part named 'file'".to_owned())) };
            let name = part.name().unwrap_or_default().to_owned();
            if [Some(&*name), part.file_name()].into_iter().flatten().any(|name| name.len() > MAX_NAME) {
                return Err(bad(format!("the name of a part or of its file is longer than {MAX_NAME} bytes")));
            }
            if name == "file" {
                progress.in_part();
                let charset = charset(part.headers())?;
                let encoding = encoding(part.headers())?;
                let filename = filename(part.headers()).or_else(|| part.file_name().map(str::to_owned));
                let (encoding, part) = packed(part.map_err(BodyError::Form), encoding).await;
                let behind = stream::once(end(parts, body, progress)).try_filter_map(async |()| Ok(None));
                return Ok(Self {
                    fields,
                    filename,
                    charset,
                    file: decode(part, encoding, max_ratio).chain(behind).boxed(),
                });
            }
            if fields.len() == FEW {
                return Err(bad(format!("there are more than {FEW} parts before the file")));
            }
            progress.between();
            let value = small(part, &name).await?;
            fields.push((name, value));
        }
    }
}

/// Reads on behind the file, to the end of the body. What is sent there was meant to count, and it is too late for that.
async fn end(mut parts: multer::Multipart<'static>, mut body: Shared, progress: Progress) -> Result<(), BodyError> {
    progress.between();
    if let Some(part) = parts.next_field().await.map_err(BodyError::Form)? {
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = name == "file" || part.file_name().is_some();
        return Err(if is_file { BodyError::SecondFile(name) } else { BodyError::LatePart(name) });
    }
    // The last part is not yet the end: a compressed body has its checksum there.
    let mut behind = 0;
    while let Some(bytes) = body.next().await {
        behind += bytes?.len();
        if behind > MAX_EPILOGUE_BYTES {
            return Err(BodyError::Behind);
        }
    }
    Ok(())
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
