//! Bills, runs, payments and settings over HTTP. The worker's part is pretended by SQL; `worker/tests` has it for real.

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Api, HEADER, api, json as body, problem};

pub(crate) const DEBT: &str = "ea23f2ca-663a-4266-a742-9da4c9f4fcb3";

/// A red bar, 24 by 8 pixels.
const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABgAAAAICAIAAABsw6g0AAAAFElEQVR42mPYrCZHFcQwatBINggAy2W5QTc1bA8AAAAASUVORK5CYII=";
/// A blue one.
const SVG: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIyNCIgaGVpZ2h0PSI4Ij48cmVjdCB3aWR0aD0iMjQiIGhlaWdodD0iOCIgZmlsbD0iIzFmNGU4YyIvPjwvc3ZnPg==";

/// An upload of one debt that is billed as number 7.
pub(crate) async fn billed(api: &Api) -> Uuid {
    let upload = api.upload(format!("{HEADER}Ana Lima,1234,ana@example.com,1240.20,2040-11-01,{DEBT}\n")).await;
    let upload = upload["id"].as_str().unwrap().to_owned();
    api.pretend(&upload, "completed").await;
    let run = Uuid::now_v7();
    sqlx::query(
        "with d as (insert into debts (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
                    values ($1::uuid, $2, $3::uuid, 2, 124020, '2040-11-01', 'Ana Lima', '1234', 'ana@example.com')),
              r as (insert into billing_runs (id, client_id, cause, state, bills, amount_minor, issued_on, currency)
                    values ($4, $2, 'schedule', 'completed', 1, 124020, '2026-01-15', 'BRL')),
              u as (insert into billing_run_uploads (run_id, upload_id, rows) values ($4, $3::uuid, 1))
         insert into bills (client_id, number, debt_id, run_id, period, due_on, amount_minor)
         values ($2, 7, $1::uuid, $4, '2026-01-01', '2040-11-01', 124020)",
    )
    .bind(DEBT)
    .bind(api.client_id)
    .bind(&upload)
    .bind(run)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    run
}

