//! What is sent: a file, or whatever comes out of a pipe.

mod pipe;
mod plain;

use std::{
    fmt,
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use gristmill_containers::is_container;
use gristmill_pipelines::FEW;
use reqwest::Body;
use tokio::{fs::File, io::AsyncReadExt};
use tokio_util::io::ReaderStream;

use self::pipe::Pipe;
use crate::{client::progress::Meter, report::Advice};

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// A source of bytes, never held in memory as a whole.
pub(super) struct Source {
    input: Input,
    name: Option<String>,
    encoding: Option<&'static str>,
    failed: Arc<Mutex<Option<io::Error>>>,
}

enum Input {
    /// Can be read as often as needed.
    File { path: PathBuf, bytes: u64 },
    /// Can be read once: taken out then.
    Pipe { what: String, pipe: Mutex<Option<Pipe>> },
}

impl Source {
    pub(super) async fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        if path == Path::new("-") {
            return Self::pipe("standard input".to_owned(), io::stdin(), None).await;
        }
        let opened = std::fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (about, file) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let todo =
                    format!("check the path, or make a test file: `gristmill generate debts --rows 1000 -o {shown}`");
                return Err(Advice::new(format!("there is no file {shown}"), todo).into());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot open {shown}")),
        };
        if about.is_dir() {
            return Err(Advice::new(format!("{shown} is a folder"), "send its files one by one").into());
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if !about.is_file() {
            return Self::pipe(shown.to_string(), file, name).await;
        }
        let mut head = Vec::with_capacity(4);
        let read = File::from_std(file).take(4).read_to_end(&mut head).await;
        read.with_context(|| format!("cannot read {shown}"))?;
        let input = Input::File { path: path.to_owned(), bytes: about.len() };
        Ok(Self { input, name, encoding: encoding(&head), failed: Arc::default() })
    }

    async fn pipe(what: String, from: impl io::Read + Send + 'static, name: Option<String>) -> anyhow::Result<Self> {
        let mut pipe = Pipe::read(from, PIECE)?;
        let head = pipe.peek(4).await;
        let encoding = encoding(&head);
        Ok(Self { input: Input::Pipe { what, pipe: Mutex::new(Some(pipe)) }, name, encoding, failed: Arc::default() })
    }

    /// Its size, when that is known before it is read.
    pub(super) fn bytes(&self) -> Option<u64> {
        match &self.input {
            Input::File { bytes, .. } => Some(*bytes),
            Input::Pipe { .. } => None,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// As its name says; the server looks at its bytes.
    pub(super) fn media_type(&self) -> &'static str {
        let name = self.name().unwrap_or_default();
        let plain = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(name);
        if plain.ends_with(".ndjson") || plain.ends_with(".jsonl") { "application/x-ndjson" } else { "text/csv" }
    }

    /// The word for `Content-Encoding`.
    pub(super) fn encoding(&self) -> Option<&'static str> {
        self.encoding
    }

    /// Whether it can be sent again after a part of it was sent.
    pub(super) fn repeats(&self) -> bool {
        matches!(self.input, Input::File { .. })
    }

    /// Its bytes from the first one on; the meter counts them.
    pub(super) async fn body(&self, meter: &Arc<Meter>) -> Body {
        let (meter, failed) = (meter.clone(), self.failed.clone());
        Body::wrap_stream(self.pieces().await.map(move |piece| match piece {
            Ok(piece) => {
                meter.sent(piece.len());
                Ok(piece)
            }
            Err(error) => {
                let told = io::Error::from(error.kind());
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(told)
            }
        }))
    }

    /// The file, if it is an archive or a workbook.
    pub(super) fn container(&self) -> io::Result<Option<std::fs::File>> {
        let Input::File { path, .. } = &self.input else { return Ok(None) };
        let (mut file, mut head) = (std::fs::File::open(path)?, Vec::new());
        file.by_ref().take(FEW as u64).read_to_end(&mut head)?;
        file.rewind()?;
        Ok(is_container(&head).then_some(file))
    }

    async fn pieces(&self) -> BoxStream<'static, io::Result<Bytes>> {
        match &self.input {
            Input::File { path, bytes } => match File::open(path).await {
                // What is appended meanwhile is not part of the length that was promised.
                Ok(file) => ReaderStream::with_capacity(file.take(*bytes), PIECE).boxed(),
                Err(error) => once(error).boxed(),
            },
            Input::Pipe { pipe, .. } => match pipe.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(pipe) => pipe.into_stream().boxed(),
                None => once(io::Error::other("it was read already")).boxed(),
            },
        }
    }

    /// Why reading failed, if it did: to the server that only looks like a broken connection.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.input {
            Input::File { path, .. } => path.display().fmt(f),
            Input::Pipe { what, .. } => f.write_str(what),
        }
    }
}

fn once(error: io::Error) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::once(std::future::ready(Err(error)))
}

/// How it is compressed, by its first bytes: a pipe has no name, and names lie. No file of ours begins like this.
fn encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd"),
        _ => None,
    }
}
