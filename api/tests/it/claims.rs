//! Claims over HTTP. The worker's part is pretended by SQL; `worker/tests` has it for real.

use std::net::SocketAddr;

use gristmill_claims::{accounting, enter};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Api, api, json as body, problem};

pub(crate) fn visit() -> Value {
    let line = |procedure: &str, fees: Value, allowed: Value, coinsurance: Value| {
        json!({
            "procedure": procedure, "provider_fees": fees, "allowed_fees": allowed, "member_coinsurance": coinsurance,
            "member_copay": 0,
        })
    };
    json!({
        "service_date": "3/28/18 0:00",
        "subscriber": "3730189502",
        "provider_npi": "1497775530",
        "plan_group": "GRP-1000",
        "lines": [
            line("D0180", json!("$100.00 "), json!(100), json!(0)),
            line("D0210", json!(108), json!("108.00"), json!("0")),
            line("D4346", json!(130.0), json!(65), json!(16.25)),
            line("D4211", json!("178"), json!(178), json!(35.6)),
        ],
    })
}

/// A visit of one line with this net fee.
fn fee(provider: &str, day: &str, dollars: i64) -> Value {
    json!({
        "service_date": day, "subscriber": format!("s-{day}"), "provider_npi": provider, "plan_group": "G",
        "lines": [{ "procedure": "D0180", "provider_fees": dollars, "allowed_fees": 0, "member_coinsurance": 0, "member_copay": 0 }],
    })
}

async fn post(api: &Api, sent: Value) -> Response {
    api.send(&api.key, "POST", "/v1/claims", sent).await
}

async fn entered(api: &Api, sent: Value) -> Value {
    body(post(api, sent).await, StatusCode::CREATED).await
}

async fn count(api: &Api, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&api.stack.pool).await.unwrap()
}

