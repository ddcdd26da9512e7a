//! What an application adds.

use std::{collections::HashMap, sync::Arc, sync::Mutex};

use axum::{Router, routing::get};
use futures::future::BoxFuture;
use gristmill_board::{
    Audit, AuditEntry, Board, ClientNames, Error, Frames, Owner, Owners, Page, PageBody, Person, RecentActions, Visit,
};
use gristmill_queue::{ClientId, GroupId, JobDetail};
use http::Uri;

use crate::{
    embedded,
    served::{BASE, Filled, said, serve, serve_routes, with_form},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_example_has_its_page_its_button_and_its_cards() {
    let filled = Filled::new().await;
    let served = serve_routes(embedded::routes(filled.queue.clone()).unwrap()).await;
    let (_, overview) = served.page(BASE).await;
    for shown in [
        "<title>Overview · Shop</title>",
        "<h2>Shop</h2>",
        r#"<a href="/admin/jobs/orders" data-key="r">Orders</a>"#,
        r#"<a href="/admin/jobs/orders/7">1 order waits for stock</a>"#,
        r#"<article class="tile"><h2>Orders</h2>"#,
        "<dt><kbd>g</kbd> <kbd>r</kbd></dt><dd>Orders</dd>",
    ] {
        assert!(overview.contains(shown), "{shown}: {overview}");
    }
    let (status, list) = served.page(&format!("{BASE}/orders")).await;
    assert!(status == 200 && list.contains(r#"aria-current="page">Orders"#), "{list}");
    let (_, one) = served.page(&format!("{BASE}/orders/7")).await;
    assert!(one.contains(r#"hx-post="/admin/jobs/act/orders/7/ship""#), "{one}");
    for missing in ["orders/seven", "orders/7/8"] {
        assert_eq!(served.page(&format!("{BASE}/{missing}")).await.0, 404, "{missing}");
    }
    assert_eq!(said(served.press("orders/7/ship")).await, (200, "Order 7 is on its way".to_owned()));
    assert_eq!(said(served.press("orders/0/ship")).await, (409, "Order 0 is a test".to_owned()));
    let (_, audit) = served.page(&format!("{BASE}/audit")).await;
    for line in [
        "<code>orders.ship</code></td><td class=\"long\">7</td><td>Order 7 is on its way",
        "Not done: Order 0 is a test",
    ] {
        assert!(audit.contains(line), "{line}: {audit}");
    }
    let ship = gristmill_queue::testing::waiting::<embedded::Ship>(&filled.queue).await.unwrap();
    assert_eq!(ship.iter().map(|waiting| waiting.job.order).collect::<Vec<_>>(), [7]);
}

/// Answers `/files/raw` itself, and leaves the rest to the page.
struct Files;

impl Page for Files {
    fn entry(&self) -> Option<gristmill_board::Entry> {
        Some(gristmill_board::Entry::new("files", "Files"))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        Box::pin(async move {
            match visit.rest()[..] {
                ["broken"] => Err("the disk is gone".into()),
                [name] => Ok(Some(PageBody::html("File", format!("<h1>{name}</h1>")))),
                _ => Ok(None),
            }
        })
    }

    fn routes(&self) -> Router {
        let answer = async |person: Person, frames: Frames, uri: Uri| {
            if uri.path().ends_with("raw") {
                axum::response::IntoResponse::into_response(person.name)
            } else {
                frames.show(&person, &uri).await
            }
        };
        Router::new().route("/files/{name}", get(answer))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_routes_beside_it_and_its_faults_are_told() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone()).page(Files)).await;
    assert_eq!(served.page(&format!("{BASE}/files/raw")).await, (200, "local".to_owned()));
    let (status, page) = served.page(&format!("{BASE}/files/march")).await;
    assert!(status == 200 && page.contains("<h1>march</h1>") && page.contains("<title>File · Gristmill"), "{page}");
    let (status, broken) = served.page(&format!("{BASE}/files/broken")).await;
    assert!(status == 503 && broken.contains(">Retry</a>") && !broken.contains("the disk is gone"), "{broken}");
}

/// Every job is of order 7, which is of a client; what is dead is needed.
struct Orders;

impl Owners for Orders {
    fn clients(&self) -> BoxFuture<'_, Result<Option<ClientNames>, Error>> {
        Box::pin(async { Ok(Some(vec![(ClientId::from(3), "acme".to_owned())])) })
    }

    fn of_job<'a>(&'a self, _: &'a JobDetail) -> BoxFuture<'a, Result<Option<Owner>, Error>> {
        Box::pin(async { Ok(Some(Owner::new("order", "order 7").at("/orders/7").noted("line 2"))) })
    }

    fn of_groups<'a>(&'a self, groups: &'a [GroupId]) -> BoxFuture<'a, Result<HashMap<GroupId, Owner>, Error>> {
        let of = |id: &GroupId| (*id, Owner::new("order", "order 7").at("/orders/7").of("acme"));
        Box::pin(async move { Ok(groups.iter().map(of).collect()) })
    }

    fn needs_job(&self, job: &JobDetail) -> Option<String> {
        (job.job.state == gristmill_queue::JobState::Dead).then(|| "order 7".to_owned())
    }

    fn needs_group(&self, _: GroupId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        Box::pin(async { Ok(Some("order 7".to_owned())) })
    }

    fn needed_names(&self) -> Vec<String> {
        vec!["thumbs.make".to_owned()]
    }

    fn queues(&self) -> Vec<String> {
        vec!["never-used".to_owned()]
    }

    fn fair_key_of(&self, _: &str) -> &str {
        "shop"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_groups_lead_to_what_they_are_of_and_are_not_ended_behind_its_back() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone()).owners(Orders)).await;
    let link = r#"<a href="/admin/jobs/orders/7">order 7</a>"#;
    let (_, job) = served.page(&format!("{BASE}/jobs/{}", filled.dead)).await;
    assert!(job.contains(&format!("<dt>From</dt><dd>{link}, line 2</dd>")) && !job.contains("Discard"), "{job}");
    let (_, group) = served.page(&format!("{BASE}/groups/{}", filled.group)).await;
    assert!(group.contains(&format!("<dt>Of</dt><dd>{link}</dd><dt>Client</dt><dd>acme</dd>")), "{group}");
    assert!(group.contains(r#"href="/admin/jobs/orders/7">Open order</a>"#) && !group.contains("Cancel this group"));
    let (_, groups) = served.page(&format!("{BASE}/groups")).await;
    assert!(groups.contains(&format!(r#"<td>{link}</td><td class="name" title="acme">acme</td>"#)), "{groups}");
    let (_, jobs) = served.page(&format!("{BASE}/jobs?client=acme")).await;
    assert!(jobs.contains(r#"<option value="acme">"#) && jobs.contains("0 found"), "{jobs}");
    assert!(served.page(&format!("{BASE}/jobs")).await.1.contains("<th>Client</th>"));
    let (_, queue) = served.page(&format!("{BASE}/queues/thumbs%2Flarge%20%26%20small")).await;
    assert!(queue.contains("Per-shop limit"), "{queue}");

    let needed = "is order 7's, which cannot do without it: cancel that instead";
    let discard = said(served.press(&format!("jobs/{}/discard", filled.dead))).await;
    assert_eq!(discard, (409, format!("The job {needed}")));
    let cancel = said(served.press(&format!("groups/{}/cancel", filled.group))).await;
    assert_eq!(cancel, (409, format!("The group {needed}")));
    let all = said(with_form(served.press("jobs/discard"), &[("matching", "state=dead")])).await;
    assert_eq!(all, (200, "0 discarded".to_owned()));
    assert_eq!(said(served.press("queues/never-used/pause")).await.0, 200);
}

/// Notes nothing once it is full.
#[derive(Clone, Default)]
struct Full(Arc<Mutex<bool>>);

impl Audit for Full {
    fn begin<'a>(&'a self, _: &'a Person, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<i64, Error>> {
        let full = *self.0.lock().unwrap();
        Box::pin(async move { if full { Err("the disk is full".into()) } else { Ok(1) } })
    }

    fn end<'a>(&'a self, _: i64, _: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        *self.0.lock().unwrap() = true;
        Box::pin(async { Ok(()) })
    }

    fn refused<'a>(&'a self, _: &'a Person, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn list(&self, _: Option<i64>, _: i64) -> BoxFuture<'_, Result<Vec<AuditEntry>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_noted_is_not_done() {
    let filled = Filled::new().await;
    let served = serve(Board::new(filled.queue.clone()).audit(Full::default())).await;
    let queue = "queues/thumbs%2Flarge%20%26%20small";
    assert_eq!(said(served.press(&format!("{queue}/pause"))).await.0, 200);
    let (status, text) = said(served.press(&format!("{queue}/resume"))).await;
    assert!(status == 503 && text.contains("the disk is full"), "{status}: {text}");
    assert!(filled.queue.queues().list().await.unwrap().iter().any(|queue| queue.paused), "it still is");
    assert!(RecentActions::default().list(None, 1).await.unwrap().is_empty());
}
