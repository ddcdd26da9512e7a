//! The jobs of an upload's life: payloads of ids. Their bodies are in the worker.

use std::time::Duration;

use gristmill_core::Source;
use gristmill_queue::Job;
use serde::{Deserialize, Serialize};

use crate::UploadId;

/// The jobs of this file: their payloads name the upload that needs them.
pub const OF_AN_UPLOAD: [&str; 6] =
    [LoadChunk::NAME, LoadPart::NAME, CloseUpload::NAME, FailUpload::NAME, PurgeUpload::NAME, DropObjects::NAME];

/// Parse, check and load one chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadChunk {
    /// The upload it belongs to.
    pub upload_id: UploadId,
    /// Its number in the file, from 0.
    pub no: i32,
}

/// Its second version is that of a chunk of a file with a `reading`, by which workers of before would not read it: they park it.
impl Job for LoadChunk {
    const NAME: &'static str = "uploads.load_chunk";
    const QUEUE: &'static str = "chunks";
    const TIMEOUT: Duration = Duration::from_secs(120);
    const VERSION: u16 = 2;

    fn upgrade(_: u16, payload: serde_json::Value) -> Result<serde_json::Value, Source> {
        Ok(payload)
    }
}

/// [`LoadChunk`] of a plain file, which workers of before load, too: to be enqueued, and taken by the body of the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoadPlainChunk(pub LoadChunk);

impl Job for LoadPlainChunk {
    const NAME: &'static str = LoadChunk::NAME;
    const QUEUE: &'static str = LoadChunk::QUEUE;
    const TIMEOUT: Duration = LoadChunk::TIMEOUT;
}

/// Load a part of a chunk that took its workers down, or find out which of its records does that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadPart {
    /// The upload it belongs to.
    pub upload_id: UploadId,
    /// The chunk's number in the file, from 0.
    pub no: i32,
    /// Where in the chunk's object it starts.
    pub first_byte: i64,
}

/// As with [`LoadChunk`]; there are so few that those of plain files are of the second version, too.
impl Job for LoadPart {
    const NAME: &'static str = "uploads.load_part";
    const QUEUE: &'static str = "chunks";
    /// It waits until its process loads nothing else.
    const TIMEOUT: Duration = Duration::from_secs(300);
    const VERSION: u16 = 2;

    fn upgrade(_: u16, payload: serde_json::Value) -> Result<serde_json::Value, Source> {
        Ok(payload)
    }
}

/// The join: every chunk is loaded, so settle what is open, check that it adds up, close.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloseUpload {
    /// The upload to close.
    pub upload_id: UploadId,
}

impl Job for CloseUpload {
    const NAME: &'static str = "uploads.close";
    const QUEUE: &'static str = "uploads";
    const PRIORITY: u8 = 2;
    const TIMEOUT: Duration = Duration::from_secs(600);
}

/// The join of a group with a dead member: the upload has failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FailUpload {
    /// The upload that failed.
    pub upload_id: UploadId,
}

impl Job for FailUpload {
    const NAME: &'static str = "uploads.fail";
    const QUEUE: &'static str = "uploads";
    const PRIORITY: u8 = 2;
}

/// Remove what an upload that failed, was cancelled or undone has left: rows, rejects, objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PurgeUpload {
    /// The upload to purge.
    pub upload_id: UploadId,
}

impl Job for PurgeUpload {
    const NAME: &'static str = "uploads.purge";
    const QUEUE: &'static str = "uploads";
    const PRIORITY: u8 = 3;
    const MAX_ATTEMPTS: u16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(600);
}

/// Remove the chunk objects of a closed upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DropObjects {
    /// The upload whose objects are no longer needed.
    pub upload_id: UploadId,
}

impl Job for DropObjects {
    const NAME: &'static str = "uploads.drop_objects";
    const QUEUE: &'static str = "uploads";
    const PRIORITY: u8 = 7;
    const MAX_ATTEMPTS: u16 = 25;
}

/// Open the segments of rows that are needed next, make the filters of full ones, drop those that nobody's rows are in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TendSegments {}

impl Job for TendSegments {
    const NAME: &'static str = "segments.tend";
    const QUEUE: &'static str = "uploads";
    const TIMEOUT: Duration = Duration::from_secs(3_600);
}

/// Drop the segments whose rows were kept for long enough.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DropOldRows {
    /// How long that is.
    pub keep_seconds: u32,
}

impl Job for DropOldRows {
    const NAME: &'static str = "segments.drop_old";
    const QUEUE: &'static str = "uploads";
    const PRIORITY: u8 = 7;
    const TIMEOUT: Duration = Duration::from_secs(3_600);
}
