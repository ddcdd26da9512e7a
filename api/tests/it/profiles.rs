//! What a client has saved of how its files are written.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Api, api, json as answer, problem};

const HEADER: &str = "Contrato;Nome;CPF;E-mail;Valor Total;Outro Valor;Vencimento";
const ID: &str = "00000000-0000-4000-8000-00000000000";

/// Rows that cannot be read for certain: every date has two readings, and no name is the key's.
fn rows() -> String {
    (1..=3).map(|n| format!("{ID}{n};Ana;1234;ana@example.com;1.234,5{n};1;0{n}/02/2024\n")).collect()
}

fn says() -> Value {
    let columns =
        "debtId:Contrato,name:Nome,governmentId:CPF,email:E-mail,debtAmount:Valor Total,debtDueDate:Vencimento";
    json!({ "columns": columns, "dates": "dmy", "decimal": "comma", "delimiter": ";" })
}

fn names() -> Vec<&'static str> {
    HEADER.split(';').collect()
}

impl Api {
    async fn put_profile(&self, name: &str, body: Value) -> reqwest::Response {
        self.send(&self.key, "PUT", &format!("/v1/profiles/{name}"), body).await
    }

    async fn saved(&self, name: &str, body: Value) -> Value {
        answer(self.put_profile(name, body).await, StatusCode::OK).await
    }

    async fn sent(&self, query: &str, file: &str) -> reqwest::Response {
        self.post(&format!("/v1/uploads?kind=debts{query}")).body(file.to_owned()).send().await.unwrap()
    }

    async fn taken(&self, query: &str, file: &str) -> Value {
        answer(self.sent(query, file).await, StatusCode::ACCEPTED).await
    }

    async fn refused(&self, query: &str, file: &str) -> Value {
        problem(self.sent(query, file).await, StatusCode::UNPROCESSABLE_ENTITY).await
    }
}

