use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Api, api, json, problem};

const URL: &str = "https://example.com/hooks";

async fn made(api: &Api) -> Value {
    let new = json!({ "url": URL, "events": ["bill.paid", "upload.completed"], "description": "ours" });
    json(api.post("/v1/webhooks").json(&new).send().await.unwrap(), StatusCode::CREATED).await
}

async fn send(api: &Api, path: &str) -> reqwest::Response {
    api.post(path).send().await.unwrap()
}

#[tokio::test]
async fn a_webhook_from_its_beginning_to_its_end() {
    let api = api().await;
    let webhook = made(&api).await;
    let id = webhook["id"].as_str().unwrap();
    let place = format!("/v1/webhooks/{id}");
    assert!(webhook["secret"].as_str().unwrap().starts_with("whsec_"));
    let shown = api.json(&place).await;
    assert_eq!((&shown["enabled"], shown.get("secret")), (&json!(true), None));
    let change = api.bare("PUT", &place).bearer_auth(&api.key).json(&json!({ "events": ["upload.failed"] }));
    let changed = json(change.send().await.unwrap(), StatusCode::OK).await;
    assert_eq!((&changed["events"], &changed["description"]), (&json!(["upload.failed"]), &json!("ours")));
    let rotated = json(send(&api, &format!("{place}/rotate")).await, StatusCode::OK).await;
    assert_ne!(rotated["secret"], webhook["secret"]);
    let disabled = json(send(&api, &format!("{place}/disable")).await, StatusCode::OK).await;
    assert_eq!(disabled["disabled_reason"], "client");
    problem(send(&api, &format!("{place}/test")).await, StatusCode::CONFLICT).await;
    json(send(&api, &format!("{place}/enable")).await, StatusCode::OK).await;
    let begun = json(send(&api, &format!("{place}/test")).await, StatusCode::ACCEPTED).await;
    let deliveries = api.json(&format!("{place}/deliveries?state=pending")).await;
    assert_eq!(
        (&deliveries["items"][0]["id"], &deliveries["items"][0]["type"]),
        (&begun["delivery_id"], &json!("webhook.test"))
    );
    let replay = format!("{place}/deliveries/{}/replay", begun["delivery_id"].as_str().unwrap());
    problem(send(&api, &replay).await, StatusCode::CONFLICT).await;
    sqlx::query("update webhook_deliveries set state = 'failed'").execute(&api.stack.pool).await.unwrap();
    json(send(&api, &replay).await, StatusCode::ACCEPTED).await;
    let many = json(
        send(&api, &format!("{place}/replay?status=failed&since=2026-01-01T00:00:00Z")).await,
        StatusCode::ACCEPTED,
    );
    assert!(many.await["job_id"].is_string());
    problem(send(&api, &format!("{place}/replay?status=pending")).await, StatusCode::BAD_REQUEST).await;
    let gone = api.bare("DELETE", &place).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    problem(api.get(&place).send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn another_client_sees_none_of_it() {
    let api = api().await;
    let webhook = made(&api).await;
    let place = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    let other = api.other_key().await;
    for (method, path) in [
        ("GET", place.clone()),
        ("DELETE", place.clone()),
        ("GET", format!("{place}/deliveries")),
        ("POST", format!("{place}/rotate")),
        ("POST", format!("{place}/test")),
        ("POST", format!("{place}/replay")),
    ] {
        let response = api.bare(method, &path).bearer_auth(&other).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method} {path}");
    }
    let list = api.bare("GET", "/v1/webhooks").bearer_auth(&other).send().await.unwrap();
    assert_eq!(json(list, StatusCode::OK).await["items"], json!([]));
}

#[tokio::test]
async fn what_may_not_be_called_is_refused() {
    let api = api().await;
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://0x7f.1/",
        "https://u:p@example.com/",
        "https://example.com:22/",
        "x",
    ] {
        let new = json!({ "url": url, "events": ["bill.paid"] });
        let refused = problem(api.post("/v1/webhooks").json(&new).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["field"], "url", "{url}");
    }
    let new = json!({ "url": URL, "events": [] });
    problem(api.post("/v1/webhooks").json(&new).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn an_ed25519_webhook_shows_its_public_key() {
    let api = api().await;
    let new = json!({ "url": URL, "events": ["bill.created"], "signature": "ed25519" });
    let webhook = json(api.post("/v1/webhooks").json(&new).send().await.unwrap(), StatusCode::CREATED).await;
    assert!(webhook["public_key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(webhook.get("secret"), None, "a public key is no secret");
}

#[tokio::test]
async fn the_old_api_makes_one_for_the_keys_own_client() {
    let api = api().await;
    let ask = async |client_id: Value| {
        api.post("/create_webhook").json(&json!({ "url": URL, "client_id": client_id })).send().await.unwrap()
    };
    let made = json(ask(json!("client")).await, StatusCode::CREATED).await;
    json(ask(json!(api.client_id)).await, StatusCode::CREATED).await;
    problem(ask(json!("somebody")).await, StatusCode::BAD_REQUEST).await;
    let shown = api.json(&format!("/v1/webhooks/{}", made["webhook_id"].as_str().unwrap())).await;
    assert_eq!(shown["events"], json!(["normalization.completed"]));
}
