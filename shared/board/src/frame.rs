//! From an address to a page: who asks, what stands there, and the frame around it.

use std::{
    fmt::{Display, Write as _},
    sync::Arc,
    time::Duration,
};

use askama::Template;
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{Html, IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, request::Parts};

use crate::{
    Error,
    access::{Denied, Person, wants_page},
    assets::VERSION,
    audit,
    board::{App, Section},
    engines::{self, Engine},
    pages,
    visit::PageUrl,
};

/// How long a page may take. All are made in a fraction of it; where an engine hangs, that is told instead.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A page's inside: what moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageBody {
    pub(crate) title: String,
    pub(crate) html: String,
}

impl PageBody {
    /// Of a title and HTML. What is not the page's own must be escaped in it.
    #[must_use]
    pub fn html(title: impl Into<String>, html: impl Into<String>) -> Self {
        Self { title: title.into(), html: html.into() }
    }

    /// The same of whatever writes HTML, such as a template of askama, in the form that a [`Page`](crate::Page) answers.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn of(title: impl Into<String>, template: &impl Display) -> Result<Option<Self>, Error> {
        let mut html = String::new();
        write!(html, "{template}")?;
        Ok(Some(Self::html(title, html)))
    }
}

/// Lets in who may, and what changes something only with its token.
pub(crate) async fn require(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let person = match app.access.person(&parts).await {
        Ok(person) => person,
        Err(Denied::Answer(answer)) => return *answer,
        Err(Denied::Unknown(error)) => {
            tracing::error!(%error, "nobody can say who asks");
            // A page has a frame, whoever asks: it shows nothing.
            if wants_page(&parts) {
                return unreachable(&app, None, parts.uri.path());
            }
            return (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer. Try again.").into_response();
        }
    };
    if app.access.has_tokens() && parts.method != Method::GET {
        let sent = parts.headers.get("x-csrf-token").map(http::HeaderValue::as_bytes);
        if sent.is_none() || sent != person.token.as_deref().map(str::as_bytes) {
            audit::refused(&app, &person, parts.uri.path(), "the session's token was not brought along").await;
            return (StatusCode::FORBIDDEN, "This page is of another session. Load it again.").into_response();
        }
    }
    parts.extensions.insert(person);
    parts.extensions.insert(Frames(Arc::clone(&app)));
    next.run(Request::from_parts(parts, body)).await
}

pub(crate) async fn exit(State(app): State<App>, headers: HeaderMap) -> Response {
    app.access.exit(&headers).await
}

/// Shows pages, for a route that answers some addresses of a page otherwise. A handler takes it as an argument.
#[derive(Clone)]
pub struct Frames(App);

impl Frames {
    /// The page at this address (below the base), as it is shown where there is no such route.
    pub async fn show(&self, person: &Person, uri: &Uri) -> Response {
        show(&self.0, person, uri).await
    }
}

impl<S: Sync> FromRequestParts<S> for Frames {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::NOT_FOUND)
    }
}

/// A page's inside, unless an engine keeps it waiting.
pub(crate) async fn render(app: &App, target: &PageUrl, may_act: bool) -> Result<Option<PageBody>, Error> {
    let visit = target.visit(&app.base, engines::broker(&app.queue), may_act);
    match tokio::time::timeout(PAGE_TIMEOUT, pages::inside(app, &visit)).await {
        Ok(found) => found,
        Err(_) => Err(format!("nothing came within {} s", PAGE_TIMEOUT.as_secs()).into()),
    }
}

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    version: &'a str,
    base: &'a str,
    name: &'a str,
    navigation: &'a [Section],
    title: &'a str,
    /// None: who asks is not known.
    person: Option<&'a Person>,
    has_exit: bool,
    /// The page's address, as the live part asks for it.
    live: Option<String>,
    /// Whether the browser is to ask again by itself.
    retry: bool,
    section: &'a str,
    inside: &'a str,
}

pub(crate) async fn page(State(app): State<App>, person: Person, uri: Uri) -> Response {
    show(&app, &person, &uri).await
}

async fn show(app: &App, person: &Person, uri: &Uri) -> Response {
    let to = uri.path_and_query().map_or("/", |to| to.as_str());
    let Some(target) = PageUrl::parse(to) else { return missing(app, person) };
    match render(app, &target, person.may_act).await {
        Ok(Some(inside)) => frame(app, StatusCode::OK, Some(person), to, &inside),
        Ok(None) => missing(app, person),
        Err(fault) => {
            tracing::error!(%fault, page = to, "a page of the dashboard failed");
            unreachable(app, Some(person), to)
        }
    }
}

fn frame(app: &App, status: StatusCode, person: Option<&Person>, to: &str, inside: &PageBody) -> Response {
    let live = form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
    let target = PageUrl::parse(to);
    let frame = Frame {
        version: VERSION,
        base: &app.base,
        name: &app.name,
        navigation: &app.navigation,
        title: &inside.title,
        person,
        has_exit: app.access.has_exit(),
        // What is missing does not come while one waits.
        live: status.is_success().then_some(live),
        retry: status == StatusCode::SERVICE_UNAVAILABLE,
        section: target.as_ref().map_or("", PageUrl::section),
        inside: &inside.html,
    };
    match frame.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => broken(&error),
    }
}

fn missing(app: &App, person: &Person) -> Response {
    let html = format!(
        "<h1>Nothing is here</h1><p class=\"empty\">The page does not exist, or what it showed is gone. \
         <a href=\"{}/\">Back to the overview</a></p>",
        app.base
    );
    frame(app, StatusCode::NOT_FOUND, Some(person), "/", &PageBody::html("Nothing is here", html))
}

#[derive(Template)]
#[template(path = "unreachable.html")]
struct Unreachable<'a> {
    what: &'a str,
    /// None: nobody has looked yet.
    engines: Option<Arc<[Engine]>>,
}

/// What stands in a page's place while an engine does not answer: it says which, and asks again by itself.
fn unreachable(app: &App, person: Option<&Person>, to: &str) -> Response {
    let told = Unreachable { what: app.history.unreachable(), engines: app.history.engines() };
    match told.render() {
        Ok(html) => frame(app, StatusCode::SERVICE_UNAVAILABLE, person, to, &PageBody::html(told.what, html)),
        Err(error) => broken(&error),
    }
}

/// The answer where something could not be done that should work: what happened goes to the log.
pub fn broken(error: &(impl Display + ?Sized)) -> Response {
    tracing::error!(%error, "a request of the dashboard failed");
    let text =
        "Postgres or the broker did not answer, so this cannot be shown. Try again in a moment; the log says more.";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
