//! Normalizations, rules and transactions over HTTP. The worker's part is pretended by SQL; `worker/tests` has it for real.

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Api, api, json as body, problem};

fn netflix(amount: impl Into<Value>) -> Value {
    json!({ "date": "2021-04-01", "description": "Payment Netflix APRIL***", "amount": amount.into() })
}

async fn post(api: &Api, path: &str, sent: Value) -> reqwest::Response {
    api.send(&api.key, "POST", path, sent).await
}

#[tokio::test]
async fn a_request_is_taken_with_its_job_and_found_again() {
    let api = api().await;
    let mut before_dates = netflix(json!(1));
    before_dates["date"] = json!("-009999-01-01");
    problem(post(&api, "/v1/normalizations", before_dates).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let mut ids = Vec::new();
    for amount in [json!(12.99), json!("12.99")] {
        let response = post(&api, "/v1/normalizations", netflix(amount)).await;
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let accepted = body(response, StatusCode::ACCEPTED).await;
        assert_eq!(location, format!("/v1/normalizations/{}", accepted["request_id"].as_str().unwrap()));
        let request = api.json(&location).await;
        assert_eq!(
            (&request["state"], &request["amount"]["minor"], &request["merchant"]),
            (&json!("queued"), &json!(1299), &Value::Null)
        );
        ids.push(accepted["request_id"].clone());
    }
    let jobs: i64 = sqlx::query_scalar("select count(*) from gristmill.jobs where name = 'normalizations.normalize'")
        .fetch_one(&api.stack.pool)
        .await
        .unwrap();
    assert_eq!(jobs, 2);
    let page = api.json("/v1/normalizations?limit=1").await;
    assert_eq!(page["items"][0]["request_id"], ids[1]);
    let next = api.json(&format!("/v1/normalizations?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&next["items"][0]["request_id"], &next["next_cursor"]), (&ids[0], &Value::Null));
    let other = api.other_key().await;
    let hidden = api.bare("GET", &format!("/v1/normalizations/{}", ids[0].as_str().unwrap())).bearer_auth(other);
    problem(hidden.send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_batch_is_taken_as_a_whole_or_not_at_all() {
    let api = api().await;
    let sent = json!({ "items": [netflix(1), netflix("2.50"), netflix(-3)] });
    let accepted = body(post(&api, "/v1/normalizations/batch", sent).await, StatusCode::ACCEPTED).await;
    assert_eq!(accepted["items"].as_array().unwrap().len(), 3);
    let wrong = json!({ "items": [netflix(1), { "date": "yesterday", "description": " ", "amount": 1.999 }] });
    let refused = problem(post(&api, "/v1/normalizations/batch", wrong).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let fields: Vec<&str> =
        refused["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["items[1].date", "items[1].description", "items[1].amount"]);
    problem(post(&api, "/v1/normalizations/batch", json!({ "items": [] })).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(api.json("/v1/normalizations").await["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn clients_of_old_say_who_they_are() {
    let api = api().await;
    let call = |client: Option<String>| {
        let request = api.post("/normalize_merchant").json(&netflix("12.99"));
        match client {
            Some(client) => request.header("client-id", client).send(),
            None => request.send(),
        }
    };
    for client in [api.client_id.to_string(), "client".to_owned()] {
        let accepted = body(call(Some(client)).await.unwrap(), StatusCode::ACCEPTED).await;
        accepted["request_id"].as_str().unwrap().parse::<Uuid>().unwrap();
        assert_eq!(accepted.as_object().unwrap().len(), 1);
    }
    problem(call(Some("somebody".to_owned())).await.unwrap(), StatusCode::FORBIDDEN).await;
    problem(call(None).await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn rules_are_made_changed_and_deleted() {
    let api = api().await;
    let new = json!({ "test": "contains", "pattern": "acme widgets", "name": "Acme" });
    let rule = body(post(&api, "/v1/normalization-rules", new.clone()).await, StatusCode::CREATED).await;
    let path = format!("/v1/normalization-rules/{}", rule["id"].as_str().unwrap());
    let changed = json!({ "test": "regex", "pattern": "^acme", "name": "Acme" });
    body(api.send(&api.key, "PUT", &path, changed).await, StatusCode::OK).await;
    assert_eq!(api.json("/v1/normalization-rules").await["items"][0]["pattern"], "^acme");
    let bad = json!({ "test": "regex", "pattern": "(", "name": "x" });
    let refused = problem(post(&api, "/v1/normalization-rules", bad).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["errors"][0]["field"], "pattern");
    let other = api.other_key().await;
    problem(api.send(&other, "PUT", &path, new).await, StatusCode::NOT_FOUND).await;
    let gone = api.bare("DELETE", &path).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    problem(api.get(&path).send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn transactions_are_read_by_pages_and_as_a_file() {
    let api = api().await;
    let file = "date,description,amount,currency,id\n2021-04-01,Payment Netflix,12.99,USD,a\n";
    let sent = api.post("/v1/uploads?kind=transactions").body(file).send().await.unwrap();
    let upload = body(sent, StatusCode::ACCEPTED).await;
    let id = upload["id"].as_str().unwrap();
    assert_eq!(api.json(&format!("/v1/transactions?upload_id={id}")).await["items"], json!([]));
    let keys = [uuid::Uuid::now_v7(), uuid::Uuid::now_v7()];
    sqlx::query("insert into file_order (upload_id, last_line, lines, keys) values ($1::uuid, 3, '{2,3}', $2)")
        .bind(id)
        .bind(keys)
        .execute(&api.stack.pool)
        .await
        .unwrap();
    for (line, description) in [(2_i64, "Payment, \"Netflix\""), (3, "nobody")] {
        sqlx::query(
            "insert into transactions (transaction_id, client_id, upload_id, line, amount_minor, date, description, merchant, score)
             values (($5::uuid[])[$3 - 1], $1, $2::uuid, $3, -1299, '2021-04-01', $4, case when $3 = 2 then 'Netflix' end, case when $3 = 2 then 1 end)",
        )
        .bind(api.client_id)
        .bind(id)
        .bind(line)
        .bind(description)
        .bind(keys)
        .execute(&api.stack.pool)
        .await
        .unwrap();
    }
    api.pretend(id, "completed").await;
    let page = api.json(&format!("/v1/transactions?upload_id={id}&limit=1")).await;
    assert_eq!(page["items"][0]["merchant"]["name"], "Netflix");
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = api.json(&format!("/v1/transactions?upload_id={id}&cursor={cursor}")).await;
    assert_eq!((&next["items"][0]["merchant"]["name"], &next["next_cursor"]), (&json!("n/a"), &Value::Null));
    let csv = api.get(&format!("/v1/transactions?upload_id={id}")).header("accept", "text/csv").send().await.unwrap();
    assert_eq!(
        csv.text().await.unwrap(),
        "line,date,description,amount,currency,id,merchant,matched,score,mcc,wikidata_id\n\
         2,2021-04-01,\"Payment, \"\"Netflix\"\"\",-12.99,,,Netflix,,1,,\n3,2021-04-01,nobody,-12.99,,,n/a,,,,\n"
    );
    problem(api.get("/v1/transactions").send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}
