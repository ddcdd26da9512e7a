//! A client's own heuristic: an endpoint that is given a transaction and names its merchant.

use std::time::Duration;

use gristmill_normalization::{Answer, requests::Request};
use gristmill_pipelines::decimal;
use gristmill_queue::JobError;
use gristmill_webhooks::outbound::{Limits, Outbound};
use serde::Deserialize;

/// Such heuristics are slow.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(60), body_bytes: 64 * 1024 };

#[derive(Deserialize)]
struct HeuristicAnswer {
    merchant: Merchant,
}

#[derive(Deserialize)]
struct Merchant {
    name: String,
    score: Option<f32>,
    mcc: Option<String>,
    category: Option<String>,
    wikidata_id: Option<String>,
}

/// Asks it. What it does not answer rightly is asked again.
pub(super) async fn ask(outbound: &Outbound, address: &str, request: &Request) -> Result<Answer, JobError> {
    let body = serde_json::json!({
        "request_id": request.id,
        "date": request.date.to_jiff(),
        "description": request.description,
        "amount": decimal(request.amount_minor),
        "currency": request.currency,
    });
    let json =
        http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))]);
    let answer = outbound.with_limits(LIMITS).post(address, json, body.to_string()).await?;
    let wrong = |what: String| answer.again(what);
    if !answer.status.is_success() {
        return Err(wrong(format!("the client's heuristic answered {}", answer.status)));
    }
    if answer.cut {
        return Err(wrong("the client's heuristic answered more than 64 KiB".to_owned()));
    }
    let said: HeuristicAnswer = serde_json::from_slice(&answer.body).map_err(|error| {
        wrong(format!("the client's heuristic answered no {{\"merchant\": {{\"name\"}}}}: {error}"))
    })?;
    let Merchant { name, score, mcc, category, wikidata_id } = said.merchant;
    if name.is_empty() || name == "n/a" {
        return Ok(Answer::default());
    }
    let short = |text: String| text.chars().filter(|char| *char != '\0').take(200).collect();
    Ok(Answer {
        merchant: Some(short(name)),
        matched: Some("external".to_owned()),
        rule_id: None,
        score: score.filter(|score| (0.0..=1.0).contains(score)),
        mcc: mcc.map(short),
        category: category.map(short),
        wikidata: wikidata_id.map(short),
    })
}
