//! Files that are none of rows: told by how they begin.

/// So many bytes of a file are enough to tell that it is another kind of file…
pub const FEW: usize = 4;
/// …and so many, which.
pub const SOME: usize = 4096;

/// What a file is instead of CSV or lines of JSON. Says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// A workbook of Excel, as it is since 2007.
    #[error("the file is an Excel workbook (.xlsx): save it as \"CSV UTF-8 (Comma delimited)\" and send that")]
    Xlsx,
    /// A workbook, or a document, as Office wrote it before.
    #[error("the file is a workbook of an old Excel (.xls): save it as \"CSV UTF-8 (Comma delimited)\" and send that")]
    Xls,
    /// A table of LibreOffice.
    #[error("the file is an OpenDocument spreadsheet (.ods): save it as CSV, in UTF-8 with commas, and send that")]
    Ods,
    /// Some other archive.
    #[error("the file is a {0} archive: unpack it and send the CSV file that is in it")]
    Archive(&'static str),
    /// It is compressed, where nothing unpacks it.
    #[error("the file is compressed by {0}: send it with the header Content-Encoding: {0}, or unpack it")]
    Compressed(&'static str),
    /// It is compressed in a way that is not read.
    #[error("the file is compressed by {0}: unpack it, or compress it by gzip or zstd")]
    Packed(&'static str),
    /// A document.
    #[error("the file is a PDF document: export the table as CSV in UTF-8 and send that")]
    Pdf,
    /// A page.
    #[error("the file is an HTML or XML page: export the table as CSV in UTF-8 and send that")]
    Markup,
    /// Some other table.
    #[error("the file is {0}: export it as CSV in UTF-8 and send that")]
    Table(&'static str),
    /// A parameter says which part of the file is meant, and it has none.
    #[error("the file is {what}, so {parameter}= says nothing of it: leave it out", what = if *.0 == "sheet" { "no workbook" } else { "no ZIP archive" }, parameter = .0)]
    Whole(&'static str),
    /// An object of JSON around the records.
    #[error("the file is one JSON object whose member {0} is the array of records: send that array")]
    Member(String),
}

/// What the beginning of a file shows it to be; `None`: perhaps rows. With [`FEW`] bytes it is told whether, with
/// [`SOME`], or all of a shorter file, which.
#[must_use]
pub fn foreign(head: &[u8]) -> Option<Foreign> {
    let has = |word: &[u8]| head.windows(word.len()).any(|bytes| bytes == word);
    Some(match head {
        [b'P', b'K', 3 | 5, 4 | 6, ..] if has(b"mimetypeapplication/vnd.oasis") => Foreign::Ods,
        [b'P', b'K', 3 | 5, 4 | 6, ..] if has(b"[Content_Types].xml") || has(b"xl/") => Foreign::Xlsx,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Foreign::Archive("ZIP"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Foreign::Xls,
        [0x1f, 0x8b, 8, ..] => Foreign::Compressed("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Foreign::Compressed("zstd"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Foreign::Packed("bzip2"),
        [0xfd, b'7', b'z', b'X', ..] => Foreign::Packed("xz"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Foreign::Archive("7z"),
        [b'R', b'a', b'r', b'!', ..] => Foreign::Archive("RAR"),
        [b'%', b'P', b'D', b'F', ..] => Foreign::Pdf,
        [b'P', b'A', b'R', b'1', ..] => Foreign::Table("Parquet"),
        [b'<', ..] | [0xef, 0xbb, 0xbf, b'<', ..] => Foreign::Markup,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        for (head, what) in [
            (&b"PK\x03\x04\x14\0\0\0\x08\0......[Content_Types].xml"[..], Foreign::Xlsx),
            (b"PK\x03\x04\x14\0\0\0\x08\0......debts.csv", Foreign::Archive("ZIP")),
            (b"PK\x03\x04....mimetypeapplication/vnd.oasis.opendocument.spreadsheet", Foreign::Ods),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Foreign::Xls),
            (b"\x1f\x8b\x08\0", Foreign::Compressed("gzip")),
            (b"\x28\xb5\x2f\xfd", Foreign::Compressed("zstd")),
            (b"%PDF-1.7", Foreign::Pdf),
            (b"<!DOCTYPE html>", Foreign::Markup),
            (b"\xef\xbb\xbf<?xml", Foreign::Markup),
            (b"BZh9", Foreign::Packed("bzip2")),
        ] {
            assert_eq!(foreign(head).as_ref(), Some(&what), "{head:?}");
            let said = what.to_string();
            assert!(!said.chars().any(char::is_control) && said.len() < 200, "{said}");
            // FEW bytes tell whether
            assert!(foreign(&head[..FEW]).is_some(), "{head:?}");
        }
        for head in
            [&b""[..], b"name,governmentId", b"\xef\xbb\xbfname", b"{\"name\":1}", b"[{", b"PKG,x", b"\0\0\0\0", b"na"]
        {
            assert_eq!(foreign(head), None, "{head:?}");
        }
    }
}
