//! Rejects as a file: what is wrong, and the record as it came, under the columns of the file.

use bytes::Bytes;
use futures::{Stream, stream};
use sqlx::PgPool;

use crate::{
    UploadId,
    read::{self, RejectRow, Unkept},
    spreadsheet::Cells,
};

/// Rejects read at a time.
const PAGE: i64 = 500;

/// All rejects of an upload as a CSV file, page by page as it is read; with `spreadsheet` one that a spreadsheet may open
/// ([`Cells`]).
pub fn file(
    pool: PgPool,
    upload_id: UploadId,
    header: &[u8],
    spreadsheet: bool,
) -> impl Stream<Item = Result<Bytes, sqlx::Error>> + use<> {
    // without a header the file is lines of JSON
    let whole = header.is_empty();
    let mut first = b"line,column,reason,message,".to_vec();
    let header = if whole { b"record" } else { header };
    push_record(&mut first, header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header));
    let cells = spreadsheet.then(Cells::default);
    stream::try_unfold((Some(0), first, cells), move |(after, mut text, mut cells)| {
        let pool = pool.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = read::rejects(&pool, upload_id, after, PAGE).await.inspect_err(|error| {
                // The answer has begun: all that is left is to break it off, and the client sees that.
                tracing::error!(%upload_id, %error, "rejects broken off");
            })?;
            page.iter().for_each(|reject| push(&mut text, reject, whole));
            let next = page.last().filter(|_| page.len() as i64 == PAGE).map(|last| last.line);
            if next.is_none() {
                for unkept in read::unkept(&pool, upload_id).await? {
                    push_unkept(&mut text, &unkept);
                }
            }
            if let Some(cells) = &mut cells {
                text = cells.harmless(&text);
            }
            Ok(Some((Bytes::from(text), (next, Vec::new(), cells))))
        }
    })
}

/// `whole`: the record is one field.
fn push(text: &mut Vec<u8>, reject: &RejectRow, whole: bool) {
    let line = reject.line.to_string();
    let column = reject.column_name.as_deref().unwrap_or_default();
    for field in [&line, column, &reject.code, &reject.message()] {
        push_field(text, field.as_bytes());
        text.push(b',');
    }
    if whole {
        push_field(text, &reject.raw);
        text.push(b'\n');
    } else {
        push_record(text, &reject.raw);
    }
}

/// Records that were not kept: a line for all of one reason and column, without a line number.
fn push_unkept(text: &mut Vec<u8>, unkept: &Unkept) {
    let message = format!("{} more such records were counted and not kept: the limit was reached", unkept.records);
    for field in ["", &unkept.column_name, &unkept.code, &message] {
        push_field(text, field.as_bytes());
        text.push(b',');
    }
    text.push(b'\n');
}

fn push_field(text: &mut Vec<u8>, field: &[u8]) {
    if !field.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
        return text.extend_from_slice(field);
    }
    text.push(b'"');
    for &b in field {
        if b == b'"' {
            text.push(b'"');
        }
        text.push(b);
    }
    text.push(b'"');
}

/// The record as it came. One whose quotes do not pair up would swallow the lines after it, so it is quoted anew.
fn push_record(text: &mut Vec<u8>, raw: &[u8]) {
    if raw.iter().filter(|b| **b == b'"').count() % 2 == 0 {
        text.extend_from_slice(raw);
    } else {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(raw);
        let fields = reader
            .byte_records()
            .filter_map(Result::ok)
            .flat_map(|record| record.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
        for (n, field) in fields.enumerate() {
            if n > 0 {
                text.push(b',');
            }
            push_field(text, &field);
        }
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use sqlx::types::Json;

    use super::*;
    use crate::read::Fault;

    fn rows(rejects: &[RejectRow]) -> Vec<Vec<String>> {
        let mut text = b"line,column,reason,message,a,b\n".to_vec();
        rejects.iter().for_each(|reject| push(&mut text, reject, false));
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&text[..]);
        reader
            .byte_records()
            .map(|row| row.unwrap().iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect())
            .collect()
    }

    fn reject(line: i64, message: &str, raw: &[u8]) -> RejectRow {
        RejectRow {
            upload_id: uuid::Uuid::nil().into(),
            line,
            column_name: None,
            code: "bad".to_owned(),
            message: Some(message.to_owned()),
            other_faults: None,
            raw: raw.to_vec(),
            first_upload_id: None,
            first_line: None,
            differs: None,
        }
    }

    #[test]
    fn all_faults_of_a_record_are_in_its_message() {
        let fault = |message: &str| Fault { column: None, code: "bad".to_owned(), message: message.to_owned() };
        let others = Some(Json(vec![fault("a is 2"), fault("b is \"x\"")]));
        let found = rows(&[RejectRow { other_faults: others, ..reject(2, "it is 1", b"1,2") }]);
        assert_eq!(found[0][..5], ["2", "", "bad", "it is 1. Also: a is 2; b is \"x\"", "1"]);
    }

    #[test]
    fn columns_align_and_no_record_swallows_another() {
        let found = rows(&[
            reject(2, "plain", b"1,2"),
            reject(3, "a \"quoted\", message", b"\"x, y\",\"two\nlines\""),
            reject(4, "never closed", b"1,\"open"),
            reject(5, "not UTF-8", b"\xff,2"),
            reject(6, "a quote inside", b"it\"s,2"),
            reject(7, "last", b"1,2"),
        ]);
        insta::assert_debug_snapshot!(found);
    }
}
