//! Receiving: body → splitter → chunk objects → ledger rows → broker, while the body still arrives.

mod dedup;
mod idempotency;
mod ledger_writer;
mod look;
mod memory_budget;
mod retry;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use gristmill_core::ClientId;
use gristmill_pipelines::{
    Foreign, HeaderError, Kind, Limits, LineCount, Piece, Question, Said, SplitLimits, Splitter, charset::CharsetError,
};
use gristmill_platform::config::LimitsConfig;
use gristmill_queue::{Queue, QueueError, trace};
use object_store::ObjectStore;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

pub use self::{ledger_writer::OversizeNote, memory_budget::MemoryBudget};
use self::{
    look::Look,
    session::{ReceivedFile, UploadSession},
};
use crate::{Hooks, Policy, Upload, UploadId, events::Events};

/// Takes files in. Cheap to clone.
#[derive(Clone)]
pub struct UploadService {
    /// The ledger's database.
    pub pool: PgPool,
    /// Where chunks are enqueued.
    pub queue: Queue,
    /// Where chunks are kept until they are loaded.
    pub store: Arc<dyn ObjectStore>,
    /// Who is told.
    pub events: Events,
    /// How large a file, a record, a chunk may be.
    pub limits: LimitsConfig,
    /// How many chunks of all files together may be in memory.
    pub memory: MemoryBudget,
    /// What follows from an upload's end.
    pub hooks: Hooks,
}

/// A file to take in.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Whose file.
    pub client_id: ClientId,
    /// Which pipeline reads it.
    pub kind: Kind,
    /// What a bad row means.
    pub policy: Policy,
    /// As the client names it.
    pub filename: Option<String>,
    /// Work on it even if the same file was completed before.
    pub force: bool,
    /// The client's word for this request: sent again with the same body, it has the same answer.
    pub idempotency_key: Option<String>,
    /// What the client says of how it is written.
    pub said: Said,
}

/// What became of a file that arrived whole.
#[derive(Debug)]
pub enum ReceiveOutcome {
    /// It is stored and will be done.
    Accepted(Upload),
    /// The client sent the same file before and it was completed: this is that upload.
    Same(Upload),
    /// The request was made before with this idempotency key: this is what it made.
    Replayed(Upload),
}

