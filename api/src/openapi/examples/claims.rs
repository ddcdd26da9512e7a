//! Answers about claims.

use gristmill_pipelines::decimal;
use serde_json::{Value, json};

const CLAIM: &str = "019a4b1e-8c5d-8e30-9a41-5f6d2c7b8e92";

pub(super) fn all() -> [(&'static str, Value); 5] {
    [
        ("ClaimList", json!({ "items": [claim()], "next_cursor": null })),
        ("WholeClaim", whole()),
        ("NewClaim", new()),
        (
            "TopProviders",
            json!({ "items": [{ "provider_npi": "1497775530", "claims": 1, "lines": 2, "net_fee": dollars(11_685) }] }),
        ),
        (
            "PlanAccountList",
            json!({
                "items": [{ "plan_group": "GRP-1000", "frozen": true, "reason": "under audit until June", "balance": dollars(-11_685) }],
                "next_cursor": null,
            }),
        ),
    ]
}

fn claim() -> Value {
    json!({
        "id": CLAIM,
        "upload_id": super::UPLOAD,
        "subscriber": "3730189502",
        "provider_npi": "1497775530",
        "service_date": "2018-03-28",
        "line_count": 2,
        "net_fee": dollars(11_685),
        "payment": { "state": "posted" },
        "created_at": "2026-01-31T09:12:45.731945Z",
    })
}

fn whole() -> Value {
    let line = |line: i64, procedure: &str, quadrant: Option<&str>, amounts: [i64; 4]| {
        let [fees, allowed, coinsurance, copay] = amounts;
        json!({
            "line": line,
            "procedure": procedure,
            "quadrant": quadrant,
            "plan_group": "GRP-1000",
            "provider_fees": dollars(fees),
            "allowed_fees": dollars(allowed),
            "member_coinsurance": dollars(coinsurance),
            "member_copay": dollars(copay),
            "net_fee": dollars(fees + coinsurance + copay - allowed),
        })
    };
    let mut claim = claim();
    claim["lines"] = json!([
        line(2, "D4346", None, [13_000, 6_500, 1_625, 0]),
        line(3, "D4211", Some("UR"), [17_800, 17_800, 3_560, 0]),
    ]);
    claim
}

fn new() -> Value {
    json!({
        "service_date": "2018-03-28",
        "subscriber": "3730189502",
        "provider_npi": "1497775530",
        "plan_group": "GRP-1000",
        "lines": [
            { "procedure": "D4346", "provider_fees": 130, "allowed_fees": 65, "member_coinsurance": 16.25, "member_copay": 0 },
            { "procedure": "D4211", "quadrant": "UR", "provider_fees": 178, "allowed_fees": 178, "member_coinsurance": 35.6, "member_copay": 0 },
        ],
    })
}

fn dollars(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "USD", "decimal": decimal(minor) })
}
