//! The headers of tus.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gristmill_uploads::resumable::Resumable;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{EXTENSIONS, VERSION, checksum};
use crate::{
    params::{bad_header, text_header},
    problem::{Code, Problem, Result},
};

/// Their names.
pub(super) struct Names;

impl Names {
    pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
    const VERSION: HeaderName = HeaderName::from_static("tus-version");
    const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
    const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
    const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
    pub(super) const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
    pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
    pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
    pub(super) const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
    pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
    pub(super) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
    pub(super) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
    const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
    const UPLOAD: HeaderName = HeaderName::from_static("gristmill-upload");
}

/// Keys of metadata that clients send by themselves, and that say nothing of how a file is read.
pub(super) const SAYS_NOTHING: [&str; 6] = ["filetype", "name", "type", "contentType", "relativePath", "caption"];

/// What is spoken.
pub(super) fn options(max_bytes: u64) -> HeaderMap {
    HeaderMap::from_iter([
        (Names::VERSION, HeaderValue::from_static(VERSION)),
        (Names::EXTENSION, HeaderValue::from_static(EXTENSIONS)),
        (Names::MAX_SIZE, HeaderValue::from(max_bytes)),
        (Names::CHECKSUM_ALGORITHM, HeaderValue::from_static(checksum::ALGORITHMS)),
    ])
}

pub(super) fn other_version() -> Problem {
    Problem::new(Code::TusVersion, format!("The header Tus-Resumable does not say {VERSION}: that is spoken here."))
        .header(Names::VERSION, HeaderValue::from_static(VERSION))
}

pub(super) fn locked() -> Problem {
    Problem::new(Code::UploadLocked, "All of the upload has arrived and it is being read in. Ask again in seconds.")
        .header(header::RETRY_AFTER, HeaderValue::from_static("2"))
}

/// What is said of a file where it is answered about.
pub(super) fn of(file: &Resumable) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(Names::OFFSET, HeaderValue::from(file.received))]);
    match file.length {
        Some(length) => headers.insert(Names::LENGTH, HeaderValue::from(length)),
        None => headers.insert(Names::DEFER_LENGTH, HeaderValue::from_static("1")),
    };
    let text = |text: String| HeaderValue::try_from(text).expect("it came as a header, or is plain ASCII");
    if let Some(metadata) = &file.metadata {
        headers.insert(Names::METADATA, text(metadata.clone()));
    }
    if file.is_part() {
        headers.insert(Names::CONCAT, HeaderValue::from_static("partial"));
    }
    if let Some(parts) = &file.parts {
        let urls: Vec<String> = parts.iter().map(|part| format!("/v1/tus/{part}")).collect();
        headers.insert(Names::CONCAT, text(format!("final;{}", urls.join(" "))));
    }
    headers.extend(expiry(file));
    if let Some(upload_id) = file.upload_id {
        headers.insert(Names::UPLOAD, text(upload_id.to_string()));
    }
    headers
}

/// When it goes, while it may still go on.
fn expiry(file: &Resumable) -> Option<(HeaderName, HeaderValue)> {
    if file.is_whole() && !file.is_part() {
        return None;
    }
    let at = file.expires_at.to_jiff().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Some((Names::EXPIRES, HeaderValue::try_from(at).expect("a time is plain ASCII")))
}

/// A number of bytes.
pub(super) fn bytes(headers: &HeaderMap, name: &HeaderName) -> Result<Option<i64>> {
    let Some(text) = text_header(headers, name)? else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.map(Some).ok_or_else(|| bad_header(name, format!("'{text}' is not a number of bytes")))
}

/// The keys and values of `Upload-Metadata`.
pub(super) fn metadata(header: Option<&str>) -> Result<Vec<(String, String)>> {
    let wrong = |detail: String| bad_header(&Names::METADATA, detail);
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in header.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value =
            BASE64_STANDARD.decode(value.trim()).map_err(|_| wrong(format!("the value of '{key}' is not Base64")))?;
        let value = String::from_utf8(value).map_err(|_| wrong(format!("the value of '{key}' is not UTF-8")))?;
        if found.iter().any(|(other, _)| other == key) {
            return Err(wrong(format!("'{key}' is there twice")));
        }
        found.push((key.to_owned(), value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let found = metadata(Some("filename YS5jc3Y=,kind ZGVidHM=, force")).unwrap();
        let expected = [("filename", "a.csv"), ("kind", "debts"), ("force", "")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for (wrong, said) in [
            ("kind debts!", "the value of 'kind' is not Base64"),
            ("kind /w==", "the value of 'kind' is not UTF-8"),
            ("kind ZGVidHM=,kind ZGVidHM=", "'kind' is there twice"),
        ] {
            let found = format!("{:?}", metadata(Some(wrong)).unwrap_err());
            assert!(found.contains(said), "{wrong}: {found}");
        }
    }

    #[test]
    fn bytes_are_digits() {
        let said = |text: &'static str| {
            let headers = HeaderMap::from_iter([(Names::OFFSET, HeaderValue::from_static(text))]);
            bytes(&headers, &Names::OFFSET).ok().flatten()
        };
        assert_eq!(said("17"), Some(17));
        for wrong in ["", "-1", "+1", "1.5", "0x1", "99999999999999999999"] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }
}
