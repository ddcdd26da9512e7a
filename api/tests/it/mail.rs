//! Mails, bounces and suppressed addresses over HTTP. What sends is the worker; here it is done by hand.

use gristmill_bills::Language;
use gristmill_core::ClientId;
use gristmill_mail::{Content, Email, Mailer, Rate, SendContext, UploadFacts};
use gristmill_platform::{
    config::MailConfig,
    testing::smtp::{Act, Moment, SmtpServer},
};
use reqwest::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Api, api, json as body, problem};

fn letter(n: usize) -> Email {
    let facts = UploadFacts {
        id: Uuid::from_u128(n as u128),
        filename: Some("debts.csv".to_owned()),
        read: 10,
        accepted: 10,
        rejected: 0,
        duplicate: 0,
        conflicting_duplicate: 0,
        detail: None,
    };
    Email {
        reference: facts.id.to_string(),
        address: format!("Ops{n}@acme.example"),
        name: None,
        language: Language::English,
        reply_to: None,
        content: if n.is_multiple_of(2) { Content::Completed(facts) } else { Content::Failed(facts) },
        attachment: None,
    }
}

/// Sends as a worker of this API would.
async fn send(api: &Api, server: Option<&SmtpServer>, letters: Vec<Email>) {
    let config = MailConfig { smtp_url: server.map(|server| server.url().into()), ..MailConfig::default() };
    let rate = Rate::connect(&api.stack.redis_url, &api.stack.namespace, 0.0).unwrap();
    let mailer = Mailer::new(&config, api.stack.pool.clone(), api.stack.store.clone(), rate).unwrap();
    let turn = SendContext { client_id: api.client_id, last: false, cancel: CancellationToken::new() };
    mailer.deliver(&turn, letters).await.unwrap();
}

