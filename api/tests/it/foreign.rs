//! Files that are none of rows: refused as a whole, with a sentence that says what was found.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{Api, HEADER, api, file, json, problem, rows};

async fn refused(api: &Api, body: impl Into<reqwest::Body>) -> Value {
    let response = api.post("/v1/uploads?kind=debts").body(body).send().await.unwrap();
    let found = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    let detail = found["detail"].as_str().unwrap();
    assert!(!detail.contains(char::is_control), "{detail:?}");
    found
}

#[tokio::test]
async fn what_a_file_is_instead_is_named() {
    let api = api().await;
    for (file, said) in [
        (&include_bytes!("../files/debts.xlsx")[..], "is an Excel workbook (.xlsx)"),
        (include_bytes!("../files/debts.zip"), "is a ZIP archive"),
        (include_bytes!("../files/debts.csv.gz"), "send it with the header Content-Encoding: gzip"),
        (include_bytes!("../files/debts.pdf"), "is a PDF document"),
        (include_bytes!("../files/utf16-without-mark.csv"), "is UTF-16 without a byte order mark"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "a workbook of an old Excel (.xls)"),
        (b"<html><table><tr><td>name", "is an HTML or XML page"),
    ] {
        let found = refused(&api, file).await;
        assert_eq!(found["type"], "/problems/wrong-format");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
    }
    for (file, said) in [
        (&include_bytes!("../files/semicolon.csv")[..], "The fields are separated by semicolons (;)"),
        (include_bytes!("../files/semicolon-decimal-comma.csv"), "The fields are separated by semicolons (;)"),
        (include_bytes!("../files/tab.csv"), "The fields are separated by tabs"),
        (include_bytes!("../files/preamble.csv"), "Line 1 is not the header; line 4 looks like it"),
        (include_bytes!("../files/portuguese.csv"), "Did you mean nome for name, cpf for governmentId"),
        (include_bytes!("../files/array.json"), "without brackets around them"),
    ] {
        let found = refused(&api, file).await;
        assert_eq!(found["type"], "/problems/wrong-header");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
    }
    assert_eq!(api.json("/v1/uploads").await["items"], serde_json::json!([]), "nothing of them stays");
    for file in [&include_bytes!("../files/snake-case.csv")[..], include_bytes!("../files/zero-width.csv")] {
        json(api.post("/v1/uploads?kind=debts").body(file).send().await.unwrap(), StatusCode::ACCEPTED).await;
    }
}

#[tokio::test]
async fn a_file_of_one_byte_a_letter_is_refused_as_a_whole() {
    let api = api().await;
    let found = refused(&api, &include_bytes!("../files/latin1.csv")[..]).await;
    let detail = found["detail"].as_str().unwrap();
    assert!(detail.starts_with("The file is not UTF-8 but Windows-1252 or Latin-1: byte 0xE9 on line 2"), "{detail}");
    let upload = api.newest().await;
    assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("wrong_format")));
    // one damaged line of many is that line's matter
    let damaged =
        [file(200).as_bytes(), b"Jos\xe9,1,a@b.c,1,2024-01-01,00000000-0000-4000-8000-000000000000\n"].concat();
    json(api.post("/v1/uploads?kind=debts").body(damaged).send().await.unwrap(), StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn a_declared_character_set_that_is_not_read_is_said() {
    let api = api().await;
    let send = async |kind: &str| {
        let request = api.post("/v1/uploads?kind=debts&force=true").header("content-type", kind.to_owned());
        request.body(file(3)).send().await.unwrap()
    };
    for kind in ["text/csv; charset=UTF-8", "text/csv;charset=us-ascii", "text/csv"] {
        json(send(kind).await, StatusCode::ACCEPTED).await;
    }
    for kind in ["text/csv; charset=iso-8859-1", "text/csv; charset=\"windows-1252\""] {
        let found = problem(send(kind).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
        assert_eq!(found["type"], "/problems/unsupported-charset");
        let charset = kind.split('=').next_back().unwrap().trim_matches('"');
        assert!(found["detail"].as_str().unwrap().contains(charset), "{found}");
    }
}

#[tokio::test]
async fn a_part_of_a_form_says_how_its_file_is_named_and_written() {
    let api = api().await;
    let packed = {
        use tokio::io::AsyncReadExt as _;
        let plain = format!("{HEADER}{}", rows(20));
        let mut packed = Vec::new();
        let mut encoder = async_compression::tokio::bufread::GzipEncoder::new(plain.as_bytes());
        encoder.read_to_end(&mut packed).await.unwrap();
        packed
    };
    let send = async |head: &str, file: &[u8], kind_first: bool| {
        let kind = "--xx\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\ndebts\r\n";
        let part = format!("--xx\r\nContent-Disposition: form-data; name=\"file\"; {head}\r\n\r\n");
        let (before, behind) = if kind_first { (kind, "") } else { ("", kind) };
        let body = [before.as_bytes(), part.as_bytes(), file, b"\r\n", behind.as_bytes(), b"--xx--\r\n"].concat();
        let request = api.post("/v1/uploads").header("content-type", "multipart/form-data; boundary=xx");
        request.body(body).send().await.unwrap()
    };
    let gz = "filename=\"x.gz\"; filename*=UTF-8''d%C3%A9bitos.csv\r\nContent-Encoding: gzip";
    let upload = json(send(gz, &packed, true).await, StatusCode::ACCEPTED).await;
    assert_eq!((&upload["filename"], &upload["bytes"]), (&Value::from("débitos.csv"), &Value::from(file(20).len())));
    let upload = json(send("filename=\"a%22b.csv\"", file(3).as_bytes(), true).await, StatusCode::ACCEPTED).await;
    assert_eq!(upload["filename"], "a\"b.csv");

    let found = problem(send("filename=\"a.csv\"", file(3).as_bytes(), false).await, StatusCode::BAD_REQUEST).await;
    assert!(found["errors"][0]["detail"].as_str().unwrap().starts_with("missing before the part 'file'"), "{found}");
    let latin = "filename=\"a.csv\"\r\nContent-Type: text/csv; charset=iso-8859-1";
    problem(send(latin, file(3).as_bytes(), true).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    let brotli = "filename=\"a.csv\"\r\nContent-Encoding: br";
    problem(send(brotli, file(3).as_bytes(), true).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
}
