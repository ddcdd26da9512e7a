//! What travels through the broker: a job's small payload and what its run needs to know.

use gristmill_core::ClientId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::JobId;

/// A job on its way to the broker.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: JobId,
    pub(crate) queue: String,
    pub(crate) priority: u8,
    /// Whose turn it takes; empty: nobody's in particular.
    pub(crate) fair_key: String,
    /// It was called to a slot that waits for it: it goes before the others of its line.
    pub(crate) called: bool,
    pub(crate) body: String,
}

/// The body of a [`Message`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(rename = "n", borrow)]
    pub(crate) name: std::borrow::Cow<'a, str>,
    /// When it became due, in milliseconds since 1970 (this clock is only used for metrics).
    #[serde(rename = "d")]
    pub(crate) due: i64,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_parent: Option<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<ClientId>,
    /// [`crate::Job::VERSION`] of who wrote it.
    #[serde(rename = "v", default = "first", skip_serializing_if = "is_first")]
    pub(crate) version: u16,
    #[serde(rename = "p", borrow)]
    pub(crate) payload: &'a RawValue,
}

fn first() -> u16 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(version: &u16) -> bool {
    *version == 1
}

/// A row of the ledger as the relay reads it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct JobRow {
    pub(crate) id: JobId,
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) payload: String,
    pub(crate) version: i16,
    pub(crate) client_id: Option<ClientId>,
    pub(crate) trace_parent: Option<String>,
    pub(crate) fair_key: Option<String>,
    pub(crate) due: i64,
    #[sqlx(default)]
    pub(crate) called: bool,
}

impl JobRow {
    /// The message the broker gets for this row.
    pub(crate) fn into_message(self) -> Message {
        let payload = <&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(&self.payload))
            .expect("jsonb prints as one JSON value");
        let envelope = Envelope {
            name: self.name.as_str().into(),
            due: self.due,
            trace_parent: self.trace_parent,
            client_id: self.client_id,
            version: self.version.unsigned_abs(),
            payload,
        };
        Message {
            id: self.id,
            priority: u8::try_from(self.priority).unwrap_or(9).min(9),
            fair_key: self.fair_key.unwrap_or_default(),
            called: self.called,
            body: envelope.to_body(),
            queue: self.queue,
        }
    }
}

/// Rows of the ledger, to be pushed.
pub(crate) fn enqueued(rows: Vec<JobRow>) -> crate::Enqueued {
    crate::Enqueued {
        ids: rows.iter().map(|row| row.id).collect(),
        messages: rows.into_iter().map(JobRow::into_message).collect(),
        ..crate::Enqueued::default()
    }
}

impl Envelope<'_> {
    pub(crate) fn to_body(&self) -> String {
        serde_json::to_string(self).expect("an envelope has string keys only")
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
