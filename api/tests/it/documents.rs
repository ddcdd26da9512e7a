use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{api, json, problem};

#[tokio::test]
async fn the_document_describes_what_is_there() {
    let api = api().await;
    let document: Value = api.bare("GET", "/openapi.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    insta::assert_json_snapshot!(document);
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{method} {path}"));
            // A route that is described is there: it is not the answer of the fallback.
            let real = path
                .replace("{id}", "0199aaaa-0000-7000-8000-000000000000")
                .replace("{file}", "start.js")
                .replace("{code}", "internal");
            let response = api.bare(&method.to_uppercase(), &real).send().await.unwrap();
            assert!(![404, 405].contains(&response.status().as_u16()), "{method} {path}");
        }
        let response = api.bare("PATCH", &path.replace(['{', '}'], "")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path} is no route");
    }
    // Routes come from the list that makes the document; this list is for those who read the test.
    let expected = [
        "delete /v1/billing-runs/{id}",
        "delete /v1/mail/suppressions",
        "delete /v1/uploads/{id}",
        "get /docs",
        "get /docs/{file}",
        "get /healthz",
        "get /metrics",
        "get /openapi.json",
        "get /problems/{code}",
        "get /readyz",
        "get /v1/billing-runs",
        "get /v1/billing-runs/{id}",
        "get /v1/bills",
        "get /v1/bills/{id}",
        "get /v1/bills/{id}/pdf",
        "get /v1/debts",
        "get /v1/mail",
        "get /v1/mail/suppressions",
        "get /v1/mail/{id}",
        "get /v1/mail/{id}/eml",
        "get /v1/settings",
        "get /v1/uploads",
        "get /v1/uploads/{id}",
        "get /v1/uploads/{id}/events",
        "get /v1/uploads/{id}/receipt",
        "get /v1/uploads/{id}/rejects",
        "post /v1/billing-runs",
        "post /v1/billing-runs/{id}/approve",
        "post /v1/mail/bounces",
        "post /v1/payments",
        "post /v1/uploads",
        "put /v1/settings",
    ];
    assert_eq!(described, expected.into_iter().map(str::to_owned).collect());
}

/// Follows a reference.
fn seen<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// An object has the fields of its schema: all that are required, and none that are not there.
fn matches(document: &Value, schema: &Value, example: &Value, at: &str) {
    let schema = seen(document, schema);
    match example {
        Value::Object(fields) if schema["properties"].is_object() => {
            for (name, value) in fields {
                let field = schema["properties"].get(name).unwrap_or_else(|| panic!("{at}.{name} is no field"));
                matches(document, field, value, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
            }
        }
        Value::Object(_) => {
            let choices = schema["oneOf"].as_array().unwrap_or_else(|| panic!("{at} is no object"));
            let some = choices.iter().find(|choice| choice["type"] != "null").unwrap();
            matches(document, some, example, at);
        }
        Value::Array(items) => items.iter().for_each(|item| matches(document, &schema["items"], item, at)),
        _ => {}
    }
}

#[tokio::test]
async fn examples_are_what_their_schemas_say() {
    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    for name in ["Upload", "UploadList", "RejectList", "DebtList", "Receipt", "Problem"] {
        let schema = &document["components"]["schemas"][name];
        let example = &schema["examples"][0];
        assert!(example.is_object(), "{name} has no example");
        matches(&document, schema, example, name);
    }
    let taken = &document["paths"]["/v1/uploads"]["post"]["responses"]["202"]["content"]["application/json"];
    assert_eq!(taken["example"]["state"], "processing");
    matches(&document, &taken["schema"], &taken["example"], "202");
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(values) => open.extend(values.values()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = api().await;
    let page = api.bare("GET", "/docs").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let text = page.text().await.unwrap();
    assert!(!text.contains("//"), "no address of another host");
    for part in text.split('"').filter(|part| part.starts_with("/docs/")) {
        let response = api.bare("GET", part).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{part}");
    }
    problem(api.bare("GET", "/docs/other.js").send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn every_problem_has_its_page() {
    let api = api().await;
    let document = serde_json::to_string(&gristmill_api::document()).unwrap();
    let named: BTreeSet<&str> = document.split('`').filter(|word| word.starts_with("/problems/")).collect();
    assert!(named.len() > 10);
    for path in named {
        assert_eq!(api.bare("GET", path).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    problem(api.bare("GET", "/problems/none").send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn health_and_metrics() {
    let api = api().await;
    assert_eq!(json(api.bare("GET", "/readyz").send().await.unwrap(), StatusCode::OK).await["status"], "ok");
    sqlx::query("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)")
        .execute(&api.stack.pool)
        .await
        .unwrap();
    let response = api.bare("GET", "/readyz").send().await.unwrap();
    insta::assert_json_snapshot!(problem(response, StatusCode::SERVICE_UNAVAILABLE).await);
    let text = api.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("gristmill_http_requests_total{method=\"GET\",route=\"/readyz\",status=\"200\"}"), "{text}");
    assert!(text.contains("gristmill_http_request_duration_seconds_bucket"));
}
