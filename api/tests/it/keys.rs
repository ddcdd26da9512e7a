use gristmill_platform::keys;
use reqwest::StatusCode;

use crate::support::{api, file, problem};

const KEYED: [(&str, &str); 22] = [
    ("GET", "/v1/uploads"),
    ("POST", "/v1/uploads?kind=debts"),
    ("GET", "/v1/uploads/0199aaaa-0000-7000-8000-000000000000"),
    ("DELETE", "/v1/uploads/0199aaaa-0000-7000-8000-000000000000"),
    ("GET", "/v1/uploads/0199aaaa-0000-7000-8000-000000000000/rejects"),
    ("GET", "/v1/uploads/0199aaaa-0000-7000-8000-000000000000/receipt"),
    ("GET", "/v1/uploads/0199aaaa-0000-7000-8000-000000000000/events"),
    ("GET", "/v1/debts"),
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs/actions"),
    ("GET", "/v1/groups"),
    ("GET", "/v1/queues"),
    ("GET", "/v1/workers"),
    ("GET", "/v1/schedules"),
    ("GET", "/v1/mail"),
    ("GET", "/v1/mail/0199aaaa-0000-7000-8000-000000000000"),
    ("GET", "/v1/mail/0199aaaa-0000-7000-8000-000000000000/eml"),
    ("POST", "/v1/mail/bounces"),
    ("GET", "/v1/mail/suppressions"),
    ("DELETE", "/v1/mail/suppressions"),
    ("POST", "/v1/payments"),
    ("GET", "/metrics"),
];

#[tokio::test]
async fn without_a_key_nothing_opens() {
    let api = api().await;
    for (method, path) in KEYED {
        let response = api.bare(method, path).send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"gristmill\"", "{path}");
        problem(response, StatusCode::UNAUTHORIZED).await;
    }
    let bad = ["", "Bearer", "Bearer gm_wrong", "Basic Zm9vOmJhcg==", "Bearer ÿ"];
    for value in bad {
        let request = api.bare("GET", "/v1/uploads").header("authorization", value.as_bytes());
        problem(request.send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
    }
    let response = api.bare("GET", "/v1/uploads").send().await.unwrap();
    insta::assert_json_snapshot!(problem(response, StatusCode::UNAUTHORIZED).await);
}

#[tokio::test]
async fn what_everybody_may_see_needs_none() {
    let api = api().await;
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/problems/wrong-header"] {
        assert_eq!(api.bare("GET", path).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_revoked_key_ends_within_seconds() {
    let api = api().await;
    api.json("/v1/uploads").await;
    assert_eq!(keys::revoke(&api.stack.pool, &api.key[..11]).await.unwrap(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(5_200)).await;
    problem(api.get("/v1/uploads").send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn another_clients_upload_is_not_there() {
    let api = api().await;
    let upload = api.upload(file(3)).await;
    let id = upload["id"].as_str().unwrap();
    let other = api.other_key().await;
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("GET", "/rejects"), ("GET", "/receipt"), ("GET", "/events")] {
        let request = api.bare(method, &format!("/v1/uploads/{id}{rest}")).bearer_auth(&other);
        problem(request.send().await.unwrap(), StatusCode::NOT_FOUND).await;
    }
    for list in ["/v1/uploads".to_owned(), format!("/v1/debts?upload_id={id}")] {
        let page = api.bare("GET", &list).bearer_auth(&other).send().await.unwrap();
        let page: serde_json::Value = page.json().await.unwrap();
        assert_eq!(page["items"].as_array().unwrap().len(), 0);
    }
    assert_eq!(api.json(&format!("/v1/uploads/{id}")).await["state"], "processing");
}