/// Why a file was not taken. Nothing of it stays.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The first record is not a header of this kind.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The file is another kind of file, or not in UTF-8.
    #[error("{what}")]
    Foreign {
        /// What it is.
        what: Foreign,
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
    },
    /// In which characters it is written cannot be told, or is not what was said.
    #[error("{error}")]
    Charset {
        /// What was found, and what to do.
        error: CharsetError,
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
    },
    /// It may be read in more than one way: whoever sends it has to say in which.
    #[error("{question}")]
    Ambiguous {
        /// What is open, and what may be said.
        question: Question,
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
    },
    /// Not one record.
    #[error("the file is empty: send the header and the records")]
    Empty,
    /// The first record is longer than a record may be.
    #[error("the first record is longer than {limit} bytes: a header was expected there")]
    HeaderTooLong {
        /// Bytes a record may have.
        limit: usize,
    },
    /// More bytes than a file may have.
    #[error("the file is larger than {limit} bytes, decompressed")]
    TooLarge {
        /// Bytes a file may have.
        limit: u64,
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
    },
    /// The client's files that are not closed yet have more bytes together than they may.
    #[error(
        "the client's files that arrive or are worked on may have {limit} bytes together, and the others have {others}"
    )]
    TooMuchUnderWay {
        /// Bytes that all may have.
        limit: u64,
        /// Bytes that the others have.
        others: u64,
        /// The upload that failed.
        upload_id: UploadId,
    },
    /// The key belongs to a request with another body or other parameters.
    #[error("this idempotency key was used with another request")]
    KeyReused,
    /// The first request with this key is still being received.
    #[error("a request with this idempotency key is being received now")]
    KeyInFlight,
    /// The body broke off or could not be read to its end.
    #[error("the body could not be read to its end")]
    Broken {
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
        /// What the connection or the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody cancelled it, one of its chunks is dead, or the receiving process missed its heartbeats.
    #[error("the upload was cancelled or has failed while it was received")]
    Cancelled {
        /// The upload that ended.
        upload_id: UploadId,
    },
    /// The object store did not take a chunk.
    #[error("a chunk could not be stored")]
    Store(#[from] object_store::Error),
    /// The database did not take it.
    #[error("the ledger did not take it")]
    Database(#[from] sqlx::Error),
    /// The queue did not take it.
    #[error("the ledger did not take a job")]
    Queue(#[from] QueueError),
}

impl UploadService {
    /// Receives one file: `body` is its bytes, decompressed. Workers are busy with its chunks before it has ended.
    /// Runs to its end even if the caller goes away, so that a broken upload is always cleaned up.
    ///
    /// # Errors
    /// See [`ReceiveError`]. Whatever the error, nothing of the file stays.
    pub async fn receive<S, E>(&self, new: NewUpload, body: S) -> Result<ReceiveOutcome, ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let service = self.clone();
        let running = tokio::spawn(trace::carry(async move {
            if let Some(earlier) = service.keyed(&new).await? {
                return service.replay(&new, earlier, body).await;
            }
            service.take(new, body).await
        }));
        match running.await {
            Ok(result) => result,
            Err(error) => Err(ReceiveError::Broken { upload_id: None, source: error.into() }),
        }
    }

    async fn take<S, E>(&self, new: NewUpload, mut body: S) -> Result<ReceiveOutcome, ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut cutter = HashingSplitter::new(&self.limits);
        let mut intake: Option<UploadSession> = None;
        let result = async {
            while let Some(frame) = body.next().await {
                let frame = frame.map_err(|source| ReceiveError::Broken { upload_id: None, source: source.into() })?;
                cutter.push(&frame)?;
                self.pass_on(&new, &mut cutter, &mut intake).await?;
            }
            cutter.finish()?;
            self.pass_on(&new, &mut cutter, &mut intake).await
        }
        .await;
        let result = match result {
            Err(ReceiveError::Header(error)) => Err(cutter.explained(error, &mut body).await),
            other => other,
        };
        let Some(intake) = intake else {
            return Err(result.err().unwrap_or(ReceiveError::Empty));
        };
        match result {
            Ok(()) => intake.finish(cutter.arrived()).await,
            Err(error) => Err(intake.give_up(error).await),
        }
    }

    /// Hands what the splitter has cut to the intake; the header opens it.
    async fn pass_on(
        &self,
        new: &NewUpload,
        cutter: &mut HashingSplitter,
        intake: &mut Option<UploadSession>,
    ) -> Result<(), ReceiveError> {
        let max_record_bytes = bytes(self.limits.max_record_bytes);
        for piece in std::mem::take(&mut cutter.pieces) {
            match (piece, &mut *intake) {
                (Piece::Header { raw, bytes }, none @ None) => {
                    let limits = Limits { max_columns: self.limits.max_columns, max_record_bytes };
                    new.kind.read_header(&raw, &limits)?;
                    *none = Some(UploadSession::open(self, new, &raw, bytes).await?);
                }
                (Piece::Chunk(chunk), Some(intake)) => intake.chunk(chunk).await?,
                // The splitter gives a header first and once; a first record too long to be one comes as a chunk.
                _ => return Err(ReceiveError::HeaderTooLong { limit: max_record_bytes }),
            }
        }
        Ok(())
    }
}

impl From<Foreign> for ReceiveError {
    fn from(what: Foreign) -> Self {
        Self::Foreign { what, upload_id: None }
    }
}

/// A setting in bytes as a size in memory.
fn bytes(setting: u64) -> usize {
    usize::try_from(setting).unwrap_or(usize::MAX)
}

/// The splitter, with what is counted and hashed over the whole file.
struct HashingSplitter {
    splitter: Option<Splitter>,
    look: Look,
    pieces: Vec<Piece>,
    hash: Sha256,
    bytes: u64,
    /// Counted apart from the splitter, for who closes the upload.
    lines: LineCount,
    limit: u64,
}

impl HashingSplitter {
    fn new(limits: &LimitsConfig) -> Self {
        let splitter = Splitter::new(SplitLimits {
            chunk_bytes: bytes(limits.chunk_bytes),
            max_record_bytes: bytes(limits.max_record_bytes),
        });
        Self {
            splitter: Some(splitter),
            look: Look::default(),
            pieces: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
            lines: LineCount::default(),
            limit: limits.max_file_bytes,
        }
    }

    fn push(&mut self, frame: &[u8]) -> Result<(), ReceiveError> {
        self.bytes += frame.len() as u64;
        if self.bytes > self.limit {
            return Err(ReceiveError::TooLarge { limit: self.limit, upload_id: None });
        }
        self.hash.update(frame);
        self.lines.push(frame);
        if let (true, Some(splitter)) = (self.look.push(frame)?, &mut self.splitter) {
            splitter.push(frame, |piece| self.pieces.push(piece));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ReceiveError> {
        self.look.finish()?;
        if let Some(splitter) = self.splitter.take() {
            splitter.finish(|piece| self.pieces.push(piece));
        }
        Ok(())
    }

    /// Why the header is none, by the lines behind it: they are read for that, if they come.
    async fn explained<S, E>(&mut self, error: HeaderError, body: &mut S) -> ReceiveError
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        while !self.look.is_full()
            && let Some(Ok(frame)) = body.next().await
        {
            if let Err(what) = self.look.push(&frame) {
                return what.into();
            }
        }
        error.explained_by(self.look.head()).into()
    }

    fn arrived(self) -> ReceivedFile {
        ReceivedFile { bytes: self.bytes, lines: self.lines.lines(), sha256: self.hash.finalize().into() }
    }
}
