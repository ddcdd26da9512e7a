//! From an address to a page.

use std::{collections::BTreeMap, error::Error, fmt::Display, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse as _, Redirect, Response},
};
use gristmill_core::ClientId;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::{
    app::App,
    assets::VERSION,
    format, pages,
    session::{self, Session},
};
use crate::health::Readiness;

/// How long a page may take. All are made in a fraction of it; where an engine hangs, that is told instead.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a page cannot be made.
pub(super) type DashboardError = Box<dyn Error + Send + Sync>;

/// A page's inside: what moves.
pub(super) struct PageBody {
    pub(super) title: String,
    pub(super) html: String,
}

impl PageBody {
    pub(super) fn of(title: impl Into<String>, template: &impl Template) -> Result<Option<Self>, DashboardError> {
        Ok(Some(Self { title: title.into(), html: template.render()? }))
    }
}

/// Which page.
#[derive(Debug, Clone)]
pub(super) struct PageUrl {
    path: String,
    query: PageQuery,
}

/// What stands behind the `?`.
#[derive(Debug, Clone, Default)]
pub(super) struct PageQuery(BTreeMap<String, String>);

impl PageQuery {
    /// A value that is not blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The same as text, for a field of a form.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    pub(super) fn parse<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The same question with one thing changed, as a query.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let mut pairs = self.0.clone();
        pairs.insert(name.to_owned(), value.to_owned());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

/// Where a list goes on: older ones behind this page, the newest where this is not the first page.
pub(super) struct Pages {
    pub(super) older: Option<String>,
    pub(super) newest: Option<String>,
}

impl Pages {
    /// Of the answer to `asked`; `next` is what the next page is asked for with, if there is one.
    pub(super) fn of(asked: &PageQuery, next: Option<impl ToString>) -> Self {
        let older = next.map(|next| asked.with("before", &next.to_string()));
        Self { older, newest: asked.get("before").map(|_| asked.with("before", "")) }
    }
}

impl PageUrl {
    /// `/jobs?state=dead`; none when it is no such thing.
    pub(super) fn parse(to: &str) -> Option<Self> {
        let uri: Uri = to.parse().ok()?;
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let query = PageQuery(query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect());
        uri.path().starts_with('/').then(|| Self { path: uri.path().to_owned(), query })
    }

    /// What stands behind its `?`.
    pub(super) fn into_query(self) -> PageQuery {
        self.query
    }

    /// What it shows; none: there is no such page.
    pub(super) async fn inside(&self, app: &App, operator: bool) -> Result<Option<PageBody>, DashboardError> {
        let segments: Vec<&str> = self.path.split('/').filter(|segment| !segment.is_empty()).collect();
        pages::inside(app, operator, &segments, &self.query).await
    }
}

/// A page's inside, unless an engine keeps it waiting.
pub(super) async fn render(app: &App, target: &PageUrl, operator: bool) -> Result<Option<PageBody>, DashboardError> {
    match tokio::time::timeout(PAGE_TIMEOUT, target.inside(app, operator)).await {
        Ok(found) => found,
        Err(_) => Err(format!("nothing came within {} s", PAGE_TIMEOUT.as_secs()).into()),
    }
}

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    version: &'a str,
    title: &'a str,
    /// None: who asks is not known, as Postgres does not say it.
    session: Option<&'a Session>,
    /// The page's address, as the live part asks for it.
    live: Option<String>,
    /// Whether the browser is to ask again by itself.
    retry: bool,
    section: &'a str,
    inside: &'a str,
}

impl Frame<'_> {
    const SECTIONS: &'static [(&'static str, &'static [(&'static str, &'static str)])] = &[
        ("", &[("", "Overview"), ("uploads", "Uploads")]),
        (
            "Queue",
            &[
                ("jobs", "Jobs"),
                ("groups", "Groups"),
                ("queues", "Queues"),
                ("workers", "Workers"),
                ("schedules", "Schedules"),
                ("dead", "Dead letters"),
            ],
        ),
        (
            "Back office",
            &[
                ("bills", "Bills"),
                ("mail", "Mail"),
                ("webhooks", "Webhooks"),
                ("normalizations", "Normalizations"),
                ("claims", "Claims"),
                ("usage", "Usage"),
            ],
        ),
        ("Access", &[("keys", "Clients and keys"), ("audit", "Audit")]),
    ];
}

