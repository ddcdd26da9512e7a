use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::{default_by_clap, range::some_time};

/// How mail is sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mail")]
pub struct MailConfig {
    /// The mail server: smtp://user:password@host:587 (STARTTLS is required unless ?tls=opportunistic or ?tls=none is at
    /// its end) or smtps://user:password@host:465; without one, mails are kept in the object store instead of being sent
    #[arg(long, env = "GRISTMILL_SMTP_URL", hide_env_values = true, value_name = "URL")]
    pub smtp_url: Option<SecretString>,

    /// A PEM file with certificates to trust beside those of the public authorities
    #[arg(long, env = "GRISTMILL_SMTP_CA", value_name = "FILE")]
    pub smtp_ca: Option<PathBuf>,

    /// Connections a worker may hold to the mail server
    #[arg(long, env = "GRISTMILL_SMTP_CONNECTIONS", default_value_t = 8, value_name = "N")]
    pub smtp_connections: usize,

    /// How long the mail server may take to answer; for the answer to a whole mail, ten times as long
    #[arg(long, env = "GRISTMILL_SMTP_TIMEOUT", default_value = "60s", value_parser = some_time, value_name = "TIME")]
    pub smtp_timeout: Duration,

    /// The sender of mails; its domain is also in their Message-ID
    #[arg(
        long,
        env = "GRISTMILL_MAIL_FROM",
        default_value = "Gristmill <gristmill@localhost>",
        value_name = "ADDRESS"
    )]
    pub mail_from: String,

    /// Mails per second to one domain, over all workers; 0 for no limit
    #[arg(long, env = "GRISTMILL_MAIL_RATE", default_value_t = 0.0, value_name = "N")]
    pub mail_rate: f64,

    /// Jobs of the queue `mail` that a process runs at the same time
    #[arg(long, env = "GRISTMILL_MAIL_CONCURRENCY", default_value_t = 4, value_name = "N")]
    pub mail_concurrency: usize,

    /// Whether mails that are sent are also kept in the object store
    #[arg(long, env = "GRISTMILL_MAIL_KEEP", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub mail_keep: bool,

    /// The domain that mails are signed for (DKIM); with it go a selector and a key
    #[arg(long, env = "GRISTMILL_DKIM_DOMAIN", requires_all = ["dkim_selector", "dkim_key"], value_name = "DOMAIN")]
    pub dkim_domain: Option<String>,

    /// The selector under which the domain's DNS has the public key
    #[arg(long, env = "GRISTMILL_DKIM_SELECTOR", value_name = "NAME")]
    pub dkim_selector: Option<String>,

    /// A PEM file with the private key: RSA, or Ed25519 in PKCS#8
    #[arg(long, env = "GRISTMILL_DKIM_KEY", value_name = "FILE")]
    pub dkim_key: Option<PathBuf>,
}

default_by_clap!(MailConfig);
