//! Every page answers, every link in it leads below the base, and it is live.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_board::{Board, BoardError, Entry, Page};
use gristmill_queue::Options;

use crate::served::{BASE, Filled, Served, enqueue, serve, until};

/// The values of an attribute, without the escapes of HTML.
fn values(html: &str, attribute: &str) -> Vec<String> {
    let start = format!(" {attribute}=\"");
    let all = html.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
    all.map(|value| value.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

/// Asks for every page that links lead to, from the overview on, and returns them. Each link must begin with the base, and
/// each button lead to an action below it.
async fn walk(served: &Served) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut ahead: BTreeSet<String> = [format!("{BASE}/")].into();
    while let Some(path) = ahead.pop_first() {
        let (status, text) = served.page(&path).await;
        assert_eq!(status, 200, "{path}: {text}");
        for attribute in ["href", "src", "action", "data-live"] {
            for link in values(&text, attribute) {
                // What is of the same page.
                if link.is_empty() || link.starts_with('?') || link.starts_with('#') {
                    continue;
                }
                assert!(link.starts_with(&format!("{BASE}/")), "{path} leads out of the board: {attribute}={link}");
                // Of what never ends only the address is looked at.
                if attribute != "data-live" && !found.contains_key(&link) && link != path {
                    ahead.insert(link);
                }
            }
        }
        for button in values(&text, "hx-post") {
            assert!(button.starts_with(&format!("{BASE}/act/")), "{path}: {button}");
        }
        found.insert(path, text);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_and_every_link_leads_below_the_base() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    // The lists of what to choose from come with the first look.
    until("the first look", async || served.page(&format!("{BASE}/jobs")).await.1.contains("<option value=\"thumbs/"))
        .await;
    let job = filled.dead;
    let lines = r#"[{"at": "2026-01-31T07:00:00.5Z", "level": "warn", "message": "<b>half</b> of it"}]"#;
    sqlx::query("insert into shop_queue.job_logs (job_id, attempt, lines, dropped) values ($1, 1, $2::jsonb, 1200)")
        .bind(job)
        .bind(lines)
        .execute(filled.queue.pool())
        .await
        .unwrap();
    let found = walk(&served).await;
    let queue = "thumbs%2Flarge%20%26%20small";
    for page in [
        "/",
        "/jobs",
        "/groups",
        "/queues",
        "/limits",
        "/workers",
        "/schedules",
        "/dead",
        "/audit",
        &format!("/jobs/{job}"),
        &format!("/groups/{}", filled.group),
        &format!("/queues/{queue}"),
        &format!("/jobs?state=dead&queue={queue}"),
    ] {
        let text = found.get(&format!("{BASE}{page}")).unwrap_or_else(|| panic!("no link leads to {page}"));
        assert!(text.contains("<h1>"), "{page}");
    }
    let page = |path: &str| &found[&format!("{BASE}{path}")];
    assert!(page("/").contains("1 job is dead") && page("/").contains("<title>Overview · Gristmill</title>"));
    assert!(page(&format!("/jobs/{job}")).contains("dead.png is &#60;no&#62; picture"));
    for said in ["Log of attempt 1", "1,200 lines before these", "07:00:00.500", "&#60;b&#62;half&#60;/b&#62; of it"] {
        assert!(page(&format!("/jobs/{job}")).contains(said), "{said}");
    }
    assert!(page(&format!("/queues/{queue}")).contains("<h1>thumbs/large &#38; small"));
    assert!(page("/workers").contains("1 of 1 slots") && page("/schedules").contains("every day at 03:00"));
    assert!(page(&format!("/groups/{}", filled.group)).contains("<h1>Spring"));
    // On nobody's behalf, so no page speaks of clients.
    assert!(!page("/jobs").contains("Client") && !page("/groups").contains("Client"));
    // The same without the slash, and nothing else of the server.
    assert_eq!(served.page(BASE).await.0, 200);
    assert_eq!(served.page("/").await, (200, "the shop".to_owned()));
    assert_eq!(served.page("/jobs").await, (404, String::new()));
    let (status, missing) = served.page(&format!("{BASE}/nothing/here")).await;
    assert!(status == 404 && missing.contains("Nothing is here") && missing.contains(&format!("href=\"{BASE}/\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_redis_has_a_board_that_does_not_speak_of_one() {
    let filled = Filled::on_postgres_alone().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    until("the engines", async || served.page(BASE).await.1.contains("<dt>postgres</dt>")).await;
    for (page, text) in walk(&served).await {
        assert!(!text.contains("Redis") && !text.contains("<dt>redis</dt>"), "{page}: {text}");
    }
    let (_, workers) = served.page(&format!("{BASE}/workers")).await;
    assert!(workers.contains("1 of 1 slots"), "{workers}");
    let pause = served.press("queues/thumbs%2Flarge%20%26%20small/pause");
    assert_eq!(pause.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_moves_while_somebody_looks() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let beat = served.event("/jobs", "a beat", |event| event.starts_with("event: beat")).await;
    assert!(beat.contains(r#""fault":null"#), "{beat}");
    let id = enqueue(&filled.queue, "new.png", &Options::default()).await.to_string();
    let shown = served.event("/jobs", "the new job", |event| event.contains(&id)).await;
    assert!(shown.contains(&format!("href=\"{BASE}/jobs/{id}\"")), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn styles_and_scripts_come_with_it_and_nothing_from_elsewhere() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone())).await;
    let answer = served.get(&format!("{BASE}/assets/app.css")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/css; charset=utf-8");
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let page = served.get(&format!("{BASE}/queues")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'; script-src 'self'"), "{policy}");
    let own = served.get("/").send().await.unwrap();
    assert!(own.headers().get("content-security-policy").is_none(), "the server's own pages are its own");
}

struct At(&'static str);

impl Page for At {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new(self.0, "Mine"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mounted_is_an_error_when_the_router_is_made() {
    let filled = Filled::new().await;
    let board = || Board::new(filled.queue.clone());
    let error = board().base("admin/jobs").router().unwrap_err();
    let text = "the board's base path is `admin/jobs`, and it must begin with `/`: write it like `/admin/jobs`, or `/` for the root";
    assert_eq!(error.to_string(), text);
    for base in ["/admin/", "/admin//jobs", "/{id}", "/a b", "/.."] {
        assert!(matches!(board().base(base).router(), Err(BoardError::Base { .. })), "{base}");
    }
    for taken in ["jobs", "live", "audit"] {
        assert!(matches!(board().page(At(taken)).router(), Err(BoardError::SameAddress(path)) if path == taken));
    }
    for wrong in ["", "a/b", "a b"] {
        assert!(matches!(board().page(At(wrong)).router(), Err(BoardError::Address(path)) if path == wrong));
    }
    assert!(matches!(board().page(At("mine")).page(At("mine")).router(), Err(BoardError::SameAddress(_))));
    assert!(board().base("/").page(At("mine")).router().is_ok());
}
