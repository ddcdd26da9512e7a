//! What a push is asked and answers.

/// A job to be pushed.
#[derive(Debug, Clone, Copy)]
pub struct BrokerJob<'a> {
    /// The job.
    pub id: &'a str,
    /// Jobs of one priority take turns by this key. A limit per key does not apply to the empty key.
    pub key: &'a str,
    /// The payload that the service gets.
    pub payload: &'a [u8],
}

/// How many jobs of a queue the broker may hold. Each line may have its share of the window in any case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) jobs: u64,
    /// The jobs have waited outside the broker: they may enter a line that has jobs outside.
    pub(crate) refill: bool,
    /// To the front of their lines, whatever the window: a slot waits for each of them, so they are few.
    pub(crate) front: bool,
}

impl Window {
    pub(crate) const UNLIMITED: Self = Self { jobs: 1 << 50, refill: true, front: false };
}

/// The result of a push.
#[derive(Debug, Default)]
pub(crate) struct PushResult {
    /// How many jobs were new.
    pub(crate) added: u64,
    /// The jobs that the window has no room for.
    pub(crate) rejected: Vec<String>,
}
