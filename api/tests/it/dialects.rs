//! Files that are written in other ways than ours: read as they are, and asked about where nothing in them says how.

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Api, HEADER, api, file, json, problem};

const LATIN: &[u8] = include_bytes!("../files/latin1.csv");
const SEMICOLON: &str = include_str!("../files/semicolon.csv");

/// A debt of this key, with these fields between.
fn debt(key: u128, amount: &str, date: &str) -> String {
    format!("Ana Lima,9558,ana@example.com,{amount},{date},{}\n", Uuid::from_u128(key))
}

/// A file with dates that can be read in two ways, all of them.
fn open_dates() -> String {
    [HEADER, &debt(1, "10", "01/02/2030"), &debt(2, "10", "03/04/2030"), &debt(3, "10", "01/02/2030")].concat()
}

fn utf16(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// Sends a file of debts with further parameters and a `Content-Type`.
async fn send(api: &Api, more: &str, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    let request = api.post(&format!("/v1/uploads?kind=debts{more}")).header("content-type", kind.to_owned());
    request.body(body).send().await.unwrap()
}

async fn taken(api: &Api, more: &str, body: impl Into<reqwest::Body>) -> Value {
    json(send(api, more, "text/csv", body).await, StatusCode::ACCEPTED).await
}

/// Whether something of a file waits for workers, or still arrives.
async fn nothing_is_under_way(api: &Api) -> bool {
    let none = json!([]);
    let (processing, receiving) = ("/v1/uploads?state=processing", "/v1/uploads?state=receiving");
    api.json(processing).await["items"] == none && api.json(receiving).await["items"] == none
}

#[tokio::test]
async fn files_are_read_as_they_are_written() {
    let api = api().await;
    let plain = file(3);
    let accents = plain.replace("Elijah", "José");
    for (what, file, found) in [
        ("semicolons", SEMICOLON.as_bytes().to_vec(), json!({ "delimiter": ";", "header_line": 1 })),
        ("tabs", include_bytes!("../files/tab.csv").to_vec(), json!({ "delimiter": "\t" })),
        ("pipes", SEMICOLON.replace(';', "|").into_bytes(), json!({ "delimiter": "|" })),
        ("sep=;", format!("sep=;\n{SEMICOLON}").into_bytes(), json!({ "delimiter": ";", "header_line": 2 })),
        ("Windows-1252", LATIN.to_vec(), json!({ "encoding": "windows-1252" })),
        (
            "UTF-16 without a mark",
            include_bytes!("../files/utf16-without-mark.csv").to_vec(),
            json!({ "encoding": "utf-16be" }),
        ),
        ("UTF-16", utf16(&accents, true, u16::to_le_bytes), json!({ "encoding": "utf-16le" })),
        ("UTF-16, the other way", utf16(&accents, true, u16::to_be_bytes), json!({ "encoding": "utf-16be" })),
        ("lines before the header", include_bytes!("../files/preamble.csv").to_vec(), json!({ "header_line": 4 })),
        (
            "Portuguese names",
            include_bytes!("../files/portuguese.csv").to_vec(),
            json!({ "columns": [0, 1, 2, 3, 4, 5] }),
        ),
        (
            "decimal commas",
            include_bytes!("../files/semicolon-decimal-comma.csv").to_vec(),
            json!({ "delimiter": ";", "decimal": "comma", "dates": "dmy" }),
        ),
    ] {
        let bytes = file.len();
        let upload = taken(&api, "&force=true", file).await;
        assert_eq!(upload["bytes"], bytes, "{what}: as it was sent");
        for (field, value) in found.as_object().unwrap() {
            assert_eq!(&upload["dialect"][field], value, "{what}: {upload}");
        }
        assert_eq!(upload["dialect"]["said"], Value::Null, "{what}: nothing was said: {upload}");
        let again = api.json(&format!("/v1/uploads/{}", upload["id"].as_str().unwrap())).await;
        assert_eq!(again["dialect"], upload["dialect"], "{what}");
    }
    let upload = taken(&api, "", plain).await;
    assert!(upload.get("dialect").is_none(), "a plain file says nothing of it: {upload}");
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_asked() {
    let api = api().await;
    let found = problem(send(&api, "", "text/csv", open_dates()).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!((&found["type"], &found["errors"][0]["field"]), (&json!("/problems/ambiguous-file"), &json!("dates")));
    let question = &found["questions"][0];
    assert_eq!(question["parameter"], "dates");
    let choices = question["choices"].as_array().unwrap();
    assert!(choices.contains(&json!("dmy")) && choices.contains(&json!("mdy")), "{found}");
    assert_eq!(question["examples"][0], json!({ "line": 2, "value": "01/02/2030" }));
    assert!(found["detail"].as_str().unwrap().contains("dates=dmy"), "{found}");
    assert!(nothing_is_under_way(&api).await);

    let amounts = [HEADER, &debt(1, "1.234", "2030-01-31"), &debt(2, "5.678", "2030-01-31")].concat();
    let found = problem(send(&api, "", "text/csv", amounts.clone()).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(found["questions"][0]["parameter"], "decimal", "{found}");
    let upload = taken(&api, "&decimal=comma", amounts).await;
    assert_eq!((&upload["dialect"]["decimal"], &upload["dialect"]["said"]), (&json!("comma"), &json!(["decimal"])));
}

#[tokio::test]
async fn a_file_that_is_read_otherwise_is_another_one() {
    let api = api().await;
    let first = taken(&api, "&dates=dmy", open_dates()).await;
    assert_eq!((&first["dialect"]["dates"], &first["dialect"]["said"]), (&json!("dmy"), &json!(["dates"])));
    api.pretend(first["id"].as_str().unwrap(), "completed").await;
    let same = json(send(&api, "&dates=dmy", "text/csv", open_dates()).await, StatusCode::OK).await;
    assert_eq!(same["id"], first["id"]);
    let other = taken(&api, "&dates=mdy", open_dates()).await;
    assert_ne!(other["id"], first["id"]);
    assert_eq!(other["dialect"]["dates"], "mdy");
    // Two headers that are equal: from the second one on other rows are read.
    let twice = format!("Extrato\n{HEADER}{}{HEADER}{}", debt(8, "10", "2030-01-02"), debt(9, "10", "2030-01-02"));
    let second = taken(&api, "&header_line=4", twice.clone()).await;
    api.pretend(second["id"].as_str().unwrap(), "completed").await;
    assert_ne!(taken(&api, "", twice).await["id"], second["id"]);
}

#[tokio::test]
async fn a_request_with_another_word_is_another_request() {
    let api = api().await;
    let keyed = async |more: &str| {
        let request = api.post(&format!("/v1/uploads?kind=debts{more}")).header("idempotency-key", "one");
        request.body(open_dates()).send().await.unwrap()
    };
    let first = json(keyed("&dates=dmy").await, StatusCode::ACCEPTED).await;
    assert_eq!(json(keyed("&dates=dmy").await, StatusCode::ACCEPTED).await["id"], first["id"]);
    let found = problem(keyed("&dates=mdy").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(found["type"], "/problems/idempotency-key-reused");
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_before_the_file_is_read() {
    let api = api().await;
    for (more, field, said) in [
        ("&delimiter=x", "delimiter", "'x' is none of comma, semicolon, tab, pipe"),
        ("&encoding=klingon", "encoding", "'klingon' names no encoding"),
        ("&decimal=dot", "decimal", "'dot' is none of point, comma"),
        ("&dates=american", "dates", "'american' is none of ymd, dmy, mdy"),
        ("&header_line=0", "header_line", "'0' is not the number of a line, from 1"),
        ("&columns=amount:valor", "columns", "'amount' is no column of debts"),
    ] {
        let found = problem(send(&api, more, "text/csv", file(3)).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(
            (&found["type"], &found["errors"][0]["field"]),
            (&json!("/problems/invalid-parameter"), &json!(field))
        );
        assert!(found["errors"][0]["detail"].as_str().unwrap().starts_with(said), "{found}");
    }
}

#[tokio::test]
async fn what_is_said_of_a_file_is_believed() {
    let api = api().await;
    let upload = taken(&api, "&delimiter=%3B&header_line=1", SEMICOLON).await;
    assert_eq!(upload["dialect"]["said"], json!(["delimiter", "header_line"]), "{upload}");
    let renamed = file(3).replace("debtAmount", "x");
    let upload = taken(&api, "&columns=debtAmount:x", renamed).await;
    assert_eq!(upload["dialect"]["columns"], json!([0, 1, 2, 3, 4, 5]), "{upload}");
    let mac = [HEADER.as_bytes(), b"Jos\x8e", &debt(9, "10", "2030-01-31").as_bytes()[3..]].concat();
    let upload = taken(&api, "&encoding=macintosh", mac.clone()).await;
    assert_eq!(upload["dialect"]["encoding"], "macintosh");
    let found = problem(send(&api, "", "text/csv", mac).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!((&found["type"], &found["errors"][0]["field"]), (&json!("/problems/wrong-format"), &json!("encoding")));
    assert!(found["detail"].as_str().unwrap().contains("byte 0x8E on line 2"), "{found}");
}

#[tokio::test]
async fn the_type_of_a_body_says_its_characters() {
    let api = api().await;
    let upload =
        json(send(&api, "&force=true", "text/csv; charset=iso-8859-1", LATIN).await, StatusCode::ACCEPTED).await;
    assert_eq!(
        (&upload["dialect"]["encoding"], &upload["dialect"]["said"]),
        (&json!("windows-1252"), &json!(["encoding"]))
    );
    // Clients say it of what they know nothing of.
    let upload = json(send(&api, "&force=true", "text/csv; charset=us-ascii", LATIN).await, StatusCode::ACCEPTED).await;
    assert_eq!((&upload["dialect"]["encoding"], &upload["dialect"]["said"]), (&json!("windows-1252"), &Value::Null));
    let wrong = send(&api, "&force=true", "text/csv; charset=utf-8", LATIN).await;
    let found = problem(wrong, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(
        found["detail"].as_str().unwrap().starts_with("Content-Type says utf-8, but byte 0xE9 on line 2"),
        "{found}"
    );
    let over = send(&api, "&force=true&encoding=windows-1252", "text/csv; charset=utf-8", LATIN).await;
    json(over, StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn a_form_says_it_by_parts() {
    let api = api().await;
    let part =
        |name: &str, value: &str| format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let head =
        "--xx\r\nContent-Disposition: form-data; name=\"file\"\r\nContent-Type: text/csv; charset=latin1\r\n\r\n";
    let before = [part("kind", "debts"), part("dates", "mdy"), part("delimiter", ","), head.to_owned()].concat();
    let rows = open_dates().replace("Ana", "Jo\u{e3}o");
    let latin: Vec<u8> = rows.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    let body = [before.as_bytes(), &latin, b"\r\n--xx--\r\n"].concat();
    let request = api.post("/v1/uploads").header("content-type", "multipart/form-data; boundary=xx");
    let upload = json(request.body(body).send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!(upload["dialect"]["said"], json!(["encoding", "delimiter", "dates"]), "{upload}");
    assert_eq!((&upload["dialect"]["encoding"], &upload["dialect"]["dates"]), (&json!("windows-1252"), &json!("mdy")));
}

#[tokio::test]
async fn rejects_are_separated_as_their_file_is() {
    let api = api().await;
    let upload = taken(&api, "", SEMICOLON).await;
    let id: Uuid = upload["id"].as_str().unwrap().parse().unwrap();
    sqlx::query(
        "insert into rejects (upload_id, line, chunk_no, column_name, code, message, raw)
         values ($1, 2, 0, 'debtAmount', 'bad_amount', 'not; so', 'Ana;1;a@b.c;1,x;2030-01-31;=2')",
    )
    .bind(id)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    let csv = async |more: &str| {
        let request = api.get(&format!("/v1/uploads/{id}/rejects{more}")).header("accept", "text/csv");
        String::from_utf8(request.send().await.unwrap().bytes().await.unwrap().to_vec()).unwrap()
    };
    assert_eq!(
        csv("").await,
        "line;column;reason;message;name;governmentId;email;debtAmount;debtDueDate;debtId\n\
         2;debtAmount;bad_amount;\"not; so\";Ana;1;a@b.c;1,x;2030-01-31;=2\n"
    );
    let spreadsheet = csv("?spreadsheet=true").await;
    assert!(spreadsheet.starts_with("\u{feff}line;column;") && spreadsheet.ends_with(";'=2\n"), "{spreadsheet}");
}

/// Workers of before take jobs of the first version only.
#[tokio::test]
async fn chunks_that_are_read_otherwise_are_no_job_of_workers_of_before() {
    let api = api().await;
    for (file, version) in [(file(3), 1), (SEMICOLON.to_owned(), 2)] {
        taken(&api, "", file).await;
        let newest = "select version from gristmill.jobs where name = 'uploads.load_chunk' order by id desc limit 1";
        let found: i16 = sqlx::query_scalar(newest).fetch_one(&api.stack.pool).await.unwrap();
        assert_eq!(found, version);
    }
}
