use bytes::Bytes;
use gristmill_uploads::{
    Upload, UploadId,
    events::{Name, StoredEvent, order},
};

/// The id of an end that was told from the database, because the event itself is gone: after it comes nothing.
pub(crate) const END: &str = "end";

/// One event as it goes over the wire: written once, shared by all who watch.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The stream's id, to compare by.
    pub(super) order: (u64, u64),
    /// Nothing comes after it, unless the upload is undone.
    pub(super) last: bool,
    pub(super) bytes: Bytes,
}

impl Frame {
    pub(super) fn new(id: &str, name: &str, data: &str) -> Self {
        let last = [Name::Completed, Name::Failed, Name::Cancelled].iter().any(|end| <&str>::from(end) == name);
        // JSON has no bare line ends, so one `data` line holds it.
        Self { order: order(id), last, bytes: format!("id: {id}\nevent: {name}\ndata: {data}\n\n").into() }
    }

    pub(super) fn stored(event: &StoredEvent) -> Self {
        Self::new(&event.id, &event.name, &event.data)
    }

    /// `<upload id> <event id> <name> <json>`, as the channel has it.
    pub(super) fn heard(message: &str) -> Option<(UploadId, impl FnOnce() -> Self)> {
        let mut words = message.splitn(4, ' ');
        let upload_id = words.next()?.parse().ok()?;
        let (id, name, data) = (words.next()?, words.next()?, words.next()?);
        Some((upload_id, move || Self::new(id, name, data)))
    }
}

/// The state an upload is in, as an event; `id`: the place in the stream after which a watcher is then.
pub(super) fn snapshot(upload: &Upload, id: Option<&str>) -> Bytes {
    let data = serde_json::to_string(upload).expect("an upload is plain data");
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: {}\ndata: {data}\n\n", <&str>::from(Name::of(upload.state))).into()
}

/// History that was asked for is gone: what is known is asked for anew.
pub(super) fn reset() -> Bytes {
    Bytes::from_static(b"event: reset\ndata: {\"reason\":\"trimmed\"}\n\n")
}

/// How long a browser waits before it connects again.
pub(super) fn retry() -> Bytes {
    Bytes::from_static(b"retry: 2000\n\n")
}

/// Says that the stream lives.
pub(super) fn heartbeat() -> Bytes {
    Bytes::from_static(b": alive\n\n")
}
