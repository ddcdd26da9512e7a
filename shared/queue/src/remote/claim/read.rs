//! Whether a remote worker can read a job's message, and who else can.

use std::{borrow::Cow, time::Duration};

use gristmill_core::chain;
use serde_json::value::RawValue;
use tracing::debug;

use super::super::{Inner, RemoteClaim, RemoteWorker};
use crate::{
    CodecError, Content, ContentKind, codec,
    envelope::Envelope,
    run::known::{self, LIST_SETTLE_TIME, MAX_LIST_AGE, Wanted},
};

/// Who can read a message.
pub(super) enum Read {
    /// The worker.
    AsItIs,
    /// The worker, in this form.
    Decoded(Vec<u8>),
    /// Another worker, or that is not known.
    ByOthers,
    /// Nobody, as far as is known.
    ByNobody { name: String, why: String },
}

impl Inner {
    /// Whether the worker can read a message, for which this process decodes it.
    pub(super) async fn read(&self, wanted: &RemoteClaim, queue: &str, message: &[u8]) -> Read {
        let job = match serde_json::from_slice::<Envelope<'_>>(message) {
            Ok(job) => job,
            Err(error) => {
                return Read::ByNobody { name: String::new(), why: format!("the message does not decode: {error}") };
            }
        };
        let known = wanted.names.binary_search_by(|name| name.as_str().cmp(&job.name)).is_ok();
        let decoded = match known.then(|| self.decode(&job)) {
            Some(decoded) => decoded.map_err(|error| (error.is_missing_key(), error.to_string())),
            None => Err((true, format!("unknown job `{}`", job.name))),
        };
        match decoded {
            Ok(None) => Read::AsItIs,
            Ok(Some(message)) => Read::Decoded(message),
            Err((true, _)) if self.may_be_read(&wanted.worker, queue, &Wanted::of(&job)).await => Read::ByOthers,
            Err((_, why)) => Read::ByNobody { name: job.name.into_owned(), why },
        }
    }

    /// The message with its payload decoded; nothing: it is plain.
    fn decode(&self, job: &Envelope<'_>) -> Result<Option<Vec<u8>>, CodecError> {
        let content = Content::new(&job.name, ContentKind::Payload);
        let Cow::Owned(json) = codec::decode(self.queue.config().codec(), content, job.payload.get())? else {
            return Ok(None);
        };
        let (kind, key) = (content.kind, codec::key_of(job.payload.get()).unwrap_or_default());
        let payload: Box<RawValue> =
            RawValue::from_string(json).map_err(|error| CodecError::Decode { kind, key, source: error.into() })?;
        let decoded = Envelope {
            name: Cow::Borrowed(&job.name),
            trace_parent: job.trace_parent.clone(),
            payload: &payload,
            ..*job
        };
        Ok(Some(decoded.to_body().into_bytes()))
    }

    /// Whether another live worker of this queue can read the job, or that is unknown.
    async fn may_be_read(&self, worker: &RemoteWorker, queue: &str, job: &Wanted<'_>) -> bool {
        for age in [MAX_LIST_AGE, Duration::ZERO] {
            match self.roster.seen(&self.queue, age).await {
                Ok(workers) if workers.iter().any(|worker| known::reads(worker, queue, job)) => {
                    return true;
                }
                Ok(_) => {}
                Err(error) => {
                    debug!(error = chain(&error), queue, "reading the worker registry failed");
                    return true;
                }
            }
        }
        let registered = self.sessions.with(worker, |session| session.registered);
        registered.is_none_or(|since| since.elapsed() < LIST_SETTLE_TIME)
    }

    /// Who parks what this worker cannot read.
    pub(super) fn reader(&self, wanted: &RemoteClaim) -> String {
        let known = self.sessions.with(&wanted.worker, |session| session.known_jobs());
        known::reader(&self.queue.config().version, &known, &self.payload_keys())
    }
}
