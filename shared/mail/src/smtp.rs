//! Mails over SMTP, by connections that are used again.
//!
//! The connections are lettre's, their pool is not: lettre's takes a connection back from a caller that was dropped in the
//! middle of a dialogue, and then reads the old mail's answer as the next one's; and it has no time limit for answers.

mod dialogue;
mod server;
mod verdict;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::{Address, transport::smtp::client::AsyncSmtpConnection};
use tokio::sync::Semaphore;

use dialogue::{DialogueEnd, dialogue};
pub(crate) use server::Server;
pub use server::ServerError;

/// Servers hang up on connections that are silent for some minutes.
const IDLE: Duration = Duration::from_secs(60);

/// What became of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server has said that it has it.
    Sent,
    /// Not now, for this recipient or mail.
    Deferred(String),
    /// The server is away or in trouble, whatever the mail.
    Unreachable(String),
    /// The address takes no mail, now or later.
    Dead(String),
    /// The server does not want this mail, now or later.
    Refused(String),
}

pub(crate) struct Smtp {
    server: Server,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    permits: Semaphore,
    connections: usize,
}

impl Smtp {
    pub(crate) fn new(server: Server, connections: usize) -> Self {
        let connections = connections.max(1);
        Self { server, idle: Mutex::default(), permits: Semaphore::new(connections), connections }
    }

    /// How many mails are worth having ready at the same time.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// Sends one mail. When this future is dropped, so is its connection.
    pub(crate) async fn send(&self, from: &Address, to: &Address, mail: &[u8]) -> Outcome {
        let Ok(_permit) = self.permits.acquire().await else {
            return Outcome::Unreachable("the mailer is closed".to_owned());
        };
        loop {
            let (mut connection, used) = match self.take() {
                Some(connection) => (connection, true),
                None => match self.server.connect().await {
                    Ok(connection) => (connection, false),
                    Err(error) => return Outcome::Unreachable(error),
                },
            };
            match dialogue(&mut connection, &self.server, from, to, mail).await {
                DialogueEnd::Kept(outcome) => {
                    self.give(connection);
                    return outcome;
                }
                DialogueEnd::Lost(outcome) => return outcome,
                // It hung up while nobody looked: nothing of this mail has been said.
                DialogueEnd::Stale(_) if used => {}
                DialogueEnd::Stale(error) => return Outcome::Unreachable(error),
            }
        }
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn give(&self, connection: AsyncSmtpConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }
}
