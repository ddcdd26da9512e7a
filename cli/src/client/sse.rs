//! Server-Sent Events: bytes in, events out.
//!
//! Own code on tokio's line reader: `eventsource-stream` has not moved since 2022 and brings nom 7, `sseer` brings five
//! crates; the part of the format that an API of ours sends is the forty lines below.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::Stream;
use tokio::{
    io::{AsyncBufReadExt, Lines},
    time::timeout,
};
use tokio_util::io::StreamReader;

/// How long a stream may be silent. The server says every 15 s that it is alive.
const QUIET: Duration = Duration::from_secs(60);

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Where a resumed stream goes on, if the event says.
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) data: String,
}

/// The events of one connection.
pub(super) struct Events<S> {
    lines: Lines<StreamReader<S, Bytes>>,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Events<S> {
    pub(super) fn new(body: S) -> Self {
        Self { lines: StreamReader::new(body).lines() }
    }

    /// The next event; none when the connection has ended. An event that is cut off is none.
    pub(super) async fn next(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut has_data = false;
        loop {
            let Some(line) = timeout(QUIET, self.lines.next_line()).await?? else { return Ok(None) };
            if line.is_empty() {
                if has_data {
                    return Ok(Some(event));
                }
                event = Event::default();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => event.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut event.name),
                "data" => {
                    if has_data {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                    has_data = true;
                }
                // A comment (the field is empty: a heartbeat), `retry`, or what a later version may say.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_cut_yields_the_same_events() {
        let text = "retry: 2000\n\n: alive\n\nid: 1-0\nevent: progress\ndata: {\"a\":1}\n\nevent:reset\r\ndata:x\r\ndata: ü\r\n\r\ndata: cut off";
        for size in 1..text.len() {
            let parts = text.as_bytes().chunks(size).map(|part| Ok(Bytes::copy_from_slice(part)));
            let mut events = Events::new(futures::stream::iter(parts.collect::<Vec<io::Result<Bytes>>>()));
            let mut seen = Vec::new();
            while let Some(event) = events.next().await.unwrap() {
                seen.push((event.id, event.name, event.data));
            }
            let progress = (Some("1-0".to_owned()), "progress".to_owned(), "{\"a\":1}".to_owned());
            assert_eq!(seen, [progress, (None, "reset".to_owned(), "x\nü".to_owned())], "cut every {size} bytes");
        }
    }
}
