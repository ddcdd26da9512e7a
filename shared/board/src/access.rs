//! Who may look, who may act, and whose name stands in the audit.

mod keys;
mod loopback;
mod proxy;

pub use self::{keys::Keys, loopback::Loopback, proxy::ProxyHeader};

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts},
    response::{IntoResponse as _, Response},
};
use futures::future::{BoxFuture, ready};
use http::{HeaderMap, StatusCode, header, request::Parts};

use crate::Error;

/// Says of each request who asks.
///
/// Given are [`Loopback`] (whoever is on this machine), [`Keys`] (fixed keys, which a browser asks for) and [`ProxyHeader`]
/// (a proxy has asked, by OIDC for example). An application that has sessions of its own writes another one.
pub trait Access: Send + Sync + 'static {
    /// Who asks. It is called for every request but those for styles, scripts and [`Access::entrance`].
    ///
    /// # Errors
    /// Who is not let in is answered by what [`Denied`] holds.
    fn person<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Person, Denied>>;

    /// Whether who was let in still is: it is asked every two seconds of everybody who looks at a live page.
    fn stands<'a>(&'a self, person: &'a Person) -> BoxFuture<'a, bool> {
        let _ = person;
        Box::pin(ready(true))
    }

    /// Whether each [`Person`] has a [token](Person::token), which browsers must bring along with whatever changes something.
    /// Where they have none, what another site makes a browser send is told by what the browser says of it (`Sec-Fetch-Site`,
    /// `Origin`).
    fn has_tokens(&self) -> bool {
        false
    }

    /// What is open to everybody: a form to log in, for example. Its addresses are below the base.
    fn entrance(&self) -> Router {
        Router::new()
    }

    /// Whether somebody can log out: then there is a button for it.
    fn has_exit(&self) -> bool {
        false
    }

    /// Ends what `headers` were let in by. The answer may send a browser elsewhere by the header `hx-redirect`.
    fn exit<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Response> {
        let _ = headers;
        Box::pin(ready(StatusCode::NOT_FOUND.into_response()))
    }
}

/// Somebody who was let in. Handlers of an application's own routes and actions can take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// In the pages and in the audit.
    pub name: String,
    /// Else all buttons are missing, and actions are refused.
    pub may_act: bool,
    /// What else is in the audit beside the name: the beginning of a key, for example.
    pub key: Option<String>,
    /// What must come along with whatever changes something (see [`Access::has_tokens`]).
    pub token: Option<String>,
    /// What [`Access::stands`] knows somebody by.
    pub session: Vec<u8>,
}

impl Person {
    /// Somebody who may look and not act.
    #[must_use]
    pub fn viewer(name: impl Into<String>) -> Self {
        Self { name: name.into(), may_act: false, key: None, token: None, session: Vec::new() }
    }

    /// Somebody who may look and act.
    #[must_use]
    pub fn operator(name: impl Into<String>) -> Self {
        Self { may_act: true, ..Self::viewer(name) }
    }
}

impl<S: Sync> FromRequestParts<S> for Person {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// Why somebody is not let in.
#[derive(Debug)]
pub enum Denied {
    /// They are answered this.
    Answer(Box<Response>),
    /// Nobody can say who asks: something that would know it does not answer. They see that, and are to ask again.
    Unknown(Error),
}

impl Denied {
    /// A text with a status.
    #[must_use]
    pub fn say(status: StatusCode, text: impl Into<String>) -> Self {
        (status, text.into()).into_response().into()
    }
}

impl From<Response> for Denied {
    fn from(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

/// Whether somebody looks at what comes, and not a script.
#[must_use]
pub fn wants_page(request: &Parts) -> bool {
    let accepts = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method == http::Method::GET && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// The other end of a connection.
fn peer(request: &Parts) -> Result<IpAddr, Denied> {
    let told = request.extensions.get::<ConnectInfo<SocketAddr>>();
    told.map(|ConnectInfo(peer)| peer.ip().to_canonical()).ok_or_else(|| {
        let text = "The board is not told who connects, and so lets nobody in: serve it with \
                    `router.into_make_service_with_connect_info::<SocketAddr>()`.";
        tracing::error!("{text}");
        Denied::say(StatusCode::INTERNAL_SERVER_ERROR, text)
    })
}
