//! The text of a file: the file itself, or what stands in an archive or a workbook. That can be read only when the file is there as a
//! whole, as its directory is its end: so it is written to a file of its own first, which has no name and goes with the process.

mod spool;

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use gristmill_containers::{Limits, Wanted, is_container, open};
use gristmill_pipelines::{FEW, Said, Within};
use gristmill_platform::config::LimitsConfig;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::ReceiveError;
pub use spool::Spool;
use spool::Spooled;

/// Files that an archive may have.
const MAX_ENTRIES: usize = 10_000;
/// Bytes of the texts that a workbook keeps apart from its cells: they are in memory while it is read.
const MAX_SHARED_STRINGS: usize = 256 << 20;
/// Pieces of a text that wait to be taken.
const PIECES: usize = 2;

/// A file as text, while it comes.
pub struct FileText {
    /// What the text was taken from; `None`: the text is the file.
    pub within: Option<Within>,
    /// Of the file as it was sent, where its text is another one.
    pub(super) sent: Option<Sent>,
    /// The text.
    pub text: BoxStream<'static, Result<Bytes, ReceiveError>>,
}

/// A file that arrived whole before its text was read.
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

/// The text of a file, of which this is said. Of an archive or a workbook it begins when the file has arrived whole.
///
/// # Errors
/// When it breaks off, is too large, or is an archive or a workbook of which no table can be read.
pub async fn text_of<S, E>(spool: &Spool, limits: &LimitsConfig, said: &Said, body: S) -> Result<FileText, ReceiveError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let broken = |source: E| ReceiveError::Broken { upload_id: None, source: source.into() };
    let (head, body) = beginning(body.map(move |frame| frame.map_err(broken)).boxed()).await;
    if !is_container(&head) {
        return Ok(FileText { within: None, sent: None, text: body });
    }
    let spooled = Spooled::of(spool, limits, body).await?;
    let (wanted, of_table) = (Wanted::from(&said.clone().with_profile()), limits_of(limits));
    let Spooled { file, sent, room, body } = spooled;
    let held = Arc::clone(&room);
    let opened = spawn_blocking(move || {
        let _held = held;
        open(file, wanted, of_table)
    });
    let table = opened.await.map_err(died)??;
    let owned = |name: Option<&str>| name.map(str::to_owned);
    let within = Within { container: table.container(), entry: owned(table.entry()), sheet: owned(table.sheet()) };
    if within.container.is_workbook()
        && let Some(parameter) = said.of_text()
    {
        return Err(ReceiveError::Container {
            error: gristmill_containers::ContainerError::Unreadable(format!(
                "the file is a workbook, and {parameter}= says how a text is written: leave it out"
            )),
            upload_id: None,
        });
    }

    let (pieces, text) = mpsc::channel(PIECES);
    // It ends by itself: with the text, or when nothing takes that any more.
    let held = (Arc::clone(&room), body);
    let reading = spawn_blocking(move || {
        let _room = room;
        let mut emit = |piece: &[u8]| match pieces.blocking_send(Ok(Bytes::copy_from_slice(piece))) {
            Ok(()) => std::ops::ControlFlow::Continue(()),
            Err(_) => std::ops::ControlFlow::Break(()),
        };
        if let Err(error) = table.read(&mut emit) {
            let _ = pieces.blocking_send(Err(error.into()));
        }
    });
    // What was held for the file is held until its text was taken. A text that ends because its reader died is not whole.
    let text = stream::unfold((text, Some(reading), held), async |(mut text, mut reading, held)| {
        if let Some(piece) = text.recv().await {
            return Some((piece, (text, reading, held)));
        }
        let ended = reading.take()?.await;
        Some((Err(died(ended.err()?)), (text, reading, held)))
    });
    Ok(FileText { within: Some(within), sent: Some(sent), text: text.boxed() })
}

fn limits_of(limits: &LimitsConfig) -> Limits {
    Limits {
        max_text_bytes: limits.max_file_bytes,
        max_ratio: if limits.max_ratio == 0 { u64::MAX } else { limits.max_ratio },
        max_entries: MAX_ENTRIES,
        max_shared_strings: MAX_SHARED_STRINGS,
        max_columns: limits.max_columns,
    }
}

fn died(error: tokio::task::JoinError) -> ReceiveError {
    ReceiveError::Broken { upload_id: None, source: error.into() }
}

type Body = BoxStream<'static, Result<Bytes, ReceiveError>>;

/// The first bytes, and the body as it was.
async fn beginning(mut body: Body) -> (Vec<u8>, Body) {
    let (mut head, mut read) = (Vec::new(), Vec::new());
    while head.len() < FEW {
        let Some(next) = body.next().await else { break };
        if let Ok(bytes) = &next {
            head.extend_from_slice(&bytes[..bytes.len().min(FEW - head.len())]);
        }
        let is_error = next.is_err();
        read.push(next);
        if is_error {
            break;
        }
    }
    (head, stream::iter(read).chain(body).boxed())
}
