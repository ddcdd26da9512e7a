//! Files that must be whole before they are read, on disk.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use futures::StreamExt as _;
use gristmill_platform::config::LimitsConfig;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use super::{Body, Sent, died};
use crate::ReceiveError;

/// Bytes a permit.
const UNIT: u64 = 1 << 20;
/// Archives and workbooks that are read at the same time: the texts of a workbook are in memory meanwhile.
const READERS: usize = 4;

/// Where they are written, and how much all of them may have. A clone shares it.
#[derive(Clone)]
pub struct Spool {
    folder: Option<PathBuf>,
    free: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

impl Spool {
    /// As the settings have it.
    #[must_use]
    pub fn new(limits: &LimitsConfig) -> Self {
        let units = usize::try_from(limits.max_spool_bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        let free = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Self { folder: limits.spool_dir.clone(), free, readers: Arc::new(Semaphore::new(READERS)) }
    }

    fn file(&self) -> io::Result<File> {
        match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        }
    }
}

/// A file that has arrived whole.
pub(super) struct Spooled {
    /// At its beginning.
    pub(super) file: File,
    pub(super) sent: Sent,
    pub(super) room: Arc<Room>,
    /// That of an upload counts as one that is being received until it is dropped.
    pub(super) body: Body,
}

/// The room that a file takes, and its turn to be read: whoever works on it has them, for nothing ends a thread.
pub(super) struct Room {
    _permits: Vec<OwnedSemaphorePermit>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Spooled {
    pub(super) async fn of(spool: &Spool, limits: &LimitsConfig, mut body: Body) -> Result<Self, ReceiveError> {
        let limit = limits.max_container_bytes.min(limits.max_file_bytes);
        let room = spool.clone();
        let file = spawn_blocking(move || room.file()).await.map_err(died)?.map_err(ReceiveError::Spool)?;
        let (mut file, mut hash, mut bytes) = (tokio::fs::File::from_std(file), Sha256::new(), 0_u64);
        let mut permits = Vec::new();
        while let Some(frame) = body.next().await {
            let frame = frame?;
            bytes += frame.len() as u64;
            if bytes > limit {
                return Err(ReceiveError::ContainerTooLarge { limit });
            }
            while permits.len() as u64 * UNIT < bytes {
                let permit = Arc::clone(&spool.free).try_acquire_owned();
                permits.push(permit.map_err(|_| ReceiveError::SpoolFull)?);
            }
            hash.update(&frame);
            file.write_all(&frame).await.map_err(ReceiveError::Spool)?;
        }
        file.flush().await.map_err(ReceiveError::Spool)?;
        file.rewind().await.map_err(ReceiveError::Spool)?;
        let sent = Sent { bytes, sha256: hash.finalize().into() };
        // It fails only when the semaphore is closed, which nothing does.
        let turn = Arc::clone(&spool.readers).acquire_owned().await.ok();
        let room = Arc::new(Room { _permits: permits, _turn: turn });
        Ok(Self { file: file.into_std().await, sent, room, body })
    }
}
