//! From a queue to a router.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use futures::future::BoxFuture;
use gristmill_queue::Queue;
use tower_http::{compression::CompressionLayer, csrf::CsrfLayer};

use crate::{
    access::{Access, Loopback},
    actions, assets,
    audit::{Audit, RecentActions},
    base,
    engines::{self, Engine},
    extend::{Entry, Nobody, Owners, Page},
    frame,
    history::{self, History},
    live::{self, Live},
    security_headers,
};

/// A dashboard in the making: what it shows, where it is mounted, who comes in and what an application adds. [`Board::router`]
/// makes it.
pub struct Board {
    queue: Queue,
    base: String,
    name: String,
    access: Box<dyn Access>,
    audit: Box<dyn Audit>,
    owners: Box<dyn Owners>,
    pages: Vec<Box<dyn Page>>,
    examine: Box<Examine>,
    when_empty: HashMap<&'static str, String>,
}

/// Asks how the engines are.
type Examine = dyn Fn() -> BoxFuture<'static, Vec<Engine>> + Send + Sync;

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// It cannot be mounted there.
    #[error("the board's base path is `{path}`, and it {why}: write it like `/admin/jobs`, or `/` for the root")]
    Base {
        /// What was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Links to a page could not be told from others.
    #[error("a page of the board has the address `{0}`: give it one word of letters, digits, `-` and `_`")]
    Address(String),
    /// Only one of them could be shown.
    #[error("the board has a page at `{0}` already: give the other one another address")]
    SameAddress(String),
    /// Somebody could guess it.
    #[error("the key of {name} is too short: take one of at least {min} random characters")]
    ShortKey {
        /// Whose.
        name: String,
        /// Characters that it must have.
        min: usize,
    },
    /// Nobody could tell them apart.
    #[error("{name} and {other} have the same key: give each one of their own")]
    SameKey {
        /// Who came second.
        name: String,
        /// Who has it.
        other: String,
    },
    /// No request has one.
    #[error("`{0}` cannot be the name of a header")]
    Header(String),
}

/// What the pages are made from.
pub(crate) struct State {
    pub(crate) queue: Queue,
    pub(crate) base: Arc<str>,
    pub(crate) name: String,
    pub(crate) navigation: Vec<Section>,
    pub(crate) access: Box<dyn Access>,
    pub(crate) audit: Box<dyn Audit>,
    pub(crate) owners: Box<dyn Owners>,
    pub(crate) pages: Vec<Box<dyn Page>>,
    pub(crate) examine: Box<Examine>,
    pub(crate) live: Live,
    pub(crate) history: History,
    when_empty: HashMap<&'static str, String>,
}

pub(crate) type App = Arc<State>;

impl State {
    /// What is said on a page on which there is nothing, as HTML.
    pub(crate) fn when_empty(&self, page: &str) -> String {
        self.when_empty.get(page).cloned().unwrap_or_default()
    }
}

/// A heading of the navigation and what stands under it.
pub(crate) struct Section {
    /// None at the first one.
    pub(crate) name: Option<String>,
    pub(crate) entries: Vec<Entry>,
}

const QUEUE: &str = "Queue";
const ACCESS: &str = "Access";
/// Addresses below the base that are no pages.
const TAKEN: [&str; 4] = ["act", "assets", "live", "logout"];

