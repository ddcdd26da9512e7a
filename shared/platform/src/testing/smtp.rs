//! A mail server that does what a test tells it to, also the wrong thing, and counts what it has accepted.

mod session;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// The moment at which the server may misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// A client has connected; how many had before it.
    Connect(usize),
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`, with the address.
    Rcpt(String),
    /// `DATA`.
    Data,
    /// A mail is there to its last byte; its Message-ID, and how often a mail with this one has been there before.
    End(String, usize),
}

/// What the server does then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// What it should.
    Behave,
    /// Says this instead, such as `450 4.2.0 later`. A `421` also hangs up.
    Say(String),
    /// Hangs up without a word. A mail that was there counts as unanswered.
    Drop,
    /// Behaves, then hangs up.
    BehaveAndDrop,
    /// Behaves after this long.
    Wait(Duration),
}

impl Act {
    /// [`Act::Say`].
    pub fn say(line: impl Into<String>) -> Self {
        Self::Say(line.into())
    }
}

type Script = Arc<dyn Fn(&Moment) -> Act + Send + Sync>;

/// How the server is set up.
#[derive(Clone, Default)]
pub struct Setup {
    /// STARTTLS is offered with this certificate, or demanded at once where `wrapped`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// TLS from the first byte.
    pub wrapped: bool,
    /// Name and password without which there is no `MAIL`.
    pub login: Option<(String, String)>,
    /// Mails are counted, not kept: for measurements.
    pub forget: bool,
    /// Addresses beyond ASCII are taken (SMTPUTF8, RFC 6531).
    pub utf8: bool,
}

/// A mail that the server has said `250` to, or let go without an answer.
#[derive(Debug, Clone)]
pub struct Mail {
    /// With its angle brackets.
    pub message_id: String,
    /// Of the envelope.
    pub recipient: String,
    /// As it was sent, without the dots of transparency.
    pub raw: String,
    /// Over TLS.
    pub encrypted: bool,
    /// `MAIL` said SMTPUTF8: addresses and headers may be in UTF-8.
    pub utf8: bool,
}

#[derive(Default)]
struct Seen {
    accepted: Vec<Mail>,
    unanswered: Vec<Mail>,
    times: BTreeMap<String, usize>,
    count: usize,
}

/// The server; it stops when dropped.
pub struct SmtpServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _listening: AbortOnDropHandle<()>,
}

struct Shared {
    setup: Setup,
    script: Mutex<Script>,
    seen: Mutex<Seen>,
    connections: AtomicUsize,
}

impl SmtpServer {
    /// One that behaves.
    pub async fn start() -> Self {
        Self::with(Setup::default(), |_| Act::Behave).await
    }

    /// One that does at each moment what the script says.
    pub async fn scripted(script: impl Fn(&Moment) -> Act + Send + Sync + 'static) -> Self {
        Self::with(Setup::default(), script).await
    }

    /// One with everything.
    pub async fn with(setup: Setup, script: impl Fn(&Moment) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            setup,
            script: Mutex::new(Arc::new(script)),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { addr, shared, _listening: AbortOnDropHandle::new(listening) }
    }

    /// Does what another script says from now on.
    pub fn follow(&self, script: impl Fn(&Moment) -> Act + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// Its address for `GRISTMILL_SMTP_URL`, without TLS.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.addr.port())
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// What it has said `250` to.
    pub fn accepted(&self) -> Vec<Mail> {
        self.seen(|seen| seen.accepted.clone())
    }

    /// What was there to its last byte and got no answer.
    pub fn unanswered(&self) -> Vec<Mail> {
        self.seen(|seen| seen.unanswered.clone())
    }

    /// How many mails it has said `250` to, by Message-ID.
    pub fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        self.seen(|seen| seen.accepted.iter().for_each(|mail| *times.entry(mail.message_id.clone()).or_insert(0) += 1));
        times
    }

    /// How many mails it has said `250` to; also where it forgets them.
    pub fn count(&self) -> usize {
        self.seen(|seen| seen.count)
    }

    /// How many clients have connected.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        self.shared.seen(look)
    }
}

impl Shared {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn act(&self, moment: &Moment) -> Act {
        let script = Arc::clone(&self.script.lock().unwrap_or_else(PoisonError::into_inner));
        script(moment)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Answers are lines of a few bytes.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let number = shared.connections.fetch_add(1, Ordering::Relaxed);
            let tls = shared.setup.tls.clone().filter(|_| shared.setup.wrapped).map(TlsAcceptor::from);
            // A client that hangs up is no fault of the server's.
            let _ = match tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => session::serve(stream, &shared, number, true).await.map(|_| ()),
                    Err(error) => Err(error),
                },
                None => session::plain(stream, &shared, number).await,
            };
        });
    }
}
