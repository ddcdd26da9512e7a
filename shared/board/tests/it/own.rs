//! An access of an application's own: sessions with tokens, a form, a way out.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use futures::future::{BoxFuture, ready};
use gristmill_board::{Access, Board, Denied, Page, Person, wants_page};
use http::{HeaderMap, StatusCode, request::Parts};

use crate::served::{BASE, Filled, said, serve, until};

/// One session, whose cookie is `session=7`, until it is over.
#[derive(Clone)]
struct Session(Arc<AtomicBool>);

impl Access for Session {
    fn person<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Person, Denied>> {
        let cookie = request.headers.get("cookie").and_then(|cookie| cookie.to_str().ok());
        let found = match cookie {
            Some("session=7") if self.0.load(Ordering::Relaxed) => {
                let mut ana = Person::operator("ana");
                ana.token = Some("token-7".to_owned());
                Ok(ana)
            }
            Some("session=8") => Err(Denied::Unknown("the sessions' disk is gone".into())),
            _ if wants_page(request) => Err(Redirect::to("/admin/jobs/enter").into_response().into()),
            _ => Err(Denied::say(StatusCode::UNAUTHORIZED, "Log in again.")),
        };
        Box::pin(ready(found))
    }

    fn stands<'a>(&'a self, person: &'a Person) -> BoxFuture<'a, bool> {
        assert_eq!(person.name, "ana");
        Box::pin(ready(self.0.load(Ordering::Relaxed)))
    }

    fn has_tokens(&self) -> bool {
        true
    }

    fn entrance(&self) -> Router {
        Router::new().route("/enter", get(|| async { "Who are you?" }))
    }

    fn has_exit(&self) -> bool {
        true
    }

    fn exit<'a>(&'a self, _: &'a HeaderMap) -> BoxFuture<'a, Response> {
        self.0.store(false, Ordering::Relaxed);
        Box::pin(ready(StatusCode::NO_CONTENT.into_response()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_sessions_let_in_and_end_what_is_live() {
    let filled = Filled::new().await;
    let lasts = Arc::new(AtomicBool::new(true));
    let served = serve(Board::new(filled.queue.clone()).access(Session(Arc::clone(&lasts)))).await;
    let queues = format!("{BASE}/queues");
    let answer = served.get(&queues).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/admin/jobs/enter".parse().unwrap()));
    assert_eq!(served.page(&format!("{BASE}/enter")).await, (200, "Who are you?".to_owned()));
    // A frame, and nothing in it that one had to be let in for.
    let (status, unknown) = said(served.get(&queues).header("cookie", "session=8")).await;
    assert!(status == 503 && unknown.contains(">Retry</a>") && !unknown.contains("signed in"), "{unknown}");
    assert!(!unknown.contains("disk is gone"), "{unknown}");

    let (status, page) = said(served.get(&queues).header("cookie", "session=7")).await;
    assert!(status == 200 && page.contains("signed in as ana") && page.contains(r#"data-csrf="token-7""#), "{page}");
    assert!(page.contains(r#"hx-post="/admin/jobs/logout""#), "{page}");
    let press = |token: &'static str| {
        let press = served.press("queues/thumbs%2Flarge%20%26%20small/pause").header("cookie", "session=7");
        press.header("x-csrf-token", token)
    };
    assert_eq!(said(press("token-8")).await.0, 403);
    // Tokens are what tells: a proxy may change what browsers say of the request.
    assert_eq!(said(press("token-7").header("origin", "https://shop.example")).await.0, 200);
    let (_, audit) = said(served.get(&format!("{BASE}/audit")).header("cookie", "session=7")).await;
    assert!(audit.contains("Refused: the session&#39;s token was not brought along"), "{audit}");

    let live = served.get(&format!("{BASE}/live?to=/queues")).header("cookie", "session=7").send().await.unwrap();
    assert_eq!(live.status().as_u16(), 200);
    let out = served.http.post(format!("{}{BASE}/logout", served.url)).header("cookie", "session=7");
    assert_eq!(said(out.header("x-csrf-token", "token-7")).await.0, 204);
    assert!(!lasts.load(Ordering::Relaxed));
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), live.bytes()).await;
    assert!(ended.is_ok(), "what is live ends with the session");
    assert_eq!(said(served.press("jobs/cancel").header("cookie", "session=7")).await.0, 401);
}

/// Held by the board while there is one.
struct Held(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Page for Held {}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_looks_at_nothing_once_its_router_is_gone() {
    let filled = Filled::new().await;
    let held = Arc::new(());
    let router = Board::new(filled.queue.clone()).page(Held(Arc::clone(&held))).router().unwrap();
    assert_eq!(Arc::strong_count(&held), 2);
    drop(router);
    until("the end of its looks", async || Arc::strong_count(&held) == 1).await;
}