impl Board {
    /// Of this queue, at the root, open to this machine only.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        let asked = queue.clone();
        let examine = move || -> BoxFuture<'static, Vec<Engine>> {
            let queue = asked.clone();
            Box::pin(async move { engines::examine(&queue).await })
        };
        Self {
            queue,
            base: String::new(),
            name: "Gristmill".to_owned(),
            access: Box::new(Loopback::default()),
            audit: Box::new(RecentActions::default()),
            owners: Box::new(Nobody),
            pages: Vec::new(),
            examine: Box::new(examine),
            when_empty: HashMap::new(),
        }
    }

    /// Mounts it there: `/admin/jobs`. All its addresses and links begin with it.
    #[must_use]
    pub fn base(self, path: impl Into<String>) -> Self {
        Self { base: path.into(), ..self }
    }

    /// Calls it this, in place of `Gristmill`: at the top of each page and in its title.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Lets in whom this lets in.
    #[must_use]
    pub fn access(self, access: impl Access) -> Self {
        Self { access: Box::new(access), ..self }
    }

    /// Notes actions there.
    #[must_use]
    pub fn audit(self, audit: impl Audit) -> Self {
        Self { audit: Box::new(audit), ..self }
    }

    /// Knows from this what jobs and groups are of.
    #[must_use]
    pub fn owners(self, owners: impl Owners) -> Self {
        Self { owners: Box::new(owners), ..self }
    }

    /// Adds a page, behind those that were added before.
    #[must_use]
    pub fn page(mut self, page: impl Page) -> Self {
        self.pages.push(Box::new(page));
        self
    }

    /// Asks this every two seconds how the engines are, in place of Postgres and the broker by itself.
    #[must_use]
    pub fn engines(self, examine: impl Fn() -> BoxFuture<'static, Vec<Engine>> + Send + Sync + 'static) -> Self {
        Self { examine: Box::new(examine), ..self }
    }

    /// Says this (as HTML) on one of the pages `groups`, `schedules` and `workers` while nothing is on it: how to begin, for
    /// example.
    #[must_use]
    pub fn when_empty(mut self, page: &'static str, html: impl Into<String>) -> Self {
        self.when_empty.insert(page, html.into());
        self
    }

    /// Its routes, for [`Router::merge`]: all are below the base (at the root the fallback is among them). It looks at the queues
    /// from now on, until the router is dropped.
    ///
    /// # Errors
    /// When the base path or the address of a page cannot be one.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, and when two pages have the same route, as axum does.
    pub fn router(self) -> Result<Router, BoardError> {
        let base: Arc<str> = base::checked(&self.base)?.into();
        let app: App = Arc::new(State {
            navigation: navigation(&self.pages)?,
            base: Arc::clone(&base),
            queue: self.queue,
            name: self.name,
            access: self.access,
            audit: self.audit,
            owners: self.owners,
            pages: self.pages,
            examine: self.examine,
            live: Live::default(),
            history: History::default(),
            when_empty: self.when_empty,
        });
        tokio::spawn(history::sample(Arc::downgrade(&app)));
        tokio::spawn(history::examine(Arc::downgrade(&app)));
        let whole = Router::new()
            .route("/assets/{name}", get(assets::asset))
            .merge(app.access.entrance().with_state(()))
            .merge(inside(&app))
            .layer(CompressionLayer::new())
            .layer(middleware::from_fn(security_headers::texts))
            .layer(middleware::map_response(security_headers::headers))
            .with_state(app);
        Ok(if base.is_empty() { whole } else { Router::new().nest_service(&base, whole) })
    }
}

/// What is behind the access.
fn inside(app: &App) -> Router<App> {
    let mut inside = Router::new().route("/live", get(live::live)).nest("/act", actions::routes(app));
    if app.access.has_exit() {
        inside = inside.route("/logout", post(frame::exit));
    }
    for page in &app.pages {
        inside = inside.merge(page.routes().with_state(()));
    }
    let inside =
        inside.fallback(get(frame::page)).layer(middleware::from_fn_with_state(Arc::clone(app), frame::require));
    if app.access.has_tokens() { inside } else { inside.layer(CsrfLayer::new()) }
}

/// The board's own pages and those that were added, under their headings.
fn navigation(pages: &[Box<dyn Page>]) -> Result<Vec<Section>, BoardError> {
    let own = |path, label, key: Option<char>| Entry { key, ..Entry::new(path, label) };
    let queue = vec![
        own("jobs", "Jobs", Some('j')),
        own("groups", "Groups", None),
        own("queues", "Queues", Some('q')),
        own("limits", "Limits", None),
        own("workers", "Workers", Some('w')),
        own("schedules", "Schedules", Some('s')),
        own("dead", "Dead letters", Some('d')),
    ];
    let mut sections = vec![
        Section { name: None, entries: vec![own("", "Overview", Some('o'))] },
        Section { name: Some(QUEUE.to_owned()), entries: queue },
    ];
    let mut access = Vec::new();
    for entry in pages.iter().filter_map(|page| page.entry()) {
        if entry.section.as_deref() == Some(ACCESS) {
            access.push(entry);
            continue;
        }
        match sections.iter_mut().find(|section| section.name.as_deref() == entry.section.as_deref()) {
            Some(section) => section.entries.push(entry),
            None => sections.push(Section { name: entry.section.as_deref().map(str::to_owned), entries: vec![entry] }),
        }
    }
    access.push(own("audit", "Audit", None));
    sections.push(Section { name: Some(ACCESS.to_owned()), entries: access });
    let mut taken: BTreeSet<&str> = TAKEN.into();
    for path in sections.iter().flat_map(|section| &section.entries).map(|entry| &*entry.path).skip(1) {
        if path.is_empty() || !path.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(BoardError::Address(path.to_owned()));
        }
        if !taken.insert(path) {
            return Err(BoardError::SameAddress(path.to_owned()));
        }
    }
    Ok(sections)
}
