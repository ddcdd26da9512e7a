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
        (&b"BZh91AY&SY"[..], "is compressed by bzip2: unpack it, or compress it by gzip or zstd"),
        (include_bytes!("../files/debts.pdf"), "is a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "a workbook of an old Excel (.xls)"),
        (b"<html><table><tr><td>name", "is an HTML or XML page"),
    ] {
        let found = refused(&api, file).await;
        assert_eq!(found["type"], "/problems/wrong-format");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
    }
    let array = include_str!("../files/array.json");
    let found = refused(&api, format!("{{\"data\":{array}}}")).await;
    assert_eq!(found["type"], "/problems/wrong-format");
    assert_eq!(
        found["detail"],
        "The file is one JSON object whose member data is the array of records: send that array."
    );
    assert_eq!(api.json("/v1/uploads").await["items"], serde_json::json!([]), "nothing of them stays");
    for file in [
        &include_bytes!("../files/snake-case.csv")[..],
        include_bytes!("../files/zero-width.csv"),
        include_bytes!("../files/debts.csv.gz"),
    ] {
        json(api.post("/v1/uploads?kind=debts").body(file).send().await.unwrap(), StatusCode::ACCEPTED).await;
    }
}

#[tokio::test]
async fn an_array_of_json_is_read_as_lines() {
    let api = api().await;
    let array = &include_bytes!("../files/array.json")[..];
    let upload = json(api.post("/v1/uploads?kind=debts").body(array).send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!(upload["dialect"]["container"], "json array");
    assert_eq!(upload["bytes"], array.len());
    let found = refused(&api, "[ ]\n").await;
    assert_eq!(found["type"], "/problems/empty-file");
}

#[tokio::test]
async fn a_file_in_two_encodings_is_refused_as_a_whole() {
    let api = api().await;
    let utf8 = file(3).replace("Elijah", "José");
    let western = b"Jos\xe9,1,a@b.c,1,2024-01-01,00000000-0000-4000-8000-000000000000\n".repeat(3);
    let found = refused(&api, [utf8.as_bytes(), &western].concat()).await;
    assert_eq!(found["type"], "/problems/wrong-format");
    let detail = found["detail"].as_str().unwrap();
    assert!(detail.starts_with("The file has two encodings: line 2 is UTF-8 and line 5 is Windows-1252"), "{detail}");
    assert_eq!(api.json("/v1/uploads?state=processing").await["items"], serde_json::json!([]));
    // one damaged line of many is that line's matter
    let damaged = file(200).replace("Elijah", "José");
    let damaged = [damaged.as_bytes(), b"Jos\xe9,1,a@b.c,1,2024-01-01,00000000-0000-4000-8000-000000000000\n"].concat();
    let upload =
        json(api.post("/v1/uploads?kind=debts").body(damaged).send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert!(upload.get("dialect").is_none_or(|dialect| dialect["encoding"] == "utf-8"), "{upload}");
}

#[tokio::test]
async fn a_declared_character_set_that_is_not_read_is_said() {
    let api = api().await;
    let send = async |kind: &str| {
        let request = api.post("/v1/uploads?kind=debts&force=true").header("content-type", kind.to_owned());
        request.body(file(3)).send().await.unwrap()
    };
    for kind in [
        "text/csv; charset=UTF-8",
        "text/csv;charset=us-ascii",
        "text/csv",
        "text/csv; charset=iso-8859-1",
        "text/csv; charset=\"windows-1252\"",
    ] {
        json(send(kind).await, StatusCode::ACCEPTED).await;
    }
    for kind in ["text/csv; charset=klingon", "text/csv; charset=\"iso-2022-jp\""] {
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
    let klingon = "filename=\"a.csv\"\r\nContent-Type: text/csv; charset=klingon";
    problem(send(klingon, file(3).as_bytes(), true).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    let brotli = "filename=\"a.csv\"\r\nContent-Encoding: br";
    problem(send(brotli, file(3).as_bytes(), true).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
}
