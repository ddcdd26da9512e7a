//! Archives and workbooks: the table in them is the file.

use std::io::{Cursor, Write as _};

use reqwest::{Response, StatusCode};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::{Value, json};
use uuid::Uuid;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::support::{Api, HEADER, api, api_with, file, json, problem, rows};

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A workbook with a title above its header, whose sheets have so many debts each.
fn workbook(sheets: &[(&str, u32)]) -> Vec<u8> {
    let (mut book, mut key) = (Workbook::new(), 0_u128);
    let day = Format::new().set_num_format("dd/mm/yyyy");
    for (name, debts) in sheets {
        let sheet = book.add_worksheet().set_name(*name).unwrap();
        sheet.write(0, 0, "Cobranças").unwrap();
        for (column, header) in (0..).zip(HEADER.trim().split(',')) {
            sheet.write(2, column, header).unwrap();
        }
        for row in 3..3 + debts {
            key += 1;
            sheet.write(row, 0, "José Conceição").unwrap();
            sheet.write(row, 1, 9558).unwrap();
            sheet.write(row, 2, "jose@example.com").unwrap();
            sheet.write(row, 3, 1234.5).unwrap();
            sheet.write_with_format(row, 4, ExcelDateTime::from_ymd(2030, 1, 31).unwrap(), &day).unwrap();
            sheet.write(row, 5, Uuid::from_u128(key).to_string()).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

async fn send(api: &Api, more: &str, body: impl Into<reqwest::Body>) -> Response {
    api.post(&format!("/v1/uploads?kind=debts{more}")).body(body).send().await.unwrap()
}

async fn accepted(api: &Api, more: &str, body: impl Into<reqwest::Body>) -> Value {
    json(send(api, more, body).await, StatusCode::ACCEPTED).await
}

async fn refused(api: &Api, more: &str, body: impl Into<reqwest::Body>) -> Value {
    problem(send(api, more, body).await, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// What chunks and header of an upload add up to.
async fn covered(api: &Api, upload: &Value) -> (i64, i64) {
    let sql = "select coalesce(u.text_bytes, u.bytes), u.header_bytes + (select sum(bytes)::bigint from chunks where upload_id = u.id)
               from uploads u where id::text = $1";
    sqlx::query_as(sql).bind(upload["id"].as_str().unwrap()).fetch_one(&api.stack.pool).await.unwrap()
}

#[tokio::test]
async fn a_workbook_is_read_as_its_only_sheet_with_rows() {
    let api = api().await;
    let book = workbook(&[("Jan", 3), ("Vazia", 0)]);
    // Its other sheet has a header, too.
    let asked = refused(&api, "", book.clone()).await;
    assert_eq!(asked["type"], "/problems/ambiguous-file");
    assert_eq!(asked["detail"], "The workbook has 2 sheets with rows: Jan, Vazia. Send sheet= with one of them.");
    assert_eq!(asked["questions"][0]["parameter"], "sheet");
    assert_eq!(asked["questions"][0]["choices"], json!(["Jan", "Vazia"]));

    let upload = accepted(&api, "&sheet=Jan&filename=jan.xlsx", book.clone()).await;
    assert_eq!(upload["bytes"], book.len());
    assert_eq!(upload["state"], "processing");
    let dialect = &upload["dialect"];
    assert_eq!((&dialect["container"], &dialect["sheet"]), (&json!("xlsx"), &json!("Jan")));
    assert_eq!((&dialect["header_line"], &dialect["said"]), (&json!(3), &json!(["sheet"])));
    let (text, parts) = covered(&api, &upload).await;
    assert_eq!(text, parts);

    // The same by another word for it is the same rows, and another request.
    let other = accepted(&api, "&sheet=%231", book.clone()).await;
    assert_ne!(other["id"], upload["id"]);
    let none = refused(&api, "&sheet=Mar", book.clone()).await;
    assert_eq!(none["detail"], "The workbook has no sheet 'Mar'; it has Jan, Vazia.");
    let checked = json(send(&api, "&sheet=Jan&dry_run=true", book).await, StatusCode::OK).await;
    assert_eq!((&checked["good"], &checked["dialect"]["sheet"]), (&json!(3), &json!("Jan")), "{checked}");
}

#[tokio::test]
async fn what_people_send_is_read() {
    let api = api().await;
    let book = &include_bytes!("../files/debts.xlsx")[..];
    let upload = accepted(&api, "", book).await;
    assert_eq!(upload["dialect"]["container"], "xlsx");
    let archive = &include_bytes!("../files/debts.zip")[..];
    let upload = accepted(&api, "", archive).await;
    assert_eq!(upload["dialect"]["container"], "zip");
    assert_eq!(upload["bytes"], archive.len());
}

#[tokio::test]
async fn an_archive_is_read_as_its_only_file_of_rows() {
    let api = api().await;
    let csv = file(4);
    let upload = accepted(&api, "", zip(&[("2030/a.csv", csv.as_bytes()), ("nota.pdf", b"%PDF")])).await;
    let dialect = &upload["dialect"];
    assert_eq!((&dialect["container"], &dialect["entry"]), (&json!("zip"), &json!("2030/a.csv")));
    let (text, parts) = covered(&api, &upload).await;
    assert_eq!((text, parts), (csv.len() as i64, csv.len() as i64));

    let two = zip(&[("a.csv", file(5).as_bytes()), ("b.json", b"[]")]);
    let asked = refused(&api, "", two.clone()).await;
    assert_eq!(asked["questions"][0]["choices"], json!(["a.csv", "b.json"]));
    let upload = accepted(&api, "&entry=a.csv", two.clone()).await;
    assert_eq!(upload["dialect"]["said"], json!(["entry"]));
    assert_eq!(refused(&api, "&entry=b.json", two).await["type"], "/problems/empty-file");
    // Its characters and its delimiter are found as those of any file.
    let latin = HEADER.replace(',', ";").into_bytes();
    let row = b"Jos\xe9;9558;a@b.c;10,50;31/12/2030;00000000-0000-4000-8000-000000000009\n".to_vec();
    let upload = accepted(&api, "", zip(&[("c.txt", &[latin, row].concat())])).await;
    assert_eq!(upload["dialect"]["encoding"], "windows-1252");
    assert_eq!(upload["dialect"]["delimiter"], ";");
}

#[tokio::test]
async fn the_same_archive_again_is_the_first_upload() {
    let api = api().await;
    let book = workbook(&[("Jan", 3)]);
    let first = accepted(&api, "", book.clone()).await;
    let complete = "update uploads set state = 'completed', completed_at = now()";
    sqlx::query(complete).execute(&api.stack.pool).await.unwrap();
    let again = json(send(&api, "", book.clone()).await, StatusCode::OK).await;
    assert_eq!(first["id"], again["id"]);
    let keyed =
        || api.post("/v1/uploads?kind=debts&force=true").header("idempotency-key", "k").body(book.clone()).send();
    let one = json(keyed().await.unwrap(), StatusCode::ACCEPTED).await;
    let two = json(keyed().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!(one["id"], two["id"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_nothing_of_it_stays() {
    let api = api_with(|config| config.limits.max_container_bytes = 100_000).await;
    let book = workbook(&[("Jan", 3)]);
    let archive = zip(&[("a.csv", file(3).as_bytes())]);
    for (more, body, kind, said) in [
        ("", archive[..archive.len() / 2].to_vec(), "bad-container", "damaged or was cut off"),
        ("", zip(&[("x.pdf", b"%PDF")]), "bad-container", "no file of rows, but x.pdf"),
        ("", zip(&[]), "empty-file", "The ZIP archive is empty."),
        (
            "&delimiter=;",
            book.clone(),
            "bad-container",
            "The file is a workbook, and delimiter= says how a text is written",
        ),
        ("&encoding=utf-8", book.clone(), "bad-container", "and encoding= says"),
        ("&entry=a.csv", book.clone(), "bad-container", "send sheet="),
        (
            "&sheet=Jan",
            file(3).into_bytes(),
            "wrong-format",
            "The file is no workbook, so sheet= says nothing of it: leave it out.",
        ),
        (
            "&entry=a.csv",
            file(3).into_bytes(),
            "wrong-format",
            "The file is no ZIP archive, so entry= says nothing of it",
        ),
        ("", zip(&[("a.csv", b"x,y\n1,2\n")]), "wrong-header", "governmentId"),
    ] {
        for dry in ["", "&dry_run=true"] {
            let found = refused(&api, &format!("{more}{dry}"), body.clone()).await;
            assert_eq!(found["type"], format!("/problems/{kind}"), "{found}");
            assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
        }
    }
    let large: Vec<u8> = (0..30_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let response = send(&api, "", zip(&[("a.csv", &large)])).await;
    let found = problem(response, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(found["detail"].as_str().unwrap().contains("more than 100000 bytes"), "{found}");
    assert_eq!(api.json("/v1/uploads").await["items"], json!([]));
}

#[tokio::test]
async fn what_is_under_way_counts_as_text() {
    let csv = file(1_000);
    let archive = |more: &str| zip(&[("a.csv", (csv.clone() + more).as_bytes())]);
    let limit = csv.len() as u64 * 3 / 2;
    assert!(archive("").len() as u64 * 4 < limit, "it is packed well");
    let api = api_with(|config| config.limits.max_bytes_under_way = limit).await;
    accepted(&api, "", archive("")).await;
    let response = send(&api, "", archive("\n")).await;
    let found = problem(response, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(found["type"], "/problems/too-much-under-way");
}

#[tokio::test]
async fn a_bomb_is_stopped_and_fails_its_upload() {
    let api = api().await;
    let bomb = zip(&[("a.csv", &[HEADER.as_bytes(), &vec![b'\n'; 32 << 20]].concat())]);
    for more in ["", "&dry_run=true"] {
        let found = refused(&api, more, bomb.clone()).await;
        assert_eq!(found["type"], "/problems/bad-container");
        assert!(found["detail"].as_str().unwrap().contains("more than 200 times as large"), "{found}");
    }
    let upload = api.newest().await;
    assert_eq!((&upload["state"], &upload["reason"]), (&json!("failed"), &json!("bad_container")));
}

#[tokio::test]
async fn more_than_are_read_at_once_wait_for_their_turn() {
    let api = api().await;
    let all = (0..12_u128).map(|n| {
        let csv = file(50).replace("00000000-0000", &format!("00000000-{n:04}"));
        let body = if n % 2 == 0 { zip(&[("a.csv", csv.as_bytes())]) } else { workbook(&[("Jan", n as u32)]) };
        send(&api, "&force=true", body)
    });
    for response in futures::future::join_all(all).await {
        json(response, StatusCode::ACCEPTED).await;
    }
}

#[tokio::test]
async fn no_room_for_more_is_said_with_a_time() {
    let api = api_with(|config| config.limits.max_spool_bytes = 0).await;
    let response = send(&api, "", workbook(&[("Jan", 1)])).await;
    assert_eq!(response.headers()["retry-after"], "60");
    let found = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(found["type"], "/problems/spool-full");
    accepted(&api, "", HEADER.to_owned() + &rows(3)).await;
}

#[tokio::test]
async fn an_archive_that_is_found_bad_late_fails_its_upload() {
    let api = api_with(|config| config.limits.chunk_bytes = 1 << 14).await;
    let mut archive = zip(&[("a.csv", file(20_000).as_bytes())]);
    let directory = archive.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    // Its checksum, which is compared at its end.
    archive[directory + 16] ^= 1;
    let found = refused(&api, "", archive).await;
    assert_eq!(found["type"], "/problems/bad-container");
    let upload = api.newest().await;
    assert_eq!((&upload["state"], &upload["reason"]), (&json!("failed"), &json!("bad_container")));
    assert_eq!(found["upload_id"], "[upload id]");
}
