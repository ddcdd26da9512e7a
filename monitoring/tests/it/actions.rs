//! The buttons: a route for each, and one frame around all of them.

use gristmill_platform::keys;
use secrecy::ExposeSecret as _;

use crate::dashboard::{Served, Session, serve};

/// Each action, done to what is not there: its address, and how the audit log names it.
const ACTIONS: [(&str, &str, &str); 26] = [
    ("jobs/ID/cancel", "jobs.cancel", "ID"),
    ("jobs/ID/redrive", "jobs.redrive", "ID"),
    ("jobs/ID/discard", "jobs.discard", "ID"),
    ("queues/none/pause", "queues.pause", "none"),
    ("queues/a%2Fb/resume", "queues.resume", "a/b"),
    ("queues/none/drain", "queues.drain", "none"),
    ("queues/none/limits", "queues.limits", "none"),
    ("workers/ID/drain", "workers.drain", "ID"),
    ("schedules/none/pause", "schedules.pause", "none"),
    ("schedules/none/resume", "schedules.resume", "none"),
    ("schedules/none/run", "schedules.run", "none"),
    ("groups/none/cancel", "groups.cancel", "none"),
    ("groups/ID/cancel", "groups.cancel", "ID"),
    ("groups/ID/retry", "groups.retry", "ID"),
    ("uploads/ID/cancel", "uploads.cancel", "ID"),
    ("uploads/ID/undo", "uploads.undo", "ID"),
    ("claims/7/ID/void", "claims.void", "7/ID"),
    ("bills/none/cancel", "bills.cancel", "none"),
    ("keys/none/revoke", "keys.revoke", "none"),
    ("webhooks/7/ID/enable", "webhooks.enable", "7/ID"),
    ("webhooks/7/ID/disable", "webhooks.disable", "7/ID"),
    ("webhooks/x/ID/test", "webhooks.test", "x/ID"),
    ("webhooks/7/ID/replay", "webhooks.replay", "7/ID"),
    ("deliveries/7/ID/ID/replay", "deliveries.replay", "7/ID/ID"),
    ("mail/7/ID/resend", "mail.resend", "7/ID"),
    ("mail/99999999999/ID/send_twice", "mail.send_twice", "99999999999/ID"),
];

async fn press(served: &Served, session: &Session, path: &str) -> (u16, String) {
    let answer = served.post(session, path).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn an_action_on_what_is_not_there_is_noted_by_its_name_and_target() {
    let served = serve().await;
    let key = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let session = served.log_in(key.secret.expose_secret()).await;
    let id = uuid::Uuid::new_v4().to_string();
    for (path, action, target) in ACTIONS {
        let (status, said) = press(&served, &session, &format!("/act/{}", path.replace("ID", &id))).await;
        assert_eq!((status, said.starts_with("It is gone, ")), (404, true), "{path}: {said}");
        let (_, _, noted, on, outcome) = served.audit().await.pop().unwrap();
        assert_eq!((noted.as_str(), on), (action, target.replace("ID", &id)), "{path}");
        let outcome = outcome.unwrap();
        assert_eq!(outcome, "Not done: it is not there, or cannot be done any more", "{path}");
    }
    for path in ["/act/jobs/cancel", "/act/jobs/redrive", "/act/jobs/discard"] {
        assert_eq!(press(&served, &session, path).await.0, 409, "{path}");
        let (_, _, noted, on, outcome) = served.audit().await.pop().unwrap();
        assert_eq!((noted, on.as_str()), (path[5..].replace('/', "."), "many"));
        assert_eq!(outcome.unwrap(), "Not done: No job is ticked: nothing was done");
    }
    let actions = i64::try_from(ACTIONS.len()).unwrap() + 3;
    let lines: i64 = sqlx::query_scalar("select count(*) from audit_log where action like '%.%'")
        .fetch_one(&served.stack.pool)
        .await
        .unwrap();
    assert_eq!(lines, actions, "a line for each");
}

#[tokio::test]
async fn an_action_that_there_is_not_is_not_found_and_not_noted() {
    let served = serve().await;
    let key = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let session = served.log_in(key.secret.expose_secret()).await;
    let before = served.audit().await.len();
    for path in
        ["/act/queues/chunks/explode", "/act/queues/chunks", "/act/jobs/1/2/cancel", "/act/none", "/act/x/y/z/a"]
    {
        assert_eq!(press(&served, &session, path).await.0, 404, "{path}");
    }
    let looked_at = served.http.get(format!("{}/act/queues/chunks/pause", served.url));
    let looked_at = looked_at.header("cookie", &session.cookie).send().await.unwrap();
    assert_eq!(looked_at.status().as_u16(), 405, "a look is no press");
    assert_eq!(served.audit().await.len(), before);
}

#[tokio::test]
async fn a_form_that_is_too_long_is_not_read() {
    let served = serve().await;
    let key = keys::create_operator(&served.stack.pool, "ops").await.unwrap();
    let session = served.log_in(key.secret.expose_secret()).await;
    let before = served.audit().await.len();
    let request = served.post(&session, "/act/jobs/cancel").body("id=x&".repeat(600_000));
    assert_eq!(request.send().await.unwrap().status().as_u16(), 413);
    assert_eq!(served.audit().await.len(), before);
}