async fn tops(api: &Api, query: &str) -> Vec<(String, i64)> {
    let top = api.json(&format!("/v1/claims/top-providers{query}")).await;
    let items = top["items"].as_array().unwrap().iter();
    items
        .map(|one| (one["provider_npi"].as_str().unwrap().to_owned(), one["net_fee"]["minor"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_claim_is_entered_with_its_lines_and_its_payment() {
    let api = api().await;
    let response = post(&api, visit()).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let claim = body(response, StatusCode::CREATED).await;
    assert_eq!(location, format!("/v1/claims/{}", claim["id"].as_str().unwrap()));
    assert_eq!(api.json(&location).await, claim);
    assert_eq!((&claim["service_date"], &claim["line_count"]), (&json!("2018-03-28"), &json!(4)));
    assert_eq!(claim["net_fee"], json!({ "minor": 11_685, "currency": "USD", "decimal": "116.85" }));
    assert_eq!((&claim["payment"], &claim["upload_id"]), (&json!({ "state": "pending" }), &Value::Null));
    let fees: Vec<i64> =
        claim["lines"].as_array().unwrap().iter().map(|line| line["net_fee"]["minor"].as_i64().unwrap()).collect();
    assert_eq!(fees, [0, 0, 8_125, 3_560]);
    assert_eq!(count(&api, "select count(*) from gristmill.jobs where name = 'payments.process'").await, 1);
    assert_eq!(tops(&api, "").await, [("1497775530".to_owned(), 11_685)]);
}

#[tokio::test]
async fn a_claim_with_a_wrong_line_names_line_field_and_rule_and_leaves_nothing() {
    let api = api().await;
    let mut wrong = visit();
    wrong["provider_npi"] = json!("12");
    wrong["lines"][1]["procedure"] = json!("X0210");
    wrong["lines"][2]["allowed_fees"] = json!([1]);
    wrong["lines"][3].as_object_mut().unwrap().remove("member_copay");
    let refused = problem(post(&api, wrong).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["type"], "/problems/invalid-claim");
    let errors: Vec<(&str, &str)> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let detail = error["detail"].as_str().unwrap();
            (error["field"].as_str().unwrap(), detail.rsplit_once("(rule ").unwrap().1)
        })
        .collect();
    assert_eq!(
        errors,
        [
            ("provider_npi", "npi_ten_digits)"),
            ("lines[1].procedure", "procedure_starts_with_d)"),
            ("lines[2].allowed_fees", "money_is_money)"),
            ("lines[3].member_copay", "required_except_quadrant)"),
        ]
    );
    let future = problem(post(&api, fee("1497775530", "2999-01-01", 10)).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(
        future["errors"][0]["detail"].as_str().unwrap().ends_with("(rule service_date_not_in_the_future)"),
        "{future}"
    );
    let empty = json!({ "service_date": "2018-03-28", "lines": [] });
    let refused = problem(post(&api, empty).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["errors"][0]["field"], "lines");
    problem(post(&api, json!({ "lines": "none" })).await, StatusCode::BAD_REQUEST).await;
    for table in ["claims", "claim_lines", "provider_totals", "provider_spans", "gristmill.jobs"] {
        let rows: i64 =
            sqlx::query_scalar(&format!("select count(*) from {table}")).fetch_one(&api.stack.pool).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn optional_rules_hold_for_those_who_switched_them_on() {
    let api = api().await;
    let luhn = fee("1497775531", "2024-01-01", 1);
    entered(&api, luhn.clone()).await;
    let mut settings = api.json("/v1/settings").await;
    settings["claims"]["rules"] = json!(["npi_luhn"]);
    body(api.send(&api.key, "PUT", "/v1/settings", settings.clone()).await, StatusCode::OK).await;
    let refused = problem(post(&api, luhn).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(refused["errors"][0]["detail"].as_str().unwrap().ends_with("(rule npi_luhn)"));
    settings["claims"]["rules"] = json!(["npi_magic"]);
    let unknown = api.send(&api.key, "PUT", "/v1/settings", settings).await;
    let unknown = problem(unknown, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(unknown["errors"][0]["field"], "claims.rules");
}

#[tokio::test]
async fn claims_are_listed_by_what_they_are() {
    let api = api().await;
    let mut ids = Vec::new();
    for (provider, day) in [("1000000001", "2024-01-01"), ("1000000002", "2024-01-02"), ("1000000001", "2024-01-03")] {
        ids.push(entered(&api, fee(provider, day, 10)).await["id"].clone());
    }
    let listed = async |query: &str| -> Vec<Value> {
        let page = api.json(&format!("/v1/claims?{query}")).await;
        page["items"].as_array().unwrap().iter().map(|claim| claim["id"].clone()).collect()
    };
    let newest = [ids[2].clone(), ids[1].clone(), ids[0].clone()];
    assert_eq!(listed("").await, newest);
    assert_eq!(listed("provider=1000000001").await, [ids[2].clone(), ids[0].clone()]);
    assert_eq!(listed("subscriber=s-2024-01-02").await, [ids[1].clone()]);
    assert_eq!(listed("from=2024-01-02").await, newest[..2]);
    assert_eq!(listed("from=2024-01-02&to=2024-01-02").await, [ids[1].clone()]);
    assert_eq!(listed("state=pending").await, newest);
    assert_eq!(listed("state=void").await, [] as [Value; 0]);
    let none = "upload_id=0193aaaa-bbbb-7ccc-8ddd-eeeeffff0001";
    assert_eq!(listed(none).await, [] as [Value; 0], "they came by themselves");
    let page = api.json("/v1/claims?limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(listed(&format!("cursor={cursor}")).await, newest[2..]);
    for wrong in ["state=paid", "from=-009999-01-01", "to=2024-02-30"] {
        problem(api.get(&format!("/v1/claims?{wrong}")).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test]
async fn anothers_claim_is_not_there() {
    let api = api().await;
    let claim = entered(&api, visit()).await;
    let path = format!("/v1/claims/{}", claim["id"].as_str().unwrap());
    let other = api.other_key().await;
    problem(api.bare("GET", &path).bearer_auth(&other).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    let voided = api.bare("POST", &format!("{path}/void")).bearer_auth(&other).send().await.unwrap();
    problem(voided, StatusCode::NOT_FOUND).await;
    let top = api.bare("GET", "/v1/claims/top-providers").bearer_auth(&other).send().await.unwrap();
    assert_eq!(body(top, StatusCode::OK).await["items"], json!([]));
    assert_eq!(api.json(&path).await["payment"]["state"], "pending");
}

#[tokio::test]
async fn a_claim_is_voided_and_stays_so() {
    let api = api().await;
    let claim = entered(&api, visit()).await;
    let id = claim["id"].as_str().unwrap();
    let mut tx = api.stack.pool.begin().await.unwrap();
    assert_eq!(accounting::pay(&mut tx, id.parse().unwrap()).await.unwrap(), accounting::PaymentOutcome::Posted);
    tx.commit().await.unwrap();
    for _ in 0..2 {
        let void = api.post(&format!("/v1/claims/{id}/void")).send().await.unwrap();
        let void = body(void, StatusCode::OK).await;
        assert_eq!((&void["payment"]["state"], &void["net_fee"]), (&json!("void"), &claim["net_fee"]));
    }
    assert_eq!(count(&api, "select count(*) from ledger_postings").await, 2);
    assert_eq!(count(&api, "select sum(amount_minor)::bigint from ledger_entries").await, 0);
    assert_eq!(tops(&api, "").await, []);
    let plans = api.json("/v1/plan-accounts").await;
    assert_eq!(
        (&plans["items"][0]["plan_group"], &plans["items"][0]["balance"]["minor"]),
        (&json!("GRP-1000"), &json!(0))
    );
}

/// The worker's part of an upload: its line is loaded and it is closed.
async fn uploaded(api: &Api) -> (String, String) {
    let header = "service date,submitted procedure,quadrant,Plan/Group #,Subscriber#,Provider NPI,provider fees,Allowed fees,member coinsurance,member copay\n";
    let file = format!("{header}3/28/18 0:00,D0180,,GRP-1000,1,1497775530,$10.00 ,$1.00 ,$0.00 ,$0.00 \n");
    let sent = api.post("/v1/uploads?kind=claims").body(file).send().await.unwrap();
    let upload = body(sent, StatusCode::ACCEPTED).await["id"].as_str().unwrap().to_owned();
    let claim = gristmill_pipelines::claims::line_id(upload.parse().unwrap(), 77);
    sqlx::query(
        "insert into claim_lines values ($1, $2, $3, 2, $4, 1000, 100, 0, 0, 900, '2018-03-28', 'D0180', null, 'GRP-1000', '1', '1497775530')",
    )
    .bind(gristmill_pipelines::claims::line_id(claim, 2))
    .bind(api.client_id)
    .bind(upload.parse::<uuid::Uuid>().unwrap())
    .bind(claim)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    let queue = gristmill_queue::QueueConfig {
        namespace: api.stack.namespace.clone(),
        ..gristmill_queue::QueueConfig::new(&api.stack.redis_url)
    };
    let queue = gristmill_queue::Queue::connect(api.stack.pool.clone(), queue).await.unwrap();
    let mut tx = api.stack.pool.begin().await.unwrap();
    let jobs = enter::upload(&mut tx, &queue, api.client_id, upload.parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    queue.push(jobs).await;
    (upload, claim.to_string())
}

#[tokio::test]
async fn claims_of_an_upload_are_there_while_it_is_completed() {
    let api = api().await;
    let (upload, claim) = uploaded(&api).await;
    assert_eq!(api.json("/v1/claims").await["items"], json!([]), "not closed yet");
    api.pretend(&upload, "completed").await;
    let whole = api.json(&format!("/v1/claims/{claim}")).await;
    assert_eq!((&whole["upload_id"], &whole["lines"][0]["net_fee"]["minor"]), (&json!(upload), &json!(900)));
    let undone = api.bare("DELETE", &format!("/v1/uploads/{upload}")).bearer_auth(&api.key).send().await.unwrap();
    assert!(undone.status().is_success(), "{}", undone.text().await.unwrap());
    assert_eq!((api.json("/v1/claims").await["items"].clone(), tops(&api, "").await), (json!([]), vec![]));
    problem(api.get(&format!("/v1/claims/{claim}")).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    problem(api.post(&format!("/v1/claims/{claim}/void")).send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn providers_come_in_the_order_of_their_fees() {
    let api = api().await;
    for (provider, day, dollars) in [
        ("1000000001", "2024-01-01", 50),
        ("1000000002", "2024-02-01", 70),
        ("1000000003", "2024-03-01", -5),
        ("1000000001", "2024-04-01", 40),
        ("1000000004", "2024-05-01", 70),
    ] {
        entered(&api, fee(provider, day, dollars)).await;
    }
    let named = |list: &[(&str, i64)]| list.iter().map(|(npi, fee)| ((*npi).to_owned(), *fee)).collect::<Vec<_>>();
    let all = named(&[("1000000001", 9_000), ("1000000002", 7_000), ("1000000004", 7_000), ("1000000003", -500)]);
    assert_eq!(tops(&api, "").await, all);
    assert_eq!(tops(&api, "?limit=2").await, all[..2]);
    let spring = named(&[("1000000001", 4_000), ("1000000003", -500)]);
    assert_eq!(tops(&api, "?from=2024-03-01&to=2024-04-30").await, spring);
    for wrong in ["?limit=101", "?from=2024-02-01&to=2024-01-01", "?from=soon"] {
        problem(api.get(&format!("/v1/claims/top-providers{wrong}")).send().await.unwrap(), StatusCode::BAD_REQUEST)
            .await;
    }
}

#[tokio::test]
async fn eleven_within_a_minute_are_too_many_for_two_processes_together() {
    let api = api().await;
    let second = api.second().await;
    let ask = async |addr: SocketAddr, key: &str| {
        api.at(addr, "GET", "/v1/claims/top-providers").bearer_auth(key).send().await.unwrap()
    };
    for n in 0..10 {
        let answer = ask(if n % 2 == 0 { api.addr } else { second }, &api.key).await;
        assert_eq!(answer.status(), StatusCode::OK, "{n}");
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("ratelimit-policy"), "\"top-providers\";q=10;w=60");
        assert!(
            header("ratelimit").starts_with(&format!("\"top-providers\";r={};t=", 9 - n)),
            "{}",
            header("ratelimit")
        );
    }
    for addr in [api.addr, second] {
        let answer = ask(addr, &api.key).await;
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait));
        assert!(answer.headers()["ratelimit"].to_str().unwrap().starts_with("\"top-providers\";r=0;t="));
        let refused = problem(answer, StatusCode::TOO_MANY_REQUESTS).await;
        assert_eq!(refused["type"], "/problems/too-many-requests");
    }
    assert_eq!(ask(second, &api.other_key().await).await.status(), StatusCode::OK, "another client has its own");
}

#[tokio::test]
async fn a_plans_account_is_frozen_and_freed() {
    let api = api().await;
    let put =
        async |plan: &str, sent: Value| api.send(&api.key, "PUT", &format!("/v1/plan-accounts/{plan}"), sent).await;
    let frozen = body(put("GRP%2F1", json!({ "frozen": true, "reason": "audit" })).await, StatusCode::OK).await;
    assert_eq!(
        (&frozen["plan_group"], &frozen["frozen"], &frozen["reason"]),
        (&json!("GRP/1"), &json!(true), &json!("audit"))
    );
    let freed = body(put("GRP%2F1", json!({ "frozen": false })).await, StatusCode::OK).await;
    assert_eq!((&freed["frozen"], &freed["reason"]), (&json!(false), &Value::Null));
    let again = "select count(*) from gristmill.jobs where name = 'gristmill.redrive'";
    assert_eq!(sqlx::query_scalar::<_, i64>(again).fetch_one(&api.stack.pool).await.unwrap(), 1);
    body(put("GRP-2", json!({ "frozen": true })).await, StatusCode::OK).await;
    let page = api.json("/v1/plan-accounts?limit=1").await;
    let next = api.json(&format!("/v1/plan-accounts?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&page["items"][0], &next["items"][0]["plan_group"]), (&freed, &json!("GRP-2")));
    problem(put(&"x".repeat(65), json!({ "frozen": true })).await, StatusCode::BAD_REQUEST).await;
    problem(put("GRP-2", json!({})).await, StatusCode::BAD_REQUEST).await;
}

/// A claim of one plan and day with lines of these fees, in dollars.
fn lines(fees: &[&str]) -> Value {
    let line = |fee: &&str| json!({ "procedure": "D0180", "provider_fees": fee, "allowed_fees": 0, "member_coinsurance": 0, "member_copay": 0 });
    let mut claim = fee("1000000001", "2024-02-03", 0);
    claim["lines"] = fees.iter().map(line).collect();
    claim
}

const MOST: &str = "9999999999.99";

#[tokio::test]
async fn a_claim_comes_to_an_amount_at_most() {
    let api = api().await;
    for (fees, minor) in [
        (&[MOST][..], 999_999_999_999_i64),
        (&["-9999999999.99"][..], -999_999_999_999),
        (&[MOST, MOST, "-9999999999.99"][..], 999_999_999_999),
    ] {
        assert_eq!(entered(&api, lines(fees)).await["net_fee"]["minor"], json!(minor));
    }
    for (fees, sum) in [
        (&[MOST, "0.01"][..], "10000000000.00"),
        (&["-9999999999.99", "-0.01"][..], "-10000000000.00"),
        (&[MOST; 1_000][..], "9999999999990.00"),
    ] {
        let refused = problem(post(&api, lines(fees)).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(
            (&refused["type"], &refused["errors"][0]["field"]),
            (&json!("/problems/invalid-claim"), &json!("lines"))
        );
        let detail = refused["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("come to {sum},")) && detail.contains(MOST), "{detail}");
    }
    assert_eq!(count(&api, "select count(*) from claims").await, 3);
}

#[tokio::test]
async fn sums_of_claims_may_have_more_than_64_bits() {
    let api = api().await;
    let pool = &api.stack.pool;
    for fees in [[MOST], ["-9999999999.99"]] {
        entered(&api, lines(&fees)).await;
    }
    let mut smaller = lines(&["1"]);
    smaller["provider_npi"] = json!("1000000002");
    entered(&api, smaller).await;
    // As after some nine million of the greatest claims more.
    for sql in [
        "update provider_totals set net_fee_minor = 9223372036854775807 where provider_npi = '1000000001'",
        "update provider_spans set net_fee_minor = 9223372036854775807 where provider_npi = '1000000001'",
        "insert into ledger_accounts (client_id, kind, reference)
         select distinct client_id, kind, reference from claims c, (values ('plan', 'G'), ('provider', '1000000001')) a (kind, reference)",
        "insert into ledger_postings select gen_random_uuid(), 'payment', client_id from ledger_accounts",
        "insert into ledger_entries select p.claim_id, purpose, a.id, case kind when 'plan' then -9223372036854775807 else 9223372036854775807 end
         from ledger_postings p, ledger_accounts a",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
    // Both doors go beyond it: of the greatest claim, and of its payment.
    let claim = entered(&api, lines(&[MOST])).await;
    let id = claim["id"].as_str().unwrap().parse().unwrap();
    let mut tx = pool.begin().await.unwrap();
    assert_eq!(accounting::pay(&mut tx, id).await.unwrap(), accounting::PaymentOutcome::Posted);
    tx.commit().await.unwrap();
    let frozen =
        api.send(&api.key, "PUT", "/v1/plan-accounts/G", json!({ "frozen": true })).await.text().await.unwrap();
    for (told, sum, decimal) in [
        (text(&api, "/v1/claims/top-providers").await, "9223373036854775806", "92233730368547758.06"),
        (
            text(&api, "/v1/claims/top-providers?from=2024-01-30&to=2024-02-09").await,
            "9223373036854775806",
            "92233730368547758.06",
        ),
        (text(&api, "/v1/plan-accounts").await, "-18446745073709551613", "-184467450737095516.13"),
        (frozen, "-18446745073709551613", "-184467450737095516.13"),
    ] {
        assert!(told.contains(&format!("\"minor\":{sum},")) && told.contains(&format!("\"{decimal}\"")), "{told}");
    }
    let found = api.json("/v1/claims/top-providers").await;
    let order: Vec<_> =
        found["items"].as_array().unwrap().iter().map(|one| one["provider_npi"].as_str().unwrap()).collect();
    assert_eq!(order, ["1000000001", "1000000002"], "by number, not by digits");
    assert_eq!(text(&api, "/v1/claims").await.matches(MOST).count(), 3);
    body(api.post(&format!("/v1/claims/{id}/void")).send().await.unwrap(), StatusCode::OK).await;
    assert!(text(&api, "/v1/claims/top-providers").await.contains("\"minor\":9223372036854775807,"));
    assert!(text(&api, "/v1/plan-accounts").await.contains("\"minor\":-18446744073709551614,"));
    let wrong = gristmill_claims::providers::miscounted(pool, 10).await.unwrap();
    assert_eq!(wrong.iter().map(|one| one.kept_minor.0).collect::<Vec<_>>(), [i128::from(i64::MAX)], "it was made up");
}

async fn text(api: &Api, path: &str) -> String {
    let answer = api.get(path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}
