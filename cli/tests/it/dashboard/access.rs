//! Who comes in, and what a viewer may.

use super::{
    browser::{Browser, dashboard},
    database,
};
use crate::{
    stack::{Stack, stack},
    stderr, stdout,
};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_key_and_a_viewer_only_looks() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.go("/jobs").await;
    assert_eq!(browser.path().await, "/login");
    browser.enter_key("gm_0123").await;
    assert!(browser.text(".fault").await.contains("not the key"), "{}", browser.text(".fault").await);
    let clients = stdout(&stack.run(&["keys", "create", "--client", "somebody"]));
    browser.enter_key(clients.trim()).await;
    assert!(browser.text(".fault").await.contains("not the key"), "a client's key is not enough");

    let made = stack.run(&["keys", "create", "--client", "somebody", "--viewer"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let key = stdout(&made);
    browser.enter_key(key.trim()).await;
    assert_eq!(browser.path().await, "/");
    browser.go("/queues").await;
    assert_eq!(browser.ask("return document.querySelectorAll('main button').length").await, 0);
    let token = browser.ask("return document.body.dataset.csrf").await;
    let pause = "/act/queues/gristmill/pause";
    assert_eq!(browser.fetch("POST", pause, token.as_str().unwrap()).await.0, 403);
    assert_eq!(browser.fetch("POST", pause, "wrong").await.0, 403);
    let refused = reqwest_status(&stack, key.trim()).await;
    assert_eq!(refused, 401, "the API does not know a viewer's key");

    sqlx::query("delete from dashboard_sessions where who = 'somebody'")
        .execute(&mut database(&stack).await)
        .await
        .unwrap();
    assert_eq!(browser.fetch("POST", pause, token.as_str().unwrap()).await.0, 401);
    browser.go("/jobs").await;
    assert_eq!(browser.path().await, "/login", "the session has ended");
    browser.quit().await;

    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let log_in = async |key: &str| {
        let login = client.post(format!("{}/login", dashboard(&stack)));
        let login = login.header("content-type", "application/x-www-form-urlencoded").body(format!("key={key}"));
        login.send().await.unwrap().status().as_u16()
    };
    // Other tests come with this one, from the same address.
    let development = std::fs::read_to_string(stack.folder.path().join(".gristmill/dev.key")).unwrap();
    assert_eq!(log_in(development.trim()).await, 303);
    for _ in 0..10 {
        log_in("gm_0123").await;
    }
    assert_eq!(
        (log_in("gm_0123").await, log_in(key.trim()).await),
        (429, 303),
        "who tries keys keeps nobody out who was here"
    );
}

async fn reqwest_status(stack: &Stack, key: &str) -> u16 {
    let url = format!("{}/v1/uploads", stack.api);
    reqwest::Client::new().get(url).bearer_auth(key).send().await.unwrap().status().as_u16()
}

/// A link logs in once.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_does_not_work_twice() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    let token = "used-in-a-test";
    sqlx::query("insert into dashboard_links values (sha256($1::bytea), 'tester', now() + interval '1 hour')")
        .bind(token.as_bytes())
        .execute(&mut database(&stack).await)
        .await
        .unwrap();
    browser.go(&format!("/login?token={token}")).await;
    assert_eq!(browser.path().await, "/");
    browser.go(&format!("/login?token={token}")).await;
    assert_eq!(browser.path().await, "/", "who is in stays in");
    browser.quit().await;
    let browser = Browser::open(&stack).await;
    browser.go(&format!("/login?token={token}")).await;
    assert!(browser.text(".fault").await.contains("has been used"));
    let link = stdout(&stack.run(&["dashboard"]));
    let path = link.trim().strip_prefix(&dashboard(&stack)).unwrap();
    browser.go(path).await;
    assert_eq!(browser.path().await, "/");
    browser.quit().await;
}
