use gristmill_pipelines::charset::Charset;
use http::{HeaderMap, header};

use crate::problem::{Code, FieldError, Problem, Result};

/// The character set that `Content-Type` declares, if it says something: that a file is ASCII is said by clients that know
/// nothing of it.
pub(crate) fn charset(headers: &HeaderMap) -> Result<Option<Charset>> {
    let Some(declared) = headers.get(header::CONTENT_TYPE).and_then(|value| declared(value.as_bytes())) else {
        return Ok(None);
    };
    if ["us-ascii", "ascii"].contains(&declared.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    if let Some(charset) = Charset::of_label(&declared) {
        return Ok(Some(charset));
    }
    let shown: String = declared.chars().take(40).flat_map(char::escape_debug).collect();
    let detail = format!(
        "charset={shown} names no encoding that is read: send the one that the file is written in, such as utf-8 or \
         windows-1252, or none"
    );
    Err(Problem::new(Code::UnsupportedCharset, format!("header content-type: {detail}"))
        .errors(vec![FieldError { field: "content-type".to_owned(), detail }]))
}

/// The value of the parameter `charset`.
fn declared(kind: &[u8]) -> Option<String> {
    let kind = String::from_utf8_lossy(kind);
    kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn said(kind: &str) -> Result<Option<String>, String> {
        let kind = HeaderValue::from_str(kind).unwrap();
        let said = charset(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]));
        said.map(|said| said.map(Charset::name)).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn only_what_is_read_is_taken() {
        assert!(charset(&HeaderMap::new()).is_ok_and(|said| said.is_none()));
        for (kind, name) in [
            ("text/csv", None),
            ("text/csv; charset=utf-8", Some("utf-8")),
            ("text/csv;charset=\"UTF-8\"", Some("utf-8")),
            ("text/csv; header=present; Charset = us-ascii", None),
            ("text/csv; charset=iso-8859-1", Some("windows-1252")),
            ("text/csv; charset=\"windows-1252\"", Some("windows-1252")),
            ("application/json;charset=UTF-16LE", Some("utf-16le")),
            ("application/octet-stream", None),
        ] {
            assert_eq!(said(kind), Ok(name.map(str::to_owned)), "{kind}");
        }
        for (kind, name) in [("text/csv; charset=klingon", "charset=klingon"), ("text/csv; charset=", "charset=")] {
            assert!(said(kind).unwrap_err().contains(name), "{kind}");
        }
    }
}
