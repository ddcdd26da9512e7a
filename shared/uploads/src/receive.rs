//! Receiving: body → splitter → chunk objects → ledger rows → broker, while the body still arrives.

mod dedup;
mod idempotency;
mod ledger_writer;
mod memory_budget;
mod retry;
mod session;
mod text;

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use gristmill_containers::ContainerError;
use gristmill_core::ClientId;
use gristmill_pipelines::{
    Arrived, Foreign, HeaderError, Intake, IntakeError, Kind, Limits, Part, Profile, Question, Said, SplitLimits,
    Within, charset::CharsetError, sentences,
};
use gristmill_platform::config::LimitsConfig;
use gristmill_queue::{Queue, QueueError, trace};
use object_store::ObjectStore;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use self::session::{Header, ReceivedFile, UploadSession};
pub use self::{
    ledger_writer::OversizeNote,
    memory_budget::MemoryBudget,
    text::{FileText, Spool, text_of},
};
use crate::{Hooks, OnDuplicate, Policy, Upload, UploadId, events::Events, profiles};
use text::Sent;

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
    /// Where archives and workbooks are until they are whole.
    pub spool: Spool,
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
    /// What becomes of a row whose key an earlier upload has.
    pub on_duplicate: OnDuplicate,
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
    #[error("{}", sentences(questions))]
    Ambiguous {
        /// What is open, and what may be said.
        questions: Vec<Question>,
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
    },
    /// It is an archive or a workbook, of which no table can be read.
    #[error("{error}")]
    Container {
        /// What was found, and what to do.
        error: ContainerError,
        /// The upload that failed, when its header had been accepted.
        upload_id: Option<UploadId>,
    },
    /// It is an archive or a workbook, and larger than those may be.
    #[error("the file is an archive or a workbook of more than {limit} bytes: send the table in it as CSV")]
    ContainerTooLarge {
        /// Bytes that one may have.
        limit: u64,
    },
    /// As many archives and workbooks are arriving as there is room for.
    #[error("archives and workbooks that arrive fill the room that there is for them")]
    SpoolFull,
    /// An archive or a workbook could not be written to disk, or read from it.
    #[error("the file could not be kept on disk while it arrives")]
    Spool(#[source] std::io::Error),
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

    async fn take<S, E>(&self, new: NewUpload, body: S) -> Result<ReceiveOutcome, ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let FileText { within, sent, mut text } = text_of(&self.spool, &self.limits, &new.said, body).await?;
        let profiles = profiles::by_header(&self.pool, new.client_id, new.kind, &new.said).await?;
        let mut arriving = Arriving::new(&self.limits, &new, profiles, within, sent);
        let mut session: Option<UploadSession> = None;
        let result = async {
            while let Some(frame) = text.next().await {
                arriving.push(&frame?)?;
                self.pass_on(&new, &mut arriving, &mut session).await?;
            }
            let file = arriving.finish()?;
            self.pass_on(&new, &mut arriving, &mut session).await?;
            Ok(file)
        }
        .await;
        let Some(session) = session else {
            return Err(result.err().unwrap_or(ReceiveError::Empty));
        };
        match result {
            Ok(file) => session.finish(file).await,
            Err(error) => Err(session.give_up(error).await),
        }
    }

    /// Hands what has been cut to the session; the header opens it.
    async fn pass_on(
        &self,
        new: &NewUpload,
        arriving: &mut Arriving,
        session: &mut Option<UploadSession>,
    ) -> Result<(), ReceiveError> {
        for part in std::mem::take(&mut arriving.parts) {
            match (part, &mut *session) {
                (Part::Header { raw, bytes, dialect }, none @ None) => {
                    *none = Some(UploadSession::open(self, new, Header { raw: &raw, bytes, dialect: &dialect }).await?);
                }
                (Part::Values(dialect), Some(session)) => session.values(&dialect).await?,
                (Part::Chunk(chunk), Some(session)) => session.chunk(chunk).await?,
                // The header comes first and once; a first record too long to be one comes as a chunk.
                _ => return Err(ReceiveError::HeaderTooLong { limit: bytes(self.limits.max_record_bytes) }),
            }
        }
        Ok(())
    }
}

impl From<IntakeError> for ReceiveError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Foreign(what) => Self::Foreign { what, upload_id: None },
            IntakeError::Charset(error) => Self::Charset { error, upload_id: None },
            IntakeError::Header(error) => Self::Header(error),
            IntakeError::Asks(questions) => Self::Ambiguous { questions, upload_id: None },
            IntakeError::Empty => Self::Empty,
        }
    }
}

impl From<ContainerError> for ReceiveError {
    fn from(error: ContainerError) -> Self {
        match error {
            ContainerError::Asks(question) => Self::Ambiguous { questions: vec![question], upload_id: None },
            ContainerError::Io(error) => Self::Spool(error),
            error => Self::Container { error, upload_id: None },
        }
    }
}

/// A setting in bytes as a size in memory.
fn bytes(setting: u64) -> usize {
    usize::try_from(setting).unwrap_or(usize::MAX)
}

/// A file that is taken in, with what is counted and hashed over all of it.
struct Arriving {
    intake: Option<Intake>,
    parts: Vec<Part>,
    hash: Sha256,
    bytes: u64,
    limit: u64,
    /// It was sent as another one.
    sent: Option<Sent>,
}

impl Arriving {
    fn new(
        limits: &LimitsConfig,
        new: &NewUpload,
        profiles: Vec<Profile>,
        within: Option<Within>,
        sent: Option<Sent>,
    ) -> Self {
        let max_record_bytes = bytes(limits.max_record_bytes);
        let split = SplitLimits { chunk_bytes: bytes(limits.chunk_bytes), max_record_bytes };
        let header = Limits { max_columns: limits.max_columns, max_record_bytes };
        let intake = Intake::new(new.kind, new.said.clone(), split, header).knowing(profiles);
        Self {
            intake: Some(match within {
                Some(within) => intake.within(within),
                None => intake,
            }),
            sent,
            parts: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
            limit: limits.max_file_bytes,
        }
    }

    fn push(&mut self, frame: &[u8]) -> Result<(), ReceiveError> {
        self.bytes += frame.len() as u64;
        if self.bytes > self.limit {
            return Err(ReceiveError::TooLarge { limit: self.limit, upload_id: None });
        }
        if self.sent.is_none() {
            self.hash.update(frame);
        }
        match &mut self.intake {
            Some(intake) => Ok(intake.push(frame, |part| self.parts.push(part))?),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<ReceivedFile, ReceiveError> {
        let intake = self.intake.take().ok_or(ReceiveError::Empty)?;
        let Arrived { dialect, text_bytes, lines } = intake.finish(|part| self.parts.push(part))?;
        let sent = self.sent.take();
        let Sent { bytes, sha256 } = sent.unwrap_or_else(|| {
            let sha256 = std::mem::take(&mut self.hash).finalize().into();
            Sent { bytes: self.bytes, sha256 }
        });
        Ok(ReceivedFile { bytes, text_bytes, lines, sha256, dialect })
    }
}