/// Pages about one client.
const OF_ONE_CLIENT: [&str; 6] = ["/bills", "/mail", "/webhooks", "/normalizations", "/claims", "/usage"];
/// Which client was chosen last.
const CHOSEN: &str = "gristmill_client";

/// The client that such a page is about when its address does not say it: the one that was chosen on another one.
fn chosen_before(target: &PageUrl, headers: &HeaderMap) -> Option<Response> {
    let left_open = OF_ONE_CLIENT.contains(&target.path.as_str())
        && target.query.get("client").is_none()
        && target.query.get("failing").is_none();
    let client: ClientId = session::cookie_of(headers, CHOSEN).filter(|_| left_open)?.parse().ok()?;
    let query = target.query.with("client", &client.to_string());
    Some(Redirect::to(&format!("{}?{query}", target.path)).into_response())
}

/// Keeps the choice that the address says.
fn keep_choice(target: &PageUrl, response: &mut Response) {
    if !OF_ONE_CLIENT.contains(&target.path.as_str()) {
        return;
    }
    let kept = match target.query.get("client") {
        Some("all") => Some("0; Max-Age=0".to_owned()),
        Some(client) => client.parse::<ClientId>().ok().map(|client| format!("{client}; Max-Age=43200")),
        None => None,
    };
    let cookie =
        kept.and_then(|kept| HeaderValue::try_from(format!("{CHOSEN}={kept}; Path=/; HttpOnly; SameSite=Strict")).ok());
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

pub(super) async fn page(State(app): State<App>, session: Session, headers: HeaderMap, uri: Uri) -> Response {
    let to = uri.path_and_query().map_or("/", |to| to.as_str());
    let Some(target) = PageUrl::parse(to) else { return missing(&session) };
    if let Some(elsewhere) = chosen_before(&target, &headers) {
        return elsewhere;
    }
    let mut response = made(&app, &session, &target, to).await;
    keep_choice(&target, &mut response);
    response
}

async fn made(app: &App, session: &Session, target: &PageUrl, to: &str) -> Response {
    match render(app, target, session.operator).await {
        Ok(Some(inside)) => frame(StatusCode::OK, Some(session), to, &inside),
        Ok(None) => missing(session),
        Err(fault) => {
            tracing::error!(%fault, page = to, "a page of the dashboard failed");
            unreachable(app, Some(session), to)
        }
    }
}

fn frame(status: StatusCode, session: Option<&Session>, to: &str, inside: &PageBody) -> Response {
    let live = form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
    // What is missing does not come while one waits.
    let live = status.is_success().then_some(live);
    let section = to.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    let frame = Frame {
        version: VERSION,
        title: &inside.title,
        session,
        live,
        retry: status == StatusCode::SERVICE_UNAVAILABLE,
        section,
        inside: &inside.html,
    };
    match frame.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => broken(&error),
    }
}

fn missing(session: &Session) -> Response {
    let html = "<h1>Nothing is here</h1><p class=\"empty\">The page does not exist, or what it showed is gone. \
                <a href=\"/\">Back to the overview</a></p>";
    let inside = PageBody { title: "Nothing is here".into(), html: html.into() };
    frame(StatusCode::NOT_FOUND, Some(session), "/", &inside)
}

#[derive(Template)]
#[template(path = "unreachable.html")]
struct Unreachable {
    what: &'static str,
    /// None: nobody has looked yet.
    engines: Option<Arc<Readiness>>,
}

/// What stands in a page's place while an engine does not answer: it says which, and asks again by itself.
pub(super) fn unreachable(app: &App, session: Option<&Session>, to: &str) -> Response {
    let told = Unreachable { what: app.history.unreachable(), engines: app.history.engines() };
    match told.render() {
        Ok(html) => {
            let inside = PageBody { title: told.what.to_owned(), html };
            frame(StatusCode::SERVICE_UNAVAILABLE, session, to, &inside)
        }
        Err(error) => broken(&error),
    }
}

/// What could not be done: what happened is in the log.
pub(super) fn broken(error: &(impl Display + ?Sized)) -> Response {
    tracing::error!(%error, "a request of the dashboard failed");
    let text = "Postgres or Redis did not answer, so this cannot be shown. Try again in a moment; the log says more.";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
