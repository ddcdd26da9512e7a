use std::{collections::BTreeSet, net::IpAddr};

use futures::future::{BoxFuture, ready};
use http::{HeaderMap, HeaderName, StatusCode, request::Parts};

use super::{Access, Denied, Person, peer};
use crate::BoardError;

/// A proxy has asked who it is, by OIDC for example (oauth2-proxy, Pomerium, an identity-aware load balancer), and writes the
/// name into a header. Everybody whom it lets through may look; those who are named may act.
///
/// Whoever reaches the board past the proxy could write that header too. So it is believed from this machine only, or from the
/// addresses that are given by [`ProxyHeader::from_peers`]. The proxy must take away what a browser sends under the same name.
///
/// ```
/// # fn main() -> Result<(), gristmill_board::BoardError> {
/// use gristmill_board::ProxyHeader;
///
/// let access = ProxyHeader::new("x-forwarded-email")?.operators(["ana@example.com", "rui@example.com"]);
/// let by_group = ProxyHeader::new("x-forwarded-email")?.operators_in("x-forwarded-groups", "on-call")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ProxyHeader {
    name: HeaderName,
    operators: BTreeSet<String>,
    group: Option<(HeaderName, String)>,
    peers: Vec<IpAddr>,
}

impl ProxyHeader {
    /// The name stands in this header.
    ///
    /// # Errors
    /// When there can be no header of this name.
    pub fn new(header: &str) -> Result<Self, BoardError> {
        Ok(Self { name: named(header)?, operators: BTreeSet::new(), group: None, peers: Vec::new() })
    }

    /// These may act.
    #[must_use]
    pub fn operators<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.operators.extend(names.into_iter().map(Into::into));
        self
    }

    /// Those may act who are in this group: `header` has the names of groups, with commas between them.
    ///
    /// # Errors
    /// When there can be no header of this name.
    pub fn operators_in(self, header: &str, group: impl Into<String>) -> Result<Self, BoardError> {
        Ok(Self { group: Some((named(header)?, group.into())), ..self })
    }

    /// The header is believed when one of these addresses connects, in place of this machine's own.
    #[must_use]
    pub fn from_peers(mut self, peers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.peers.extend(peers.into_iter().map(|peer| peer.to_canonical()));
        self
    }

    fn let_in(&self, request: &Parts) -> Result<Person, Denied> {
        let peer = peer(request)?;
        let believed = if self.peers.is_empty() { peer.is_loopback() } else { self.peers.contains(&peer) };
        if !believed {
            tracing::warn!(%peer, "a request past the proxy was refused");
            let text = format!("{peer} is not the proxy that this board believes: come by way of that one.");
            return Err(Denied::say(StatusCode::FORBIDDEN, text));
        }
        let Some(name) = text(&request.headers, &self.name) else {
            let text = format!("The proxy says nobody's name: it must set the header `{}`.", self.name);
            return Err(Denied::say(StatusCode::UNAUTHORIZED, text));
        };
        let in_group = self.group.as_ref().is_some_and(|(header, group)| {
            let all = request.headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
            all.flat_map(|value| value.split(',')).any(|one| one.trim() == group)
        });
        let may_act = in_group || self.operators.contains(name);
        Ok(if may_act { Person::operator(name) } else { Person::viewer(name) })
    }
}

/// The only value of a header: of two nobody knows which one the proxy has written.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

fn named(header: &str) -> Result<HeaderName, BoardError> {
    header.parse().map_err(|_| BoardError::Header(header.to_owned()))
}

impl Access for ProxyHeader {
    fn person<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Person, Denied>> {
        Box::pin(ready(self.let_in(request)))
    }
}
