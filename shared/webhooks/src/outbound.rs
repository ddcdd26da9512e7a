//! Calls to addresses that clients name. They go only where they may: a name is resolved, its addresses are checked, and
//! those that were checked are the ones that are connected to. No proxy is asked, no redirect followed unchecked, no answer read
//! further than its limit.

mod address;
mod connect;
mod fetch;
mod resolve;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use gristmill_platform::config::OutboundConfig;
use gristmill_queue::JobError;
use jiff::Timestamp;
use reqwest::{
    StatusCode, Url,
    header::{HeaderMap, RETRY_AFTER},
    redirect,
};
use url::Host;

use address::may_call;
pub use connect::NoConnection;
pub use fetch::{FetchError, Fetched};
use resolve::{GuardedResolver, Lookup, System};

/// Calls what may be called. Clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    http: reqwest::Client,
    config: Arc<OutboundConfig>,
    limits: Limits,
}

/// How much one call may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte sent to the last one read.
    pub timeout: Duration,
    /// Of the answer's body; what is longer is cut off.
    pub body_bytes: usize,
}

impl Default for Limits {
    /// Those of webhooks.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(15), body_bytes: 1024 }
    }
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, up to the limit.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub cut: bool,
}

/// Why an address is not called at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("it is no address such as https://example.com/hooks")]
    Unreadable,
    /// It is longer than an address needs to be.
    #[error("it is longer than 2,048 characters")]
    TooLong,
    /// Another scheme than those allowed.
    #[error("it begins with {found}: {allowed} is needed")]
    Scheme {
        /// The one it has.
        found: String,
        /// The one that it may have.
        allowed: &'static str,
    },
    /// A name or a password is in it.
    #[error("it holds a user's name or password: leave them out, the signature says who calls")]
    UserInfo,
    /// A port that is not called.
    #[error("port {found} is not called; {allowed} may be (GRISTMILL_OUTBOUND_PORTS)")]
    Port {
        /// The one it has.
        found: u16,
        /// Those that it may have.
        allowed: String,
    },
    /// The address is written out, and is not public.
    #[error(transparent)]
    NotPublic(#[from] NotPublic),
    /// What is put in for each call would not stand in the path alone, or not once.
    #[error("{0} is needed once, in the path, as in https://example.com/reports/{0}")]
    Place(&'static str),
}

/// None of the addresses may be called. What it says names none of them: whoever asks would learn what names inside lead
/// to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it leads to no public address, and to none of GRISTMILL_OUTBOUND_NETWORKS")]
pub struct NotPublic {
    /// The first of them, for the log.
    pub address: IpAddr,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address is not called.
    #[error("the address is not called")]
    Url(#[from] UrlError),
    /// The name leads to addresses that are not called.
    #[error("the name is not called")]
    NotPublic(#[from] NotPublic),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// There was no connection.
    #[error("no connection: {0}")]
    Connect(NoConnection),
    /// The connection broke off, or what came is no answer of HTTP.
    #[error("the connection broke off before there was a whole answer")]
    Broken,
}

/// Connections to one host that are kept, and for how long: as many as a worker makes calls at a time, so that none is closed that
/// the next call needs.
const IDLE: usize = 256;
const IDLE_FOR: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const URL_LIMIT: usize = 2_048;
/// Nobody is left alone for longer, whatever he asks for.
const MAX_WAIT: Duration = Duration::from_hours(24);

impl Outbound {
    /// With the limits of webhooks.
    ///
    /// # Errors
    /// When TLS cannot be initialised.
    pub fn new(config: &OutboundConfig) -> Result<Self, reqwest::Error> {
        Self::with_lookup(config, Arc::new(System))
    }

    fn with_lookup(config: &OutboundConfig, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        // The one that is there already, if there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Arc::new(config.clone());
        let http = reqwest::Client::builder()
            .dns_resolver(Arc::new(GuardedResolver { config: Arc::clone(&config), lookup }))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE)
            .pool_idle_timeout(IDLE_FOR)
            .user_agent(concat!("Gristmill/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, config, limits: Limits::default() })
    }

    /// The same with other limits, over the same connections.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// Whether an address may be called, as far as it says so itself: names are resolved when they are called.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: &str) -> Result<Url, UrlError> {
        if address.len() > URL_LIMIT {
            return Err(UrlError::TooLong);
        }
        // Reads `2130706433`, `0x7f.1` and `0177.0.0.1` as what they are.
        let url = Url::parse(address).map_err(|_| UrlError::Unreadable)?;
        match (url.scheme(), self.config.outbound_http) {
            ("https", _) | ("http", true) => {}
            (found, http) => {
                let allowed = if http { "https or http" } else { "https" };
                return Err(UrlError::Scheme { found: found.to_owned(), allowed });
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        let port = url.port_or_known_default().ok_or(UrlError::Unreadable)?;
        if !self.config.outbound_ports.contains(port) {
            return Err(UrlError::Port { found: port, allowed: self.config.outbound_ports.to_string() });
        }
        let literal = match url.host().ok_or(UrlError::Unreadable)? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        match literal {
            Some(address) if !may_call(&self.config, address) => Err(NotPublic { address }.into()),
            _ => Ok(url),
        }
    }

    /// As [`Outbound::check`], of an address in which `place` is put in for each call: once, and in the path, so that what is
    /// put in leads to no other host.
    ///
    /// # Errors
    /// Why not.
    pub fn check_with(&self, address: &str, place: &'static str) -> Result<(), UrlError> {
        let with = |text| self.check(&address.replace(place, text));
        let (one, other) = (with("a")?, with("b")?);
        let apart = |url: &Url| {
            let mut url = url.clone();
            url.set_path("");
            url
        };
        let in_path = one.path() != other.path() && apart(&one) == apart(&other);
        if in_path && address.matches(place).count() == 1 { Ok(()) } else { Err(UrlError::Place(place)) }
    }

    /// Posts a body.
    ///
    /// # Errors
    /// Why there is no answer. Any status is one.
    pub async fn post(
        &self,
        address: &str,
        headers: HeaderMap,
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer, CallError> {
        let url = self.check(address)?;
        self.call(self.http.post(url).headers(headers).body(body)).await
    }

    /// Gets what is there.
    ///
    /// # Errors
    /// Why there is no answer. Any status is one.
    pub async fn get(&self, address: &str) -> Result<Answer, CallError> {
        let url = self.check(address)?;
        self.call(self.http.get(url)).await
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
        let sending = request.timeout(self.limits.timeout).send();
        let mut answer = sending.await.map_err(|error| self.failed(error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let (mut body, mut cut) = (Vec::new(), false);
        while let Some(part) = answer.chunk().await.map_err(|error| self.failed(error))? {
            let room = self.limits.body_bytes - body.len();
            body.extend_from_slice(&part[..part.len().min(room)]);
            if part.len() > room {
                cut = true;
                break;
            }
        }
        Ok(Answer { status, headers, body, cut })
    }

    fn failed(&self, error: reqwest::Error) -> CallError {
        if let Some(refused) = cause::<NotPublic>(&error) {
            tracing::debug!(address = %refused.address, "a name leads to no public address");
            return refused.clone().into();
        }
        let (connecting, late) = (error.is_connect(), error.is_timeout());
        let error = error.without_url();
        tracing::debug!(error = &error as &dyn std::error::Error, "a call failed");
        match () {
            () if late => CallError::TimedOut(self.limits.timeout),
            () if connecting => CallError::Connect(NoConnection::of(&error)),
            () => CallError::Broken,
        }
    }
}

impl Answer {
    /// The error of a job that was answered wrongly: it asks again, not before the receiver wants it.
    #[must_use]
    pub fn again(&self, what: String) -> JobError {
        match self.retry_after() {
            Some(wait) => JobError::RetryAfter(wait, what.into()),
            None => JobError::Retry(what.into()),
        }
    }

    /// How long its sender wants to be left alone, up to a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let said = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let asked = match said.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let at = jiff::fmt::rfc2822::parse(said).ok()?.timestamp();
                // A moment that is past already.
                Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
            }
        };
        Some(asked.min(MAX_WAIT))
    }
}

/// The first of an error's causes that is an `E`.
fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}
