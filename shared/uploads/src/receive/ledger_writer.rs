//! Chunks on their way into the ledger: stored two at a time and entered in batches, so that neither the store's nor the
//! ledger's round trips hold up the body.

use std::pin::Pin;

use futures::{FutureExt, StreamExt, stream};
use gristmill_core::ClientId;
use gristmill_pipelines::{Chunk, Oversize};
use gristmill_queue::{Enqueued, GroupId, Options, QueueError};
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, types::Json};
use tokio::sync::mpsc;

use super::{
    ReceiveError, UploadService, dedup::PossibleCopy, memory_budget::MemoryPermit, retry::retry_through_outage,
};
use crate::{
    State, UploadId,
    jobs::{LoadChunk, LoadPlainChunk},
    objects, state,
};

/// Chunks being written to the store at a time.
const CONCURRENT_PUTS: usize = 2;

/// A record too long to be kept, as it is noted in its chunk's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OversizeNote {
    /// Line of its first byte.
    pub line: u64,
    /// How many lines it covers; of one noted before these were counted none.
    #[serde(default)]
    pub lines: u64,
    /// Its length.
    pub bytes: u64,
    /// How it begins.
    pub head: Vec<u8>,
}

/// Whose chunks they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members {
    pub(super) upload_id: UploadId,
    pub(super) client_id: ClientId,
    pub(super) group: GroupId,
}

/// A chunk on its way, with the memory that it takes until it is stored.
pub(super) struct Cut {
    pub(super) no: i32,
    pub(super) chunk: Chunk,
    pub(super) memory: MemoryPermit,
}

/// A chunk whose object is written.
pub(super) struct StoredChunk {
    pub(super) no: i32,
    first_line: i64,
    first_byte: i64,
    bytes: i64,
    pub(super) sha256: Vec<u8>,
    oversize: Option<Json<Vec<OversizeNote>>>,
}

/// Stores chunks as they are cut and enters them in the ledger, as many at once as are ready. Returns those that are to be
/// entered with the end of the file: all of one that looks like one sent before, and otherwise the last ones, so that a small
/// file costs no commit for its chunk alone.
pub(super) async fn enter(
    service: UploadService,
    members: Members,
    copy: PossibleCopy,
    cut: mpsc::Receiver<Cut>,
) -> Result<Vec<StoredChunk>, ReceiveError> {
    let mut copy = Some(copy);
    let cut = stream::unfold(cut, |mut cut| async move { cut.recv().await.map(|chunk| (chunk, cut)) });
    let stored = cut.map(|cut| store(&service, members.upload_id, cut)).buffered(CONCURRENT_PUTS).ready_chunks(64);
    let mut stored = stored.boxed().peekable();
    while let Some(batch) = stored.next().await {
        let mut batch = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Some(mut suspect) = copy.take()
            && suspect.holds(&service, &mut batch).await?
        {
            copy = Some(suspect);
            continue;
        }
        // The file has ended already.
        if let Some(None) = Pin::new(&mut stored).peek().now_or_never() {
            return Ok(batch);
        }
        commit(&service, members, &batch).await?;
    }
    Ok(copy.map(PossibleCopy::release).unwrap_or_default())
}

async fn store(service: &UploadService, id: UploadId, cut: Cut) -> Result<StoredChunk, ReceiveError> {
    let Cut { no, chunk, memory } = cut;
    let sha256 = Sha256::digest(&chunk.data).to_vec();
    let oversize = (!chunk.oversize.is_empty()).then(|| Json(chunk.oversize.into_iter().map(note).collect()));
    service.store.put(&objects::chunk(id, no), chunk.data.into()).await?;
    drop(memory);
    Ok(StoredChunk {
        no,
        first_line: chunk.first_line.cast_signed(),
        first_byte: chunk.first_byte.cast_signed(),
        bytes: chunk.bytes.cast_signed(),
        sha256,
        oversize,
    })
}

fn note(oversize: Oversize) -> OversizeNote {
    OversizeNote { line: oversize.line, lines: oversize.lines, bytes: oversize.bytes, head: oversize.head }
}

/// Enters chunks and their jobs in the ledger and pushes the jobs. An upload that has ended takes no more.
async fn commit(service: &UploadService, members: Members, batch: &[StoredChunk]) -> Result<(), ReceiveError> {
    let enqueued = retry_through_outage(|again| try_commit(service, members, batch, again)).await?;
    service.queue.push(enqueued).await;
    Ok(())
}

async fn try_commit(
    service: &UploadService,
    members: Members,
    batch: &[StoredChunk],
    again: bool,
) -> Result<Enqueued, ReceiveError> {
    let id = members.upload_id;
    let mut tx = service.pool.begin().await?;
    if state::lock(&mut tx, id).await? != Some(State::Receiving) {
        return Err(ReceiveError::Cancelled { upload_id: id });
    }
    let enqueued = match enter_in(service, &mut tx, members, batch).await {
        // Nobody else enters chunks of this upload: the commit whose answer was lost had taken effect. The sweep
        // pushes its jobs.
        Err(ReceiveError::Database(sqlx::Error::Database(error))) if again && error.is_unique_violation() => {
            return Ok(Enqueued::default());
        }
        other => other?,
    };
    tx.commit().await?;
    Ok(enqueued)
}

/// Enters chunks and their jobs in a transaction in which the upload cannot be ended. Push what it returns after the commit.
pub(super) async fn enter_in(
    service: &UploadService,
    conn: &mut PgConnection,
    members: Members,
    batch: &[StoredChunk],
) -> Result<Enqueued, ReceiveError> {
    let Members { upload_id, client_id, group } = members;
    if batch.is_empty() {
        return Ok(Enqueued::default());
    }
    let is_plain = insert(conn, upload_id, batch).await?;
    let jobs = batch.iter().map(|chunk| LoadChunk { upload_id, no: chunk.no });
    let options = Options { group: Some(group), client_id: Some(client_id), ..Options::default() };
    let enqueued = if is_plain {
        service.queue.enqueue_all(conn, &jobs.map(LoadPlainChunk).collect::<Vec<_>>(), &options).await
    } else {
        service.queue.enqueue_all(conn, &jobs.collect::<Vec<_>>(), &options).await
    };
    match enqueued {
        // A chunk of it is dead: the job that fails the upload is on its way.
        Err(QueueError::GroupClosed(_)) => Err(ReceiveError::Cancelled { upload_id }),
        other => Ok(other?),
    }
}

/// Returns whether the upload has no `reading`, which is fixed before its first chunk comes here.
async fn insert(conn: &mut PgConnection, id: UploadId, batch: &[StoredChunk]) -> Result<bool, sqlx::Error> {
    let are_plain: Vec<bool> = sqlx::query_scalar(
        "insert into chunks (upload_id, no, first_line, first_byte, bytes, sha256, oversize)
         select $1, * from unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::jsonb[])
         returning (select u.reading is null from uploads u where u.id = $1)",
    )
    .bind(id)
    .bind(batch.iter().map(|chunk| chunk.no).collect::<Vec<_>>())
    .bind(batch.iter().map(|chunk| chunk.first_line).collect::<Vec<_>>())
    .bind(batch.iter().map(|chunk| chunk.first_byte).collect::<Vec<_>>())
    .bind(batch.iter().map(|chunk| chunk.bytes).collect::<Vec<_>>())
    .bind(batch.iter().map(|chunk| chunk.sha256.as_slice()).collect::<Vec<_>>())
    .bind(batch.iter().map(|chunk| chunk.oversize.as_ref()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(are_plain.iter().all(|is_plain| *is_plain))
}
