use std::{fmt, sync::Arc};

use gristmill_platform::config::MailConfig;
use lettre::message::Mailbox;
use object_store::ObjectStore;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::{
    Rate,
    dkim::{Dkim, DkimError},
    email::with_ascii_domain,
    smtp::{Server, ServerError, Smtp},
};

/// Sends mails, by the configuration. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    store: Arc<dyn ObjectStore>,
    rate: Rate,
    from: Mailbox,
    way: Way,
    dkim: Option<Dkim>,
    keeps: bool,
    ready: Semaphore,
}

/// Where mails go.
pub(crate) enum Way {
    Smtp(Box<Smtp>),
    /// Into the object store, and no further.
    Store,
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The sender.
    #[error("GRISTMILL_MAIL_FROM is not an address such as Acme <bills@acme.example>")]
    From(#[source] lettre::address::AddressError),
    /// The mail server.
    #[error("GRISTMILL_SMTP_URL (or GRISTMILL_SMTP_CA) cannot be used")]
    Server(#[from] ServerError),
    /// The key to sign with.
    #[error("GRISTMILL_DKIM_KEY cannot be used")]
    Dkim(#[from] DkimError),
    /// A domain to sign for without a selector or a key.
    #[error("GRISTMILL_DKIM_DOMAIN needs GRISTMILL_DKIM_SELECTOR and GRISTMILL_DKIM_KEY")]
    HalfDkim,
}

impl Mailer {
    /// Reads the key and the certificates; the server is not asked yet.
    ///
    /// # Errors
    /// When a setting cannot be.
    pub fn new(
        config: &MailConfig,
        pool: PgPool,
        store: Arc<dyn ObjectStore>,
        rate: Rate,
    ) -> Result<Self, ConfigError> {
        let mut from: Mailbox = config.mail_from.parse().map_err(ConfigError::From)?;
        from.email = with_ascii_domain(from.email);
        let dkim = match (&config.dkim_domain, &config.dkim_selector, &config.dkim_key) {
            (None, ..) => None,
            (Some(domain), Some(selector), Some(key)) => Some(Dkim::open(domain, selector, key)?),
            (Some(_), ..) => return Err(ConfigError::HalfDkim),
        };
        let way = match &config.smtp_url {
            None => Way::Store,
            Some(url) => {
                let (ca, timeout) = (config.smtp_ca.as_deref(), config.smtp_timeout);
                let server = Server::new(url.expose_secret(), ca, from.email.domain(), timeout)?;
                Way::Smtp(Box::new(Smtp::new(server, config.smtp_connections)))
            }
        };
        let connections = match &way {
            Way::Smtp(smtp) => smtp.connections(),
            Way::Store => 4,
        };
        let keeps = config.mail_keep || matches!(way, Way::Store);
        let ready = Semaphore::new(connections + 4);
        Ok(Self { inner: Arc::new(Inner { pool, store, rate, from, way, dkim, keeps, ready }) })
    }

    /// Whether mails leave this system; else they are kept in the object store, and go no further.
    #[must_use]
    pub fn sends(&self) -> bool {
        matches!(self.inner.way, Way::Smtp(_))
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &*self.inner.store
    }

    pub(crate) fn rate(&self) -> &Rate {
        &self.inner.rate
    }

    pub(crate) fn from(&self) -> &Mailbox {
        &self.inner.from
    }

    /// The sender's, which Message-IDs end with.
    pub(crate) fn domain(&self) -> &str {
        self.inner.from.email.domain()
    }

    pub(crate) fn way(&self) -> &Way {
        &self.inner.way
    }

    pub(crate) fn dkim(&self) -> Option<&Dkim> {
        self.inner.dkim.as_ref()
    }

    /// Whether mails are kept in the object store.
    pub(crate) fn keeps(&self) -> bool {
        self.inner.keeps
    }

    /// A permit a mail that is written and not sent yet.
    pub(crate) fn ready(&self) -> &Semaphore {
        &self.inner.ready
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.inner.from.email.domain()).finish_non_exhaustive()
    }
}
