use http::{HeaderMap, header};

use crate::problem::{Code, FieldError, Problem, Result};

/// Whether the character set that `Content-Type` declares is one that is read; none: UTF-8.
pub(crate) fn charset(headers: &HeaderMap) -> Result<()> {
    let Some(declared) = headers.get(header::CONTENT_TYPE).and_then(|value| declared(value.as_bytes())) else {
        return Ok(());
    };
    if ["utf-8", "utf8", "us-ascii", "ascii"].contains(&declared.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let shown: String = declared.chars().take(40).flat_map(char::escape_debug).collect();
    let detail =
        format!("charset={shown} is not read: save the file as UTF-8 and send it with charset=utf-8, or with none");
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

    fn said(kind: &str) -> Result<(), String> {
        let kind = HeaderValue::from_str(kind).unwrap();
        charset(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind)])).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn only_what_is_read_is_taken() {
        assert!(charset(&HeaderMap::new()).is_ok());
        for kind in [
            "text/csv",
            "text/csv; charset=utf-8",
            "text/csv;charset=\"UTF-8\"",
            "text/csv; header=present; Charset = us-ascii",
            "application/octet-stream",
        ] {
            assert_eq!(said(kind), Ok(()), "{kind}");
        }
        for (kind, name) in [
            ("text/csv; charset=iso-8859-1", "charset=iso-8859-1"),
            ("text/csv; charset=\"windows-1252\"", "charset=windows-1252"),
            ("application/json;charset=UTF-16LE", "charset=UTF-16LE"),
            ("text/csv; charset=", "charset="),
        ] {
            assert!(said(kind).unwrap_err().contains(name), "{kind}");
        }
    }
}
