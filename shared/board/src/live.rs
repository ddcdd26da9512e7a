//! What moves: a page's inside, rendered again while somebody looks, and sent when it has changed. However many look at
//! the same page, it is rendered once. Each browser also hears every second how old what it shows is, and what keeps it
//! from being renewed.

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
        sse::{Event, Sse},
    },
};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::{access::Person, board::App, frame, visit::PageUrl};

/// Between two looks; longer where a look takes long, so that it costs about a tenth of a processor…
const EVERY: Duration = Duration::from_millis(200);
/// …but never longer than this: what was out of order is seen to be well again.
const MAX_PAUSE: Duration = Duration::from_secs(4);
/// After a look that failed.
const ANEW: Duration = Duration::from_millis(500);
/// How often a browser hears how old its page is.
const BEAT: Duration = Duration::from_secs(1);
/// Then the browser connects anew, and whether it still may is asked again.
const MAX_STREAM_AGE: Duration = Duration::from_secs(600);

/// Pages that somebody looks at, by what they show to whom.
#[derive(Default)]
pub(crate) struct Live(Mutex<HashMap<ViewKey, Arc<WatchedPage>>>);

type ViewKey = (String, bool);

struct WatchedPage {
    sender: watch::Sender<Look>,
    /// Somebody has come who waits for a look of now.
    wanted: Notify,
}

/// The last look at a page.
#[derive(Clone)]
struct Look {
    html: Arc<str>,
    /// Counts the changes of `html`; 0: there was no look yet that succeeded.
    change: u64,
    /// When the last look that succeeded began.
    begun: Instant,
    /// Why there was none since.
    fault: Option<&'static str>,
}

impl Live {
    fn pages(&self) -> std::sync::MutexGuard<'_, HashMap<ViewKey, Arc<WatchedPage>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
pub(crate) struct StreamQuery {
    to: String,
}

/// What a browser hears every second.
#[derive(Serialize)]
struct Beat {
    /// Milliseconds since the page was as it is shown.
    age: u64,
    fault: Option<&'static str>,
}

pub(crate) async fn live(State(app): State<App>, person: Person, Query(wanted): Query<StreamQuery>) -> Response {
    let Some(target) = PageUrl::parse(&wanted.to) else { return StatusCode::NOT_FOUND.into_response() };
    let ended = ended(Arc::clone(&app), person.clone());
    let viewing = Viewer {
        looks: watch_page(&app, wanted.to, person.may_act, target),
        // The browser shows what was rendered a moment ago: what was seen before that is older.
        since: Instant::now(),
        has: 0,
        clock: tokio::time::interval(BEAT),
    };
    let events = stream::unfold(viewing, |mut viewing| async move {
        let event = viewing.next().await?;
        Some((Ok::<_, Infallible>(event), viewing))
    });
    let over = async move {
        tokio::select! {
            () = tokio::time::sleep(MAX_STREAM_AGE) => {}
            () = ended => {}
        }
    };
    Sse::new(events.take_until(Box::pin(over))).into_response()
}

/// How often it is asked whether somebody still may look.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Ends when somebody may look no more: by a logout, for example.
async fn ended(app: App, person: Person) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        if !app.access.stands(&person).await {
            return;
        }
    }
}

/// One browser that looks at a page.
struct Viewer {
    looks: watch::Receiver<Look>,
    since: Instant,
    /// The change that the browser has; 0: what came with the page.
    has: u64,
    clock: tokio::time::Interval,
}

impl Viewer {
    /// The page when it has changed, else once a second how old it is; none: nobody looks any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                _ = self.clock.tick() => {
                    let look = self.looks.borrow();
                    let seen = if look.begun < self.since { self.since } else { look.begun };
                    let age = u64::try_from(seen.elapsed().as_millis()).unwrap_or(u64::MAX);
                    return Event::default().event("beat").json_data(Beat { age, fault: look.fault }).ok();
                }
                looked = self.looks.changed() => {
                    looked.ok()?;
                    let look = self.looks.borrow_and_update();
                    if look.change != self.has && look.begun >= self.since {
                        self.has = look.change;
                        return Some(Event::default().data(&*look.html));
                    }
                }
            }
        }
    }
}

fn watch_page(app: &App, to: String, may_act: bool, target: PageUrl) -> watch::Receiver<Look> {
    let mut pages = app.live.pages();
    let shown = (to, may_act);
    if let Some(watched) = pages.get(&shown) {
        watched.wanted.notify_one();
        return watched.sender.subscribe();
    }
    let look = Look { html: Arc::from(""), change: 0, begun: Instant::now(), fault: None };
    let watched = Arc::new(WatchedPage { sender: watch::Sender::new(look), wanted: Notify::new() });
    let receiver = watched.sender.subscribe();
    pages.insert(shown.clone(), Arc::clone(&watched));
    tokio::spawn(keep_looking(Arc::clone(app), shown, target, watched));
    receiver
}

async fn keep_looking(app: App, shown: ViewKey, target: PageUrl, watched: Arc<WatchedPage>) {
    loop {
        let begun = Instant::now();
        let found = frame::render(&app, &target, shown.1).await;
        let failed = found.is_err();
        watched.sender.send_modify(|look| match found {
            Ok(inside) => {
                look.begun = begun;
                look.fault = None;
                // None: it was there when the page was shown, and is gone. What is shown stays.
                if let Some(inside) = inside.filter(|inside| *look.html != *inside.html || look.change == 0) {
                    look.html = Arc::from(inside.html);
                    look.change += 1;
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, page = shown.0, "cannot be rendered");
                look.fault = Some(app.history.unreachable());
            }
        });
        let pause = if failed { ANEW } else { EVERY.max(begun.elapsed() * 9).min(MAX_PAUSE) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = watched.wanted.notified() => {}
        }
        let mut pages = app.live.pages();
        if watched.sender.receiver_count() == 0 {
            pages.remove(&shown);
            return;
        }
    }
}
