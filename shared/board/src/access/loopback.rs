use futures::future::{BoxFuture, ready};
use http::{HeaderMap, StatusCode, header, request::Parts, uri::Authority};

use super::{Access, Denied, Person, peer};

/// Whoever is on this machine may look and act, without a word; nobody else. It is what a [`Board`](crate::Board) has unless
/// it is given another one.
///
/// A request from elsewhere is refused, and so is one that a proxy has passed on (`Forwarded`, `X-Forwarded-For` or `Via` is
/// in it) and one that asks for another host than this machine: a site that lets its own name lead here gets nothing. A proxy
/// on this machine that says nothing of itself cannot be told from a browser: behind one use [`Keys`](super::Keys) or
/// [`ProxyHeader`](super::ProxyHeader).
#[derive(Debug, Clone)]
pub struct Loopback {
    name: String,
}

impl Loopback {
    /// Calls everybody this in the pages and in the audit.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    fn let_in(&self, request: &Parts) -> Result<Person, Denied> {
        let refused = |text: &str| Err(Denied::say(StatusCode::FORBIDDEN, text));
        if !peer(request)?.is_loopback() {
            return refused(
                "Only who is on this board's own machine is let in. Give the board another `Access` to open it.",
            );
        }
        if [header::FORWARDED, header::VIA].iter().any(|name| request.headers.contains_key(name))
            || request.headers.contains_key("x-forwarded-for")
        {
            return refused(
                "A proxy has passed this on, so nobody knows who asks. Give the board `Keys` or a `ProxyHeader`.",
            );
        }
        if !host_is_here(request) {
            return refused("This board answers to `localhost`, 127.0.0.1 and [::1] only.");
        }
        Ok(Person::operator(&self.name))
    }
}

/// Whether the name in the request is one of this machine that no site can take.
fn host_is_here(request: &Parts) -> bool {
    let of_header = |headers: &HeaderMap| headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let Some(host) = request.uri.authority().cloned().or_else(|| of_header(&request.headers)) else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Default for Loopback {
    fn default() -> Self {
        Self::named("local")
    }
}

impl Access for Loopback {
    fn person<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Person, Denied>> {
        Box::pin(ready(self.let_in(request)))
    }
}
