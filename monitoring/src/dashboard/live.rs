//! What moves: a page's inside, rendered again while somebody looks, and sent when it has changed. However many look at
//! the same page, it is rendered once.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Query, State},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::watch;

use super::{app::App, page::Target, session::Session};

/// Between two looks; longer where a look takes long, so that it never costs more than a tenth of a processor.
const EVERY: Duration = Duration::from_millis(200);
/// Then the browser connects anew, and whether it still may is asked again.
const LONGEST: Duration = Duration::from_secs(600);

/// Pages that somebody looks at, by what they show to whom.
#[derive(Default)]
pub(super) struct Live(Mutex<HashMap<Shown, Arc<watch::Sender<Arc<str>>>>>);

type Shown = (String, bool);

impl Live {
    fn pages(&self) -> std::sync::MutexGuard<'_, HashMap<Shown, Arc<watch::Sender<Arc<str>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    to: String,
}

pub(super) async fn live(State(app): State<App>, session: Session, Query(wanted): Query<Wanted>) -> Response {
    let Some(target) = Target::parse(&wanted.to) else { return StatusCode::NOT_FOUND.into_response() };
    let shown = watch_page(&app, wanted.to, session.operator, target);
    let looks = stream::unfold((shown, true), |(mut shown, first)| async move {
        if !first && shown.changed().await.is_err() {
            return None;
        }
        let html = Arc::clone(&shown.borrow_and_update());
        // What was not rendered yet comes with the first change.
        let event = (!html.is_empty()).then(|| Ok::<_, Infallible>(Event::default().data(&*html)));
        Some((event, (shown, false)))
    });
    let looks = looks.filter_map(std::future::ready).take_until(tokio::time::sleep(LONGEST));
    Sse::new(looks).keep_alive(KeepAlive::default()).into_response()
}

fn watch_page(app: &App, to: String, operator: bool, target: Target) -> watch::Receiver<Arc<str>> {
    let mut pages = app.live.pages();
    let shown = (to, operator);
    if let Some(sender) = pages.get(&shown) {
        return sender.subscribe();
    }
    let (sender, receiver) = watch::channel(Arc::from(""));
    let sender = Arc::new(sender);
    pages.insert(shown.clone(), Arc::clone(&sender));
    tokio::spawn(look(Arc::clone(app), shown, target, sender));
    receiver
}

async fn look(app: App, shown: Shown, target: Target, sender: Arc<watch::Sender<Arc<str>>>) {
    loop {
        let begun = Instant::now();
        match target.inside(&app, shown.1).await {
            Ok(Some(inside)) => {
                sender.send_if_modified(|last| {
                    let changed = **last != *inside.html;
                    if changed {
                        *last = Arc::from(inside.html.as_str());
                    }
                    changed
                });
            }
            // It was there when the page was shown, and is gone: what is shown stays.
            Ok(None) => {}
            Err(error) => tracing::warn!(error = %error, page = shown.0, "cannot be rendered"),
        }
        tokio::time::sleep(EVERY.max(begun.elapsed() * 9)).await;
        let mut pages = app.live.pages();
        if sender.receiver_count() == 0 {
            pages.remove(&shown);
            return;
        }
    }
}
