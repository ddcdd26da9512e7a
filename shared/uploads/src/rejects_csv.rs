//! Rejects as a file: what is wrong, and the record as it came, under the columns of the file.

use bytes::Bytes;
use futures::{Stream, stream};
use gristmill_pipelines::Delimiter;
use sqlx::PgPool;

use crate::{
    UploadId,
    read::{self, Header, RejectRow, Unkept},
    spreadsheet::Cells,
};

/// Rejects read at a time.
const PAGE: i64 = 500;

/// All rejects of an upload as a CSV file in UTF-8, with the delimiter of the upload's, page by page as it is read; with
/// `spreadsheet` one that a spreadsheet may open.
pub fn file(
    pool: PgPool,
    upload_id: UploadId,
    header: &Header,
    spreadsheet: bool,
) -> impl Stream<Item = Result<Bytes, sqlx::Error>> + use<> {
    // without a header the file is lines of JSON
    let sheet = Sheet { delimiter: header.delimiter, whole: header.raw.is_empty() };
    let mut first = Vec::new();
    sheet.push_fields(&mut first, ["line", "column", "reason", "message"]);
    let header = if sheet.whole { b"record" } else { header.raw.as_slice() };
    sheet.push_record(&mut first, header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header));
    let cells = spreadsheet.then(|| Cells::new(sheet.delimiter));
    stream::try_unfold((Some(0), first, cells), move |(after, mut text, mut cells)| {
        let pool = pool.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = read::rejects(&pool, upload_id, after, PAGE).await.inspect_err(|error| {
                // The answer has begun: all that is left is to break it off, and the client sees that.
                tracing::error!(%upload_id, %error, "rejects broken off");
            })?;
            page.iter().for_each(|reject| sheet.push(&mut text, reject));
            let next = page.last().filter(|_| page.len() as i64 == PAGE).map(|last| last.line);
            if next.is_none() {
                for unkept in read::unkept(&pool, upload_id).await? {
                    sheet.push_unkept(&mut text, &unkept);
                }
            }
            if let Some(cells) = &mut cells {
                text = cells.harmless(&text);
            }
            Ok(Some((Bytes::from(text), (next, Vec::new(), cells))))
        }
    })
}

/// How the file is written.
#[derive(Clone, Copy)]
struct Sheet {
    delimiter: Delimiter,
    /// The record is one field.
    whole: bool,
}

impl Sheet {
    fn push(self, text: &mut Vec<u8>, reject: &RejectRow) {
        let line = reject.line.to_string();
        let column = reject.column_name.as_deref().unwrap_or_default();
        self.push_fields(text, [&line, column, &reject.code, &reject.message()]);
        if self.whole {
            self.push_field(text, &reject.raw);
            text.push(b'\n');
        } else {
            self.push_record(text, &reject.raw);
        }
    }

    /// Records that were not kept: a line for all of one reason and column, without a line number.
    fn push_unkept(self, text: &mut Vec<u8>, unkept: &Unkept) {
        let message = format!("{} more such records were counted and not kept: the limit was reached", unkept.records);
        self.push_fields(text, ["", &unkept.column_name, &unkept.code, &message]);
        text.push(b'\n');
    }

    /// What stands before the record.
    fn push_fields(self, text: &mut Vec<u8>, fields: [&str; 4]) {
        for field in fields {
            self.push_field(text, field.as_bytes());
            text.push(self.delimiter.byte());
        }
    }

    fn push_field(self, text: &mut Vec<u8>, field: &[u8]) {
        let delimiter = self.delimiter.byte();
        if !field.iter().any(|b| *b == delimiter || matches!(b, b'"' | b'\n' | b'\r')) {
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
    fn push_record(self, text: &mut Vec<u8>, raw: &[u8]) {
        if raw.iter().filter(|b| **b == b'"').count() % 2 == 0 {
            text.extend_from_slice(raw);
        } else {
            let delimiter = self.delimiter.byte();
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(raw);
            let fields = reader
                .byte_records()
                .filter_map(Result::ok)
                .flat_map(|record| record.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            for (n, field) in fields.enumerate() {
                if n > 0 {
                    text.push(delimiter);
                }
                self.push_field(text, &field);
            }
        }
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use sqlx::types::Json;

    use super::*;
    use crate::read::Fault;

    fn rows(rejects: &[RejectRow]) -> Vec<Vec<String>> {
        of_a_file_with(Delimiter::Comma, rejects)
    }

    fn of_a_file_with(delimiter: Delimiter, rejects: &[RejectRow]) -> Vec<Vec<String>> {
        let sheet = Sheet { delimiter, whole: false };
        let mut text = Vec::new();
        sheet.push_fields(&mut text, ["line", "column", "reason", "message"]);
        sheet.push_record(&mut text, &[b'a', delimiter.byte(), b'b']);
        rejects.iter().for_each(|reject| sheet.push(&mut text, reject));
        let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter.byte()).from_reader(&text[..]);
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

    #[test]
    fn a_file_has_the_delimiter_of_the_upload() {
        for &delimiter in Delimiter::ALL {
            let record = ["1,50", "a;b", "\"open"].join(&char::from(delimiter.byte()).to_string());
            let found = of_a_file_with(delimiter, &[reject(2, "1,50; a|b\tc", record.as_bytes()), reject(3, "x", b"")]);
            assert_eq!(found[0][..4], ["2", "", "bad", "1,50; a|b\tc"], "{delimiter}");
            assert_eq!((found.len(), found[0].last().unwrap().as_str()), (2, "open"), "{delimiter}");
        }
    }
}
