//! Files that are written in other ways than ours: their rows are what they say, in every chunk.

use std::io::{Cursor, Write as _};

use gristmill_pipelines::{Container, DateOrder, Decimal, Delimiter, Said, charset::Charset};
use gristmill_uploads::{NewUpload, Policy, Rows, State, UploadId, read};
use jiff::civil::{Date, date};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::harness::{Harness, accepted};

/// What the table has of a debt, and its line.
type Debt = (i64, String, i64, Date);

async fn debts(harness: &Harness, id: UploadId) -> Vec<Debt> {
    let rows: Vec<(i64, String, i64, jiff_sqlx::Date)> =
        sqlx::query_as("select line, name, amount_minor, due_date from debts where upload_id = $1 order by line")
            .bind(id)
            .fetch_all(&harness.stack.pool)
            .await
            .unwrap();
    rows.into_iter().map(|(line, name, amount, due)| (line, name, amount, due.to_jiff())).collect()
}

/// As a bank in Brazil writes it.
fn row(key: u64, date: &str) -> String {
    format!("José Conceição;1234;jose@example.com;1.234,56;{date};00000000-0000-4000-8000-{key:012x}\r\n")
}

fn in_1252(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
}

const HEADER: &str = "name;governmentId;email;debtAmount;debtDueDate;debtId\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_what_the_file_says_wherever_chunks_are_cut() {
    let text = [
        "Relatório de cobrança\r\n",
        HEADER,
        &row(1, "31/01/2030"),
        &row(2, "01/02/2030"),
        "José;1234;jose@example.com;10,5x;01/02/2030;00000000-0000-4000-8000-000000000009\r\n",
        &row(3, "05/05/2030"),
        &row(1, "31/01/2030"),
    ]
    .concat();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (file, charset) in
        [(in_1252(&text), Charset::Windows1252), (text.clone().into_bytes(), Charset::Utf8), (utf16, Charset::Utf16Le)]
    {
        for chunk_bytes in [150, 8 << 20] {
            let harness = Harness::new(chunk_bytes).await;
            let upload = harness.run_file(&file).await;
            assert_eq!(upload.state, State::Completed, "{charset}: {:?}", upload.detail);
            let rows = Rows { read: 5, accepted: 3, rejected: 1, duplicate: 1, ..Rows::default() };
            assert_eq!((upload.rows, upload.bytes), (rows, file.len() as i64), "{charset}");
            let debt = |line: i64, month, day| (line, "José Conceição".to_owned(), 123_456, date(2030, month, day));
            assert_eq!(debts(&harness, upload.id).await, [debt(3, 1, 31), debt(4, 2, 1), debt(6, 5, 5)], "{charset}");
            let rejects = harness.rejects(upload.id).await;
            assert_eq!((rejects[0].line, rejects[0].code.as_str()), (5, "bad_amount"));
            assert!(rejects[0].raw.starts_with("José;1234;".as_bytes()), "as it came, in UTF-8");

            let dialect = upload.dialect.as_ref().expect("it is not plain");
            assert_eq!((dialect.encoding, dialect.delimiter), (charset, Some(Delimiter::Semicolon)));
            assert_eq!((dialect.decimal, dialect.dates), (Some(Decimal::Comma), Some(DateOrder::Dmy)));
            assert_eq!(dialect.header_line, 2);
            let receipt = read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
            assert_eq!((receipt.bytes, receipt.dialect.as_ref()), (upload.bytes, Some(dialect)));
            let bytes = receipt.header_bytes + receipt.chunks.iter().map(|chunk| chunk.bytes).sum::<i64>();
            assert_eq!((bytes, receipt.text_bytes.unwrap_or(receipt.bytes)), (text.len() as i64, text.len() as i64));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_of_an_array_are_its_lines() {
    let object = |key: u64| {
        format!(
            "{{\r\n  \"name\": \"José\",\r\n  \"governmentId\": \"1234\",\r\n  \"email\": \"jose@example.com\",\r\n  \
             \"debtAmount\": 10.5,\r\n  \"debtDueDate\": \"2030-01-31\",\r\n  \
             \"debtId\": \"00000000-0000-4000-8000-{key:012x}\"\r\n}}"
        )
    };
    let file = format!("[\r\n{},\r\n17,\r\n{}\r\n]\r\n", object(1), object(2)).into_bytes();
    for chunk_bytes in [150, 8 << 20] {
        let harness = Harness::new(chunk_bytes).await;
        let upload = harness.run_file(&file).await;
        assert_eq!(upload.state, State::Completed, "{:?}", upload.detail);
        let rows = Rows { read: 3, accepted: 2, rejected: 1, ..Rows::default() };
        assert_eq!((upload.rows, upload.bytes), (rows, file.len() as i64));
        let debt = |line: i64| (line, "José".to_owned(), 1_050, date(2030, 1, 31));
        assert_eq!(debts(&harness, upload.id).await, [debt(1), debt(3)]);
        let rejects = harness.rejects(upload.id).await;
        assert_eq!((rejects[0].line, rejects[0].code.as_str(), &rejects[0].raw[..]), (2, "bad_json", &b"17"[..]));
        let dialect = upload.dialect.as_ref().expect("it is not plain");
        assert_eq!((dialect.container, dialect.delimiter), (Some(Container::JsonArray), None));
        let receipt = read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
        let bytes = receipt.header_bytes + receipt.chunks.iter().map(|chunk| chunk.bytes).sum::<i64>();
        assert_eq!(receipt.text_bytes, Some(bytes), "the blanks between the words are gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_that_are_read_otherwise_are_other_rows() {
    for chunk_bytes in [150, 8 << 20] {
        let harness = Harness::new(chunk_bytes).await;
        let text = (1..=4).fold(HEADER.to_owned(), |text, key| text + &row(key, "01/02/2030"));
        let said = |dates| NewUpload {
            said: Said { dates: Some(dates), ..Said::default() },
            ..harness.new_upload(Policy::Partial)
        };
        let first = accepted(harness.receive(said(DateOrder::Dmy), &text).await);
        harness.drain().await;
        let second = accepted(harness.receive(said(DateOrder::Mdy), &text).await);
        harness.drain().await;
        assert!(debts(&harness, first.id).await.iter().all(|debt| debt.3 == date(2030, 2, 1)));
        let rows = Rows { read: 4, duplicate: 4, conflicting_duplicate: 4, ..Rows::default() };
        assert_eq!(harness.find(second.id).await.rows, rows, "each of them has another date");
    }
}

/// Debts as a workbook: amounts and days are typed, but one amount, which is text with a decimal comma.
fn workbook() -> Vec<u8> {
    let (mut book, day) = (Workbook::new(), Format::new().set_num_format("m/d/yy"));
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "Relatório").unwrap();
    for (column, name) in (0..).zip(HEADER.trim().split(';')) {
        sheet.write(1, column, name).unwrap();
    }
    for row in 2..8_u32 {
        sheet.write(row, 0, "José \"Zé\", Conceição").unwrap();
        sheet.write(row, 1, 1234).unwrap();
        sheet.write(row, 2, "jose@example.com").unwrap();
        match row {
            4 => sheet.write(row, 3, "1.234,56").unwrap(),
            5 => sheet.write(row, 3, "#").unwrap(),
            _ => sheet.write(row, 3, 1234.56).unwrap(),
        };
        sheet.write_with_format(row, 4, ExcelDateTime::from_ymd(2030, 2, 1).unwrap(), &day).unwrap();
        sheet.write(row, 5, format!("00000000-0000-4000-8000-{:012x}", row % 5)).unwrap();
    }
    book.save_to_buffer().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_sheet_are_its_lines() {
    let file = workbook();
    for chunk_bytes in [150, 8 << 20] {
        let harness = Harness::new(chunk_bytes).await;
        let upload = harness.run_file(&file).await;
        assert_eq!(upload.state, State::Completed, "{:?}", upload.detail);
        // Rows 3 and 8, and no others, are of one key.
        let rows = Rows { read: 6, accepted: 4, rejected: 1, duplicate: 1, ..Rows::default() };
        assert_eq!((upload.rows, upload.bytes), (rows, file.len() as i64));
        let debt = |line: i64| (line, "José \"Zé\", Conceição".to_owned(), 123_456, date(2030, 2, 1));
        assert_eq!(debts(&harness, upload.id).await, [debt(3), debt(4), debt(5), debt(7)]);
        let rejects = harness.rejects(upload.id).await;
        assert_eq!((rejects[0].line, rejects[0].code.as_str()), (6, "bad_amount"));
        let dialect = upload.dialect.as_ref().expect("it is not plain");
        assert_eq!((dialect.container, dialect.sheet.as_deref()), (Some(Container::Xlsx), Some("Sheet1")));
        assert_eq!((dialect.decimal, dialect.header_line), (Some(Decimal::Comma), 2));
        let receipt = read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
        let bytes = receipt.header_bytes + receipt.chunks.iter().map(|chunk| chunk.bytes).sum::<i64>();
        assert_eq!(receipt.text_bytes, Some(bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_an_archive_is_read_as_one_of_its_own() {
    let text = [HEADER, &row(1, "31/01/2030"), &row(2, "01/02/2030"), &row(3, "1/2")].concat();
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("jan/dividas.txt", SimpleFileOptions::default()).unwrap();
    archive.write_all(&in_1252(&text)).unwrap();
    let file = archive.finish().unwrap().into_inner();
    for chunk_bytes in [150, 8 << 20] {
        let harness = Harness::new(chunk_bytes).await;
        let upload = harness.run_file(&file).await;
        assert_eq!(upload.state, State::Completed, "{:?}", upload.detail);
        let rows = Rows { read: 3, accepted: 2, rejected: 1, ..Rows::default() };
        assert_eq!((upload.rows, upload.bytes), (rows, file.len() as i64));
        assert_eq!(debts(&harness, upload.id).await.len(), 2);
        let dialect = upload.dialect.as_ref().expect("it is not plain");
        assert_eq!((dialect.container, dialect.encoding), (Some(Container::Zip), Charset::Windows1252));
        assert_eq!(dialect.entry.as_deref(), Some("jan/dividas.txt"));
        let receipt = read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
        assert_eq!(receipt.text_bytes, Some(text.len() as i64));
    }
}