#[tokio::test]
async fn a_bill_shows_how_to_pay_it() {
    let api = api().await;
    billed(&api).await;
    let page = api.json("/v1/bills?status=open").await;
    assert_eq!((page["total"].as_i64(), page["items"].as_array().unwrap().len()), (Some(1), 1));
    let id = page["items"][0]["id"].as_str().unwrap();
    let bill = api.json(&format!("/v1/bills/{id}")).await;
    assert_eq!(bill, page["items"][0]);
    let digits = |field: &str| bill[field].as_str().unwrap().chars().filter(char::is_ascii_digit).count();
    assert_eq!((digits("barcode"), digits("linha_digitavel")), (44, 47));
    assert!(bill["pix"].as_str().unwrap().starts_with("000201"), "{bill}");
    insta::assert_json_snapshot!(bill, {
        ".upload_id" => "[id]", ".run_id" => "[id]",
    });
    let response = api.get(&format!("/v1/bills/{id}/pdf")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/pdf");
    assert!(response.bytes().await.unwrap().starts_with(b"%PDF-"));
    for status in ["paid", "overdue", "cancelled"] {
        assert_eq!(api.json(&format!("/v1/bills?status={status}")).await["total"], 0);
    }
    let other = api.other_key().await;
    let hidden = api.bare("GET", &format!("/v1/bills/{id}")).bearer_auth(other).send().await.unwrap();
    problem(hidden, StatusCode::NOT_FOUND).await;
    problem(api.get("/v1/bills/7").send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_run_over_two_files_has_bills_of_each() {
    let api = api().await;
    let run = billed(&api).await;
    let upload = api.upload(format!("{HEADER}Bo,1234,bo@example.com,1.00,2040-11-01,{}\n", Uuid::nil())).await;
    let upload = upload["id"].as_str().unwrap().to_owned();
    api.pretend(&upload, "completed").await;
    let count = async |upload: &str| {
        let page = api.json(&format!("/v1/bills?upload_id={upload}")).await;
        assert_eq!(page["total"], page["items"].as_array().unwrap().len());
        page["items"].as_array().unwrap().iter().map(|bill| bill["number"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let first: String =
        sqlx::query_scalar("select upload_id::text from debts limit 1").fetch_one(&api.stack.pool).await.unwrap();
    // The second file is of no run, then of the same one.
    assert_eq!((count(&first).await, count(&upload).await), (vec![7], vec![]));
    sqlx::query(
        "with d as (insert into debts (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
                    values ($1, $2, $3::uuid, 2, 100, '2040-11-01', 'Bo', '1234', 'bo@example.com')),
              u as (insert into billing_run_uploads (run_id, upload_id, rows) values ($4, $3::uuid, 1))
         insert into bills (client_id, number, debt_id, run_id, period, due_on, amount_minor)
         values ($2, 8, $1, $4, '2026-01-01', '2040-11-01', 100)",
    )
    .bind(Uuid::nil())
    .bind(api.client_id)
    .bind(&upload)
    .bind(run)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    assert_eq!((count(&first).await, count(&upload).await), (vec![7], vec![8]));
}

/// A million bills are not counted for a page of them.
#[tokio::test]
async fn bills_are_counted_up_to_ten_thousand() {
    let api = api().await;
    let run = billed(&api).await;
    let more = async |from: i64, to: i64| {
        sqlx::query(
            "with made as (select gen_random_uuid() as id, n from generate_series($3::bigint, $4::bigint) n),
                  d as (insert into debts (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
                        select id, $1, (select upload_id from debts limit 1), n, 1, '2040-11-01', 'Bo', '1', 'b@example.com' from made)
             insert into bills (client_id, number, debt_id, run_id, period, due_on, amount_minor)
             select $1, n, id, $2, '2026-01-01', '2040-11-01', 1 from made",
        )
        .bind(api.client_id)
        .bind(run)
        .bind(from)
        .bind(to)
        .execute(&api.stack.pool)
        .await
        .unwrap();
    };
    more(8, 10_006).await;
    assert_eq!(api.json("/v1/bills?limit=1").await["total"], 10_000);
    more(10_007, 10_007).await;
    let page = api.json("/v1/bills?limit=1").await;
    assert_eq!((&page["total"], page["items"].as_array().unwrap().len()), (&Value::Null, 1));
    assert_eq!(api.json("/v1/bills?limit=1&number=7").await["total"], 1);
}

#[tokio::test]
async fn a_run_is_wanted_and_stopped() {
    let api = api().await;
    let run = body(api.post("/v1/billing-runs").send().await.unwrap(), StatusCode::ACCEPTED).await;
    assert_eq!((run["state"].as_str(), run["cause"].as_str()), (Some("queued"), Some("request")));
    let id = run["id"].as_str().unwrap();
    assert_eq!(api.json("/v1/billing-runs").await["items"][0]["id"], id);
    let not_held = api.post(&format!("/v1/billing-runs/{id}/approve")).send().await.unwrap();
    problem(not_held, StatusCode::CONFLICT).await;
    let plan = api.json("/v1/jobs?name=billing.plan").await["items"][0]["id"].clone();
    let behind = api.post(&format!("/v1/jobs/{}/cancel", plan.as_str().unwrap())).send().await.unwrap();
    let told = problem(behind, StatusCode::CONFLICT).await;
    assert!(told["detail"].as_str().unwrap().contains(&format!("DELETE /v1/billing-runs/{id}")), "{told}");
    let stopped = api.bare("DELETE", &format!("/v1/billing-runs/{id}")).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(body(stopped, StatusCode::ACCEPTED).await["state"], "cancelled");
    let again = api.bare("DELETE", &format!("/v1/billing-runs/{id}")).bearer_auth(&api.key).send().await.unwrap();
    problem(again, StatusCode::CONFLICT).await;
    let unknown = api.post("/v1/billing-runs").body(r#"{"dryrun":true}"#).send().await.unwrap();
    let told = problem(unknown, StatusCode::BAD_REQUEST).await;
    assert!(told["detail"].as_str().unwrap().contains("dry_run"), "{told}");
}

#[tokio::test]
async fn a_payment_is_told_once_or_more_often() {
    let api = api().await;
    billed(&api).await;
    let hook = json!({ "url": "https://example.com/hooks", "events": ["bill.paid"] });
    let hook = body(api.post("/v1/webhooks").json(&hook).send().await.unwrap(), StatusCode::CREATED).await;
    let notice =
        json!({ "debtId": DEBT, "paidAt": "2022-06-09 10:00:00", "paidAmount": 1240.20, "paidBy": "John Doe" });
    let tell = async |notice: &Value| api.post("/v1/payments").json(notice).send().await.unwrap();
    let first = body(tell(&notice).await, StatusCode::CREATED).await;
    assert_eq!((first["balance"].as_str(), first["paid"]["minor"].as_i64()), (Some("settled"), Some(124_020)));
    let bill = api.json(&format!("/v1/bills/{}", first["settled_bill_id"].as_str().unwrap())).await;
    assert_eq!((bill["status"].as_str(), bill["number"].as_i64()), (Some("paid"), Some(7)));
    let again = body(tell(&notice).await, StatusCode::OK).await;
    assert_eq!(again["paid"]["minor"], 124_020);
    let told = api.json(&format!("/v1/webhooks/{}/deliveries", hook["id"].as_str().unwrap())).await;
    let types: Vec<&Value> = told["items"].as_array().unwrap().iter().map(|delivery| &delivery["type"]).collect();
    assert_eq!(types, ["bill.paid"], "once");
    let wrong = json!({ "debtId": "x", "paidAt": "yesterday", "paidAmount": 1.005, "paidBy": "" });
    let told = problem(tell(&wrong).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let fields: Vec<&str> = told["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["paidBy", "debtId", "paidAmount", "paidAt"]);
    let nobody = json!({ "debtId": Uuid::nil(), "paidAt": "2022-06-09T10:00:00Z", "paidAmount": "1", "paidBy": "J" });
    problem(tell(&nobody).await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_bill_offers_what_can_carry_it_or_says_why_nothing_can() {
    let api = api().await;
    billed(&api).await;
    let large = "update bills set amount_minor = 10000000000";
    sqlx::query(large).execute(&api.stack.pool).await.unwrap();
    let bill = &api.json("/v1/bills").await["items"][0];
    let id = bill["id"].as_str().unwrap();
    assert!(bill["barcode"].is_null() && bill["not_payable"].is_null(), "{bill}");
    assert!(bill["pix"].as_str().unwrap().contains("5412100000000.00"), "{bill}");
    // Stored before it was looked at so closely: it is read all the same.
    let stored = json!({ "beneficiary": { "name": "Acme" }, "pixx": 1,
        "epc": { "iban": "DE89370400440532013000", "name": "Acme" } });
    sqlx::query("insert into client_settings (client_id, issuer) values ($1, $2)")
        .bind(api.client_id)
        .bind(stored)
        .execute(&api.stack.pool)
        .await
        .unwrap();
    let bill = api.json(&format!("/v1/bills/{id}")).await;
    assert_eq!(bill["not_payable"], "none of the ways to be paid that are set is in BRL, the bill's currency");
    let told = problem(api.get(&format!("/v1/bills/{id}/pdf")).send().await.unwrap(), StatusCode::CONFLICT).await;
    assert!(told["detail"].as_str().unwrap().contains("is in BRL"), "{told}");
}

#[tokio::test]
async fn a_bill_is_withdrawn_as_long_as_nothing_was_paid_of_it() {
    let api = api().await;
    billed(&api).await;
    let id = api.json("/v1/bills").await["items"][0]["id"].as_str().unwrap().to_owned();
    let cancel = async || api.post(&format!("/v1/bills/{id}/cancel")).send().await.unwrap();
    let pay = async |amount: &str| {
        let notice = json!({ "debtId": DEBT, "paidAt": "2022-06-09T10:00:00Z", "paidAmount": amount, "paidBy": "J" });
        body(api.post("/v1/payments").json(&notice).send().await.unwrap(), StatusCode::CREATED).await
    };
    let other = api.other_key().await;
    let hidden = api.bare("POST", &format!("/v1/bills/{id}/cancel")).bearer_auth(other).send().await.unwrap();
    problem(hidden, StatusCode::NOT_FOUND).await;
    let cancelled = body(cancel().await, StatusCode::OK).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["barcode"].is_null() && cancelled["pix"].is_null(), "{cancelled}");
    assert_eq!(cancelled["not_payable"], "it is cancelled, so nothing is to be paid");
    assert_eq!(body(cancel().await, StatusCode::OK).await, cancelled, "again");
    assert_eq!(api.json("/v1/bills?status=cancelled").await["items"][0], cancelled);
    let page = api.get(&format!("/v1/bills/{id}/pdf")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK, "it says that it is cancelled");
    let paid = pay("1240.20").await;
    assert!(paid["balance"] == "settled" && paid["settled_bill_id"].is_null(), "of the debt, not of the bill: {paid}");
    assert_eq!(api.json(&format!("/v1/bills/{id}")).await, cancelled);

    let api = self::api().await;
    billed(&api).await;
    let id = api.json("/v1/bills").await["items"][0]["id"].as_str().unwrap().to_owned();
    let notice = json!({ "debtId": DEBT, "paidAt": "2022-06-09T10:00:00Z", "paidAmount": 400.10, "paidBy": "J" });
    body(api.post("/v1/payments").json(&notice).send().await.unwrap(), StatusCode::CREATED).await;
    let refused = api.post(&format!("/v1/bills/{id}/cancel")).send().await.unwrap();
    let told = problem(refused, StatusCode::CONFLICT).await;
    assert!(told["type"] == "/problems/has-payment" && told["detail"].as_str().unwrap().contains("bill 7"), "{told}");
    assert_eq!(api.json(&format!("/v1/bills/{id}")).await["status"], "open");
}

#[tokio::test]
async fn bills_have_the_clients_logo_and_colour() {
    let api = api().await;
    billed(&api).await;
    let id = api.json("/v1/bills").await["items"][0]["id"].as_str().unwrap().to_owned();
    let put = async |branding: Value| api.send(&api.key, "PUT", "/v1/settings", json!({ "branding": branding })).await;
    let page = async || {
        let response = api.get(&format!("/v1/bills/{id}/pdf")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap()
    };
    let mut pages = vec![page().await];
    for branding in [json!({ "logo": PNG }), json!({ "logo": SVG }), json!({ "logo": SVG, "accent": "#b3261e" })] {
        let kept = body(put(branding.clone()).await, StatusCode::OK).await;
        assert_eq!(kept["branding"]["logo"], branding["logo"]);
        assert_eq!(api.json("/v1/settings").await, kept);
        pages.push(page().await);
    }
    for (at, page) in pages.iter().enumerate() {
        assert!(page.starts_with(b"%PDF-") && !pages[..at].contains(page), "page {at} is like one before");
    }
    for (logo, accent, field, why) in [
        ("https://example.com/logo.png", "#b3261e", "branding.logo", "is neither data:image/png;base64,"),
        ("data:image/gif;base64,R0lGODlh", "#b3261e", "branding.logo", "is neither data:image/png;base64,"),
        ("data:image/png;base64,***", "#b3261e", "branding.logo", "is not base64 behind the comma: "),
        ("data:image/png;base64,R0lGODlh", "#b3261e", "branding.logo", "the logo cannot be read as PNG: "),
        ("data:image/svg+xml;base64,R0lGODlh", "#b3261e", "branding.logo", "the logo cannot be read as SVG: "),
        (PNG, "red", "branding.accent", "is no colour: #rrggbb is"),
    ] {
        let told = put(json!({ "logo": logo, "accent": accent })).await;
        let told = problem(told, StatusCode::UNPROCESSABLE_ENTITY).await;
        let error = &told["errors"][0];
        assert!(error["field"] == field && error["detail"].as_str().unwrap().contains(why), "{told}");
    }
    let long = put(json!({ "logo": format!("data:image/png;base64,{}", "A".repeat(131_072)) })).await;
    let told = problem(long, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(told["detail"].as_str().unwrap().contains("at most 131072 are allowed"), "{told}");
    assert_eq!(page().await, pages[3], "nothing was changed");
}

#[tokio::test]
async fn debts_and_payments_are_in_the_clients_currency() {
    let api = api().await;
    billed(&api).await;
    let settings = api.send(&api.key, "PUT", "/v1/settings", json!({ "currency": "EUR" })).await;
    body(settings, StatusCode::OK).await;
    assert_eq!(api.json("/v1/debts").await["items"][0]["amount"]["currency"], "EUR");
    let notice = json!({ "debtId": DEBT, "paidAt": "2022-06-09T10:00:00Z", "paidAmount": 40, "paidBy": "J" });
    let told = body(api.post("/v1/payments").json(&notice).send().await.unwrap(), StatusCode::CREATED).await;
    assert_eq!((told["amount"]["currency"].as_str(), told["paid"]["currency"].as_str()), (Some("EUR"), Some("EUR")));
}

#[tokio::test]
async fn the_codes_of_a_bill_ask_for_what_is_still_to_be_paid() {
    let api = api().await;
    billed(&api).await;
    let codes = async || {
        let bill = &api.json("/v1/bills").await["items"][0];
        let text = |field: &str| bill[field].as_str().unwrap().to_owned();
        // The last ten digits of the line, and digits 10 to 19 of the barcode, are the amount.
        (text("barcode")[9..19].to_owned(), text("linha_digitavel"), text("pix"))
    };
    let pay = async |amount: &str| {
        let notice = json!({ "debtId": DEBT, "paidAt": "2022-06-09T10:00:00Z", "paidAmount": amount, "paidBy": "J" });
        body(api.post("/v1/payments").json(&notice).send().await.unwrap(), StatusCode::CREATED).await
    };
    let whole = codes().await;
    assert_eq!(whole.0, "0000124020");
    assert_eq!(pay("400.10").await["balance"], "underpaid");
    let rest = codes().await;
    assert_eq!(rest.0, "0000084010");
    assert!(rest.1.ends_with("0000084010") && rest.2.contains("5406840.10"), "{rest:?}");
    assert_eq!(pay("840.10").await["balance"], "settled");
    assert_eq!(pay("10.00").await["balance"], "overpaid");
    let bill = api.json("/v1/bills").await["items"][0].clone();
    assert!(bill["barcode"].is_null() && bill["pix"].is_null(), "a bill that is paid asks for nothing: {bill}");
    assert_eq!(bill["not_payable"], "it is paid, so nothing is to be paid any more");
    assert_eq!(bill["overpaid"]["decimal"], "10.00", "{bill}");
}

#[tokio::test]
async fn settings_are_checked_and_kept() {
    let api = api().await;
    let defaults = api.json("/v1/settings").await;
    assert_eq!(defaults["language"], "pt-BR");
    let put = async |settings: &Value| {
        api.bare("PUT", "/v1/settings").bearer_auth(&api.key).json(settings).send().await.unwrap()
    };
    let wrong = json!({ "language": "fr", "time_zone": "Moon/Base", "cycle": "weekly", "cycle_day": 9, "issuer": { "pix": 1 } });
    let told = problem(put(&wrong).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let fields: Vec<&str> = told["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["language", "time_zone", "cycle_day", "issuer"]);
    let issuer = json!({ "beneficiary": { "name": "Acme", "email": "help at acme" } });
    let wrong = json!({ "issuer": issuer, "operator_email": "ops@acme@example" });
    let told = problem(put(&wrong).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let fields: Vec<&str> = told["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["issuer.beneficiary.email", "operator_email"], "{told}");
    let pix = json!({ "key": "acme@example.com", "name": "Acme", "city": "Recife" });
    let paid_by = |way: &str| json!({ "beneficiary": { "name": "Acme" }, way: pix });
    for (currency, way, why) in [("BRL", "pixx", "`pixx` is not known in issuer"), ("EUR", "pix", "cannot carry EUR")] {
        let wrong = json!({ "currency": currency, "issuer": paid_by(way) });
        let told = problem(put(&wrong).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        let error = &told["errors"][0];
        assert!(error["field"] == "issuer" && error["detail"].as_str().unwrap().contains(why), "{told}");
    }
    for (currency, why) in [("JPY", "hundredths"), ("KWD", "hundredths"), ("eur", "three letters")] {
        let told = problem(put(&json!({ "currency": currency })).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        let error = &told["errors"][0];
        assert!(error["field"] == "currency" && error["detail"].as_str().unwrap().contains(why), "{told}");
    }
    assert_eq!(api.json("/v1/settings").await, defaults, "nothing was changed");
    let good = json!({ "language": "en", "cycle": "monthly", "cycle_day": 31, "operator_email": "ops@example.com" });
    let kept = body(put(&good).await, StatusCode::OK).await;
    assert_eq!(api.json("/v1/settings").await, kept);
    assert_eq!((kept["language"].as_str(), kept["days_ahead"].as_i64()), (Some("en"), Some(30)));
}

#[tokio::test]
async fn a_sum_may_be_larger_than_any_amount() {
    let api = api().await;
    let run = billed(&api).await;
    // Two amounts that were taken before there was a limit.
    let sum = "update billing_runs set amount_minor = 9223372036854775807::numeric + 1";
    sqlx::query(sum).execute(&api.stack.pool).await.unwrap();
    for told in [api.get("/v1/billing-runs"), api.get(&format!("/v1/billing-runs/{run}"))] {
        let told = told.send().await.unwrap();
        assert_eq!(told.status(), StatusCode::OK);
        let told = told.text().await.unwrap();
        assert!(told.contains("\"minor\":9223372036854775808,") && told.contains("\"92233720368547758.08\""), "{told}");
    }
    let notice =
        json!({ "debtId": DEBT, "paidAt": "2022-06-09T10:00:00Z", "paidAmount": "10000000000.00", "paidBy": "Ana" });
    let told = api.post("/v1/payments").json(&notice).send().await.unwrap();
    let told = problem(told, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(told["errors"][0]["field"], "paidAmount", "{told}");
}

#[tokio::test]
async fn payments_of_a_debt_that_come_to_more_than_64_bits_are_refused() {
    let api = api().await;
    billed(&api).await;
    let tell = async |id: &str| {
        let notice = json!({
            "debtId": DEBT, "paymentId": id, "paidAt": "2022-06-09T10:00:00Z", "paidAmount": "9999999999.99", "paidBy": "Ana",
        });
        api.post("/v1/payments").json(&notice).send().await.unwrap()
    };
    body(tell("first").await, StatusCode::CREATED).await;
    // As after some nine million more of them.
    let sql = "update debt_payments set paid_minor = 9223372036854775807 - 999999999999";
    sqlx::query(sql).execute(&api.stack.pool).await.unwrap();
    let told = body(tell("last").await, StatusCode::CREATED).await;
    assert_eq!(told["paid"]["decimal"], "92233720368547758.07", "{told}");
    let refused = problem(tell("beyond").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["errors"][0]["field"], "paidAmount", "{refused}");
    body(tell("last").await, StatusCode::OK).await;
    let page = api.json("/v1/bills?status=paid").await;
    assert_eq!(page["items"][0]["paid"]["minor"], json!(i64::MAX), "{page}");
}