#[tokio::test]
async fn a_profile_is_saved_shown_changed_and_deleted() {
    let api = api().await;
    let saved = api.saved("bank", json!({ "kind": "debts", "says": says(), "header": names() })).await;
    assert_eq!((&saved["name"], &saved["kind"], &saved["says"]), (&json!("bank"), &json!("debts"), &says()));
    assert_eq!(saved["header"], json!(names()));
    assert_eq!(api.json("/v1/profiles/bank").await, saved);
    let other = api.saved("a b ç", json!({ "kind": "messages" })).await;
    assert_eq!((&other["says"], &other["header"]), (&json!({}), &Value::Null));
    assert_eq!(api.json("/v1/profiles").await, json!({ "items": [other, saved], "next_cursor": null }));
    let page = api.json("/v1/profiles?limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(api.json(&format!("/v1/profiles?cursor={cursor}")).await["items"], json!([saved]));
    let changed = api.saved("bank", json!({ "kind": "debts", "says": { "dates": "mdy" } })).await;
    assert_eq!((&changed["says"], &changed["created_at"]), (&json!({ "dates": "mdy" }), &saved["created_at"]));
    // Another client's are not there.
    let key = api.other_key().await;
    for (method, status) in [("GET", StatusCode::NOT_FOUND), ("DELETE", StatusCode::NOT_FOUND)] {
        problem(api.send(&key, method, "/v1/profiles/bank", Value::Null).await, status).await;
    }
    let listed = answer(api.send(&key, "GET", "/v1/profiles", Value::Null).await, StatusCode::OK).await;
    assert_eq!(listed["items"], json!([]));
    let deleted = api.send(&api.key, "DELETE", "/v1/profiles/bank", Value::Null).await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    problem(api.send(&api.key, "DELETE", "/v1/profiles/bank", Value::Null).await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn what_cannot_be_saved_is_told() {
    let api = api().await;
    api.saved("bank", json!({ "kind": "debts", "header": names() })).await;
    let again: Vec<String> = names().iter().map(|name| name.to_uppercase().replace(' ', "_")).collect();
    let long = "x".repeat(101);
    for (name, body, field, detail) in [
        ("x", json!({}), "kind", "missing"),
        ("none", json!({ "kind": "debts" }), "name", "'none' means"),
        (long.as_str(), json!({ "kind": "debts" }), "name", "longer than 100"),
        ("x", json!({ "kind": "debts", "says": { "dates": "us" } }), "says.dates", "'us' is none of ymd, dmy, mdy"),
        ("x", json!({ "kind": "debts", "says": { "columns": "valor:x" } }), "says.columns", "no column of debts"),
        ("x", json!({ "kind": "debts", "says": { "policy": "atomic" } }), "says.policy", "none of encoding"),
        ("x", json!({ "kind": "debts", "header": [] }), "header", "has 0 names"),
        ("x", json!({ "kind": "debts", "header": again }), "header", "the profile 'bank' is chosen by the same header"),
    ] {
        let found = problem(api.put_profile(name, body).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(found["errors"][0]["field"], field, "{found}");
        assert!(found["detail"].as_str().unwrap().contains(detail), "{found}");
    }
    // Of another kind the header may choose another one.
    api.saved("other", json!({ "kind": "transactions", "header": names() })).await;
    let unknown = api.put_profile("x", json!({ "kind": "debts", "saying": {} })).await;
    problem(unknown, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn a_header_chooses_the_profile_that_answers_what_is_open() {
    let api = api().await;
    let file = format!("{HEADER}\n{}", rows());
    assert_eq!(api.refused("", &file).await["errors"][0]["field"], "debtId");
    api.saved("bank", json!({ "kind": "debts", "says": says(), "header": names() })).await;
    // As another person writes it, and below a title.
    let written = ["CONTRATO;nome;C-P-F;Émail;VALOR_TOTAL;Outro valor;vencimento", HEADER];
    for (n, header) in written.into_iter().enumerate() {
        let file = format!("Relatório {n}\n\n{header}\n{}", rows());
        let upload = api.taken("", &file).await;
        let dialect = &upload["dialect"];
        assert_eq!((&dialect["profile"], &dialect["said"]), (&json!("bank"), &Value::Null), "{upload}");
        assert_eq!((&dialect["decimal"], &dialect["dates"]), (&json!("comma"), &json!("dmy")));
        assert_eq!(dialect["columns"], json!([1, 2, 3, 4, 6, 0]));
        assert_eq!(dialect["header_line"], 3);
        let checked = answer(api.sent("&dry_run=true", &file).await, StatusCode::OK).await;
        assert_eq!((&checked["dialect"], &checked["good"]), (dialect, &json!(3)), "{checked}");
    }
    // What is said goes before it, and another header is another file.
    let said = api.taken("&dates=mdy", &format!("{HEADER}\n{}", rows())).await;
    assert_eq!((&said["dialect"]["dates"], &said["dialect"]["said"]), (&json!("mdy"), &json!(["dates"])));
    assert_eq!(said["dialect"]["profile"], "bank");
    for file in [
        format!("{HEADER};Obs\n{}", rows()),
        format!("{}\n{}", HEADER.replace("Contrato;Nome", "Nome;Contrato"), rows()),
        file.replace(';', "|"),
    ] {
        assert_eq!(api.refused("", &file).await["errors"][0]["field"], "debtId");
    }
    api.refused("&profile=none", &file).await;
    // Neither does it hold for another client, nor any more when it is deleted.
    let key = api.other_key().await;
    let other = api.bare("POST", "/v1/uploads?kind=debts").bearer_auth(&key).body(file.clone()).send().await.unwrap();
    problem(other, StatusCode::UNPROCESSABLE_ENTITY).await;
    api.send(&api.key, "DELETE", "/v1/profiles/bank", Value::Null).await;
    api.refused("", &file).await;
}

#[tokio::test]
async fn a_profile_that_is_named_says_all_that_is_not_said() {
    let api = api().await;
    let mut all = says();
    all["encoding"] = "windows-1252".into();
    all["header_line"] = "2".into();
    api.saved("bank", json!({ "kind": "debts", "says": all })).await;
    let file = format!("Nome;a\n{HEADER}\n{}", rows()).replace("Ana", "José");
    let latin: Vec<u8> = file.chars().map(|char| char as u8).collect();
    let send = async |query: &str| {
        api.post(&format!("/v1/uploads?kind=debts{query}")).body(latin.clone()).send().await.unwrap()
    };
    let upload = answer(send("&profile=bank&dates=mdy").await, StatusCode::ACCEPTED).await;
    let dialect = &upload["dialect"];
    assert_eq!(
        (&dialect["profile"], &dialect["dates"], &dialect["decimal"]),
        (&json!("bank"), &json!("mdy"), &json!("comma"))
    );
    assert_eq!(
        (&dialect["encoding"], &dialect["said"]),
        (&json!("windows-1252"), &json!(["dates", "profile"])),
        "{dialect}"
    );
    let found = problem(send("&profile=bnak").await, StatusCode::BAD_REQUEST).await;
    assert!(found["detail"].as_str().unwrap().contains("there is no profile 'bnak'"), "{found}");
    let wrong = api.post("/v1/uploads?kind=messages&profile=bank").body("id,timestamp,text\n").send().await.unwrap();
    let found = problem(wrong, StatusCode::BAD_REQUEST).await;
    assert!(found["detail"].as_str().unwrap().contains("'bank' is a profile of debts"), "{found}");
}

#[tokio::test]
async fn a_request_names_the_same_profile_whatever_that_says_by_then() {
    let api = api().await;
    api.saved("bank", json!({ "kind": "debts", "says": says() })).await;
    let file = format!("{HEADER}\n{}", rows());
    let send = async |query: &str| {
        let path = format!("/v1/uploads?kind=debts{query}");
        api.post(&path).header("idempotency-key", "one").body(file.clone()).send().await.unwrap()
    };
    let first = answer(send("&profile=bank").await, StatusCode::ACCEPTED).await;
    let mut other = says();
    other["dates"] = "mdy".into();
    api.saved("bank", json!({ "kind": "debts", "says": other })).await;
    let again = answer(send("&profile=bank").await, StatusCode::ACCEPTED).await;
    assert_eq!((&again["id"], &again["dialect"]["dates"]), (&first["id"], &json!("dmy")));
    problem(send("&profile=none").await, StatusCode::UNPROCESSABLE_ENTITY).await;
}

#[tokio::test]
async fn a_profile_is_made_of_an_upload() {
    let api = api().await;
    let columns = "debtId:Contrato,debtAmount:Valor Total";
    let file = format!("{HEADER}\n{}", rows());
    let first = api.taken(&format!("&dates=dmy&columns={columns}"), &file).await;
    let saved = api.saved("bank", json!({ "from_upload": first["id"] })).await;
    assert_eq!((&saved["kind"], &saved["header"]), (&json!("debts"), &json!(names())));
    assert_eq!((&saved["says"]["decimal"], &saved["says"]["dates"]), (&json!("comma"), &json!("dmy")), "{saved}");
    let next = api.taken("", &format!("{file}{ID}9;Ana;1;a@example.com;9,00;1;09/09/2024\n")).await;
    assert_eq!(
        (&next["dialect"]["profile"], &next["dialect"]["columns"]),
        (&json!("bank"), &first["dialect"]["columns"])
    );
    let wrong = api.put_profile("x", json!({ "from_upload": first["id"], "kind": "messages" })).await;
    problem(wrong, StatusCode::UNPROCESSABLE_ENTITY).await;
    let absent = api.put_profile("x", json!({ "from_upload": "00000000-0000-0000-0000-000000000000" })).await;
    problem(absent, StatusCode::NOT_FOUND).await;
}
