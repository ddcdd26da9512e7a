use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{api, json, problem};

#[tokio::test]
async fn who_opens_the_address_comes_to_the_docs() {
    let api = api().await;
    let answer = api.bare("GET", "/").send().await.unwrap();
    assert_eq!((answer.status(), answer.url().path()), (StatusCode::OK, "/docs"));
    assert!(answer.text().await.unwrap().contains("<html"));
}

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
                .replace("{name}", "any")
                .replace("{file}", "start.js")
                .replace("{code}", "internal");
            let response = api.bare(&method.to_uppercase(), &real).send().await.unwrap();
            assert!(![404, 405].contains(&response.status().as_u16()), "{method} {path}");
        }
        let response = api.bare("TRACE", &path.replace(['{', '}'], "")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path} is no route");
    }
    // Routes come from the list that makes the document; this list is for those who read the test.
    let expected = [
        "delete /v1/billing-runs/{id}",
        "delete /v1/mail/suppressions",
        "delete /v1/limits/pools/{name}",
        "delete /v1/schedules/{name}",
        "delete /v1/uploads/{id}",
        "delete /v1/webhooks/{id}",
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
        "get /v1/claims",
        "get /v1/claims/top-providers",
        "get /v1/claims/{id}",
        "get /v1/plan-accounts",
        "get /v1/debts",
        "get /v1/groups",
        "get /v1/groups/{id}",
        "get /v1/jobs",
        "get /v1/jobs/{id}",
        "get /v1/jobs/{id}/members",
        "patch /v1/jobs/{id}",
        "get /v1/jobs/{id}/logs",
        "get /v1/mail",
        "get /v1/mail/suppressions",
        "get /v1/mail/{id}",
        "get /v1/mail/{id}/eml",
        "get /v1/limits",
        "get /v1/queues",
        "get /v1/queues/{name}",
        "get /v1/schedules",
        "get /v1/schedules/{name}",
        "get /v1/schedules/{name}/ticks",
        "delete /v1/normalization-rules/{id}",
        "get /v1/normalization-rules",
        "get /v1/normalization-rules/{id}",
        "get /v1/normalizations",
        "get /v1/normalizations/{id}",
        "get /v1/transactions",
        "post /normalize_merchant",
        "post /v1/normalization-rules",
        "post /v1/normalizations",
        "post /v1/normalizations/batch",
        "put /v1/normalization-rules/{id}",
        "get /v1/settings",
        "delete /v1/tus/{id}",
        "get /v1/tus/{id}",
        "patch /v1/tus/{id}",
        "post /v1/tus",
        "post /v1/tus/{id}",
        "get /v1/uploads",
        "get /v1/uploads/{id}",
        "get /v1/uploads/{id}/delta",
        "get /v1/uploads/{id}/events",
        "get /v1/uploads/{id}/receipt",
        "get /v1/uploads/{id}/rejects",
        "get /v1/webhooks",
        "get /v1/webhooks/{id}",
        "get /v1/webhooks/{id}/deliveries",
        "get /v1/workers",
        "post /create_webhook",
        "post /v1/claims",
        "post /v1/claims/{id}/void",
        "put /v1/plan-accounts/{name}",
        "post /v1/billing-runs",
        "post /v1/billing-runs/{id}/approve",
        "post /v1/bills/{id}/cancel",
        "post /v1/groups/{id}/cancel",
        "post /v1/groups/{id}/retry",
        "post /v1/flows",
        "post /v1/groups",
        "post /v1/groups/{id}/seal",
        "post /v1/jobs",
        "post /v1/jobs/actions",
        "post /v1/jobs/batch",
        "post /v1/jobs/{id}/cancel",
        "post /v1/jobs/{id}/discard",
        "post /v1/jobs/{id}/promote",
        "post /v1/jobs/{id}/redrive",
        "post /v1/jobs/{id}/signals/{name}",
        "post /v1/mail/bounces",
        "post /v1/mail/{id}/resend",
        "post /v1/payments",
        "post /v1/queues/{name}/drain",
        "post /v1/queues/{name}/pause",
        "post /v1/queues/{name}/resume",
        "post /v1/schedules/{name}/pause",
        "post /v1/schedules/{name}/resume",
        "post /v1/schedules/{name}/run",
        "post /v1/uploads",
        "post /v1/uploads/fetch",
        "post /v1/webhooks",
        "post /v1/work/claims",
        "post /v1/work/reports",
        "post /v1/webhooks/{id}/deliveries/{delivery_id}/replay",
        "post /v1/webhooks/{id}/disable",
        "post /v1/webhooks/{id}/enable",
        "post /v1/webhooks/{id}/replay",
        "post /v1/webhooks/{id}/rotate",
        "post /v1/webhooks/{id}/test",
        "post /v1/workers/{id}/drain",
        "put /v1/limits/jobs/{name}",
        "put /v1/limits/pools/{name}",
        "put /v1/queues/{name}/limits",
        "put /v1/schedules/{name}",
        "put /v1/settings",
        "put /v1/webhooks/{id}",
        "delete /v1/profiles/{name}",
        "get /v1/profiles",
        "get /v1/profiles/{name}",
        "put /v1/profiles/{name}",
        "delete /v1/reports/{id}",
        "get /v1/reports",
        "get /v1/reports/{id}",
        "get /v1/usage",
        "get /v1/usage/daily",
        "post /v1/reports/batch",
        "put /v1/reports/{id}",
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

/// The parts of a schema as one.
fn flat(document: &Value, schema: &Value) -> Value {
    let mut whole = serde_json::json!({ "properties": {}, "required": [] });
    for part in schema["allOf"].as_array().unwrap() {
        let part = match seen(document, part) {
            part if part["allOf"].is_array() => flat(document, part),
            part => part.clone(),
        };
        whole["properties"].as_object_mut().unwrap().extend(part["properties"].as_object().unwrap().clone());
        let required = part["required"].as_array().into_iter().flatten().cloned();
        whole["required"].as_array_mut().unwrap().extend(required);
    }
    whole
}

/// An object has the fields of its schema: all that are required, and none that are not there.
fn matches(document: &Value, schema: &Value, example: &Value, at: &str) {
    let schema = seen(document, schema);
    if schema["allOf"].is_array() {
        return matches(document, &flat(document, schema), example, at);
    }
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
        // Anything goes.
        Value::Object(_) if !schema["oneOf"].is_array() => {
            assert!(!schema["type"].is_string() || schema["type"] == "object", "{at} is no object");
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
    let uploads = ["Upload", "UploadList", "RejectList", "DebtList", "Receipt", "Problem", "CheckedFile"];
    let jobs = ["JobList", "OneJob", "ActionRequest", "ActionAnswer", "GroupList", "OneGroup"];
    let operators = ["QueueList", "WorkerList", "ScheduleBody", "ScheduleList", "TickList"];
    for name in uploads.into_iter().chain(jobs).chain(operators) {
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
    let key = api.operator_key().await;
    let text = api.bare("GET", "/metrics").bearer_auth(key).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("gristmill_http_requests_total{method=\"GET\",route=\"/readyz\",status=\"200\"}"), "{text}");
    assert!(text.contains("gristmill_http_request_duration_seconds_bucket"));
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_says_what_it_may_answer() {
    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let at = format!("{method} {path} ({name})");
            assert!(names.insert(name), "{at}: another one has this name");
            assert!(name.contains(char::is_uppercase) && name.chars().all(char::is_alphanumeric), "{at}");
            assert!(operation["summary"].is_string(), "{at}");
            let answers: BTreeSet<&str> =
                operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            let may = |status: &str| assert!(answers.contains(status), "{at} may answer {status}: {answers:?}");
            let keyed = path.starts_with("/v1/")
                || ["/metrics", "/create_webhook", "/normalize_merchant"].contains(&path.as_str());
            assert_eq!(operation["security"].as_array().unwrap().is_empty(), !keyed, "{at}");
            assert!(answers.iter().any(|status| status.starts_with('2')), "{at}");
            ["400", "500"].into_iter().for_each(may);
            if keyed {
                ["401", "503"].into_iter().for_each(may);
            }
            if path.contains('{') {
                may("404");
            }
            if operation["requestBody"].is_object() {
                ["408", "413", "422"].into_iter().for_each(may);
                assert!(operation["requestBody"]["required"].is_boolean(), "{at}");
            }
            // What a worker sends again needs no key.
            if method == "post" && !path.starts_with("/v1/work/") {
                ["409", "422"].into_iter().for_each(may);
            }
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(document["tags"].as_array().unwrap().iter().any(|known| known["name"] == tag), "{tag} is no tag");
        }
    }
    assert!(names.contains("createUpload") && names.contains("listUploads"));
}

#[tokio::test]
async fn words_in_the_document_are_the_words_on_the_wire() {
    use strum::VariantNames as _;

    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    for (name, words) in [
        ("UploadState", gristmill_uploads::State::VARIANTS),
        ("Policy", gristmill_uploads::Policy::VARIANTS),
        ("MailState", gristmill_mail::State::VARIANTS),
        ("MailKind", gristmill_mail::Kind::VARIANTS),
        ("BillingRunState", gristmill_billing::runs::State::VARIANTS),
        ("BillingRunCause", gristmill_billing::runs::Cause::VARIANTS),
        ("BillStatus", gristmill_billing::bills::Status::VARIANTS),
        ("ClaimState", gristmill_claims::claims::State::VARIANTS),
        ("DeliveryState", gristmill_webhooks::deliveries::State::VARIANTS),
        ("EventType", gristmill_webhooks::EventType::VARIANTS),
    ] {
        assert_eq!(document["components"]["schemas"][name]["enum"], serde_json::json!(words), "{name}");
    }
    let refers = |schema: &str, field: &str, to: &str| {
        let property = document["components"]["schemas"][schema]["properties"][field].to_string();
        assert!(property.contains(&format!("schemas/{to}\"")), "{schema}.{field}: {property}");
    };
    refers("Upload", "state", "UploadState");
    refers("Mail", "state", "MailState");
    refers("BillingRun", "state", "BillingRunState");
    refers("Normalization", "state", "NormalizationState");
    refers("Webhook", "events", "EventType");
}
