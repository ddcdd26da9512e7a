//! What a part of a form calls its file.

use http::{HeaderMap, header};

/// The name in `Content-Disposition`: `filename*` (RFC 5987, in UTF-8) before `filename`, in which browsers write a quote
/// as `%22`.
pub(super) fn filename(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(header::CONTENT_DISPOSITION)?.as_bytes()).into_owned();
    let parameters = parameters(&value);
    let named =
        |wanted: &str| parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    named("filename*")
        .and_then(|value| extended(value))
        .or_else(|| named("filename").map(|name| name.replace("%22", "\"")))
}

/// Names and values, the latter without quotes and escapes.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = behind.find(';').unwrap_or(behind.len());
                (behind[..end].trim().to_owned(), &behind[end..])
            }
        };
        found.push((name.trim().trim_start_matches(';').trim().to_owned(), value));
        rest = behind.find(';').map_or("", |end| &behind[end + 1..]);
    }
    found
}

/// A value up to its closing quote, and what stands behind that.
fn unquoted(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, char) in text.char_indices() {
        match char {
            // old browsers wrote whole paths: only a quote and a backslash are ever escaped
            '"' if !escaped => return (value, &text[at + 1..]),
            '\\' if !escaped => escaped = true,
            char => {
                if escaped && !matches!(char, '"' | '\\') {
                    value.push('\\');
                }
                value.push(char);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// `UTF-8'language'percent-encoded`.
fn extended(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => 16 * hex(rest.next()?)? + hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn names_are_read_as_they_are_meant() {
        for (value, name) in [
            ("form-data; name=\"file\"", None),
            ("form-data; name=\"file\"; filename=\"debts.csv\"", Some("debts.csv")),
            ("form-data; name=file; filename=debts.csv", Some("debts.csv")),
            ("form-data; name=\"file\"; filename=\"a%22b.csv\"", Some("a\"b.csv")),
            ("form-data; name=\"file\"; filename=\"a\\\"b; c.csv\"", Some("a\"b; c.csv")),
            ("form-data; name=\"file\"; filename=\"C:\\temp\\a.csv\"", Some("C:\\temp\\a.csv")),
            ("form-data; name=\"file\"; filename*=UTF-8''d%C3%A9bitos.csv", Some("débitos.csv")),
            (
                "form-data; filename=\"x.csv\"; filename*=utf-8'pt'd%c3%a9bitos%20a.csv; name=\"file\"",
                Some("débitos a.csv"),
            ),
            ("form-data; filename=\"x.csv\"; filename*=UTF-8''%ff; name=\"file\"", Some("x.csv")),
            ("form-data; filename=\"x.csv\"; filename*=UTF-8''%4; name=\"file\"", Some("x.csv")),
            ("form-data; filename=\"x.csv\"; filename*=iso-8859-1''d%e9bitos.csv", Some("x.csv")),
        ] {
            let header = HeaderMap::from_iter([(header::CONTENT_DISPOSITION, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(filename(&header).as_deref(), name, "{value}");
        }
        let raw = HeaderValue::from_bytes("form-data; name=\"file\"; filename=\"débitos.csv\"".as_bytes()).unwrap();
        let header = HeaderMap::from_iter([(header::CONTENT_DISPOSITION, raw)]);
        assert_eq!(filename(&header).as_deref(), Some("débitos.csv"));
    }
}