#[tokio::test]
async fn mails_are_listed_and_shown() {
    let api = api().await;
    for n in 0..5 {
        send(&api, None, vec![letter(n)]).await;
    }
    let mut seen = Vec::new();
    let mut page = api.json("/v1/mail?limit=2").await;
    loop {
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) else { break };
        page = api.json(&format!("/v1/mail?limit=2&cursor={cursor}")).await;
    }
    let recipients: Vec<_> = seen.iter().map(|mail| mail["recipient"].as_str().unwrap()).collect();
    assert_eq!(recipients, [4, 3, 2, 1, 0].map(|n| format!("Ops{n}@acme.example")), "newest first");
    let count = async |query: &str| api.json(&format!("/v1/mail?{query}")).await["items"].as_array().unwrap().len();
    assert_eq!(count("kind=upload_failed").await, 2);
    assert_eq!(count("state=sent&recipient=ops3@acme.example").await, 1);
    assert_eq!(count("state=failed").await, 0);

    let id = seen[0]["id"].as_str().unwrap();
    let mail = api.json(&format!("/v1/mail/{id}")).await;
    insta::assert_json_snapshot!(mail, {
        ".id" => "[id]", ".message_id" => "[message id]", ".created_at" => "[time]", ".sent_at" => "[time]",
    });
    let eml = api.get(&format!("/v1/mail/{id}/eml")).send().await.unwrap();
    assert_eq!(eml.headers()["content-type"], "message/rfc822");
    assert!(eml.text().await.unwrap().contains("To: Ops4@acme.example"));

    let other = api.other_key().await;
    for path in [format!("/v1/mail/{id}"), format!("/v1/mail/{id}/eml"), "/v1/mail/7".to_owned()] {
        problem(api.bare("GET", &path).bearer_auth(&other).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    }
    problem(api.get("/v1/mail?kind=letter").send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn bounces_suppress_addresses_until_they_are_lifted() {
    let api = api().await;
    let server = SmtpServer::scripted(|moment| match moment {
        Moment::Rcpt(address) if address == "Ops1@acme.example" => Act::say("550 5.1.1 unknown"),
        _ => Act::Behave,
    })
    .await;
    send(&api, Some(&server), vec![letter(0), letter(1)]).await;
    let sent = api.json("/v1/mail?state=sent").await["items"][0].clone();
    let path = format!("/v1/mail/{}/eml", sent["id"].as_str().unwrap());
    problem(api.get(&path).send().await.unwrap(), StatusCode::NOT_FOUND).await;

    let bounce =
        json!({ "recipient": "ops0@acme.example", "kind": "hard", "message_id": sent["message_id"], "reason": "gone" });
    let answer = api.post("/v1/mail/bounces").json(&bounce).send().await.unwrap();
    assert_eq!(body(answer, StatusCode::OK).await, json!({ "mail_id": sent["id"], "suppressed": true }));
    let bad = json!({ "recipient": "nobody", "kind": "soft" });
    problem(api.post("/v1/mail/bounces").json(&bad).send().await.unwrap(), StatusCode::BAD_REQUEST).await;

    let page = api.json("/v1/mail/suppressions?limit=1").await;
    assert_eq!(
        (page["items"][0]["address"].as_str(), page["items"][0]["reason"].as_str()),
        (Some("ops0@acme.example"), Some("gone"))
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api.json(&format!("/v1/mail/suppressions?limit=1&cursor={cursor}")).await;
    assert_eq!((rest["items"][0]["address"].as_str(), &rest["next_cursor"]), (Some("ops1@acme.example"), &json!(null)));
    problem(api.get("/v1/mail/suppressions?cursor=zz").send().await.unwrap(), StatusCode::BAD_REQUEST).await;

    let other = api.other_key().await;
    let lift = "/v1/mail/suppressions?address=OPS0@acme.example";
    problem(api.bare("DELETE", lift).bearer_auth(&other).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    let lifted = api.bare("DELETE", lift).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(lifted.status(), StatusCode::NO_CONTENT);
    problem(api.bare("DELETE", lift).bearer_auth(&api.key).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    let none = api.bare("DELETE", "/v1/mail/suppressions").bearer_auth(&api.key).send().await.unwrap();
    problem(none, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn mails_are_sent_again_when_it_is_asked_for() {
    let api = api().await;
    send(&api, None, vec![letter(0)]).await;
    let kept = api.json("/v1/mail").await["items"][0].clone();
    let path = format!("/v1/mail/{}/resend", kept["id"].as_str().unwrap());
    let ask = async |path: &str, key: &str| api.bare("POST", path).bearer_auth(key).send().await.unwrap();
    problem(ask(&path, &api.other_key().await).await, StatusCode::NOT_FOUND).await;
    problem(ask("/v1/mail/7/resend", &api.key).await, StatusCode::NOT_FOUND).await;
    problem(ask(&format!("{path}?force=maybe"), &api.key).await, StatusCode::BAD_REQUEST).await;

    let begun = body(ask(&path, &api.key).await, StatusCode::ACCEPTED).await;
    assert_eq!((&begun["id"], &begun["state"], &begun["attempts"]), (&kept["id"], &json!("sending"), &json!(0)));
    assert_ne!(begun["message_id"], kept["message_id"]);
    let twice = problem(ask(&format!("{path}?force=true"), &api.key).await, StatusCode::CONFLICT).await;
    assert!(twice["detail"].as_str().unwrap().contains("on its way"), "{twice}");
    let jobs: Vec<(ClientId, serde_json::Value)> =
        sqlx::query_as("select client_id, payload from gristmill.jobs where name = 'mail.send'")
            .fetch_all(&api.stack.pool)
            .await
            .unwrap();
    let payload = json!({ "client_id": api.client_id, "kind": kept["kind"], "ref": kept["ref"] });
    assert_eq!(jobs, [(api.client_id, payload)]);

    // As its worker would.
    let server = SmtpServer::start().await;
    send(&api, Some(&server), vec![letter(0)]).await;
    assert_eq!(server.accepted()[0].message_id, begun["message_id"].as_str().unwrap());
    let twice = problem(ask(&path, &api.key).await, StatusCode::CONFLICT).await;
    assert!(twice["detail"].as_str().unwrap().contains("?force=true"), "{twice}");
    body(ask(&format!("{path}?force=true"), &api.key).await, StatusCode::ACCEPTED).await;
}
