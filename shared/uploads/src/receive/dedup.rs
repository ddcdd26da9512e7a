//! The same file again.
//!
//! That a file is the same as one before is certain only at its last byte, but its first chunk tells whether it may
//! be: then its chunks are stored and held back from the queue until one differs, or the file ends and does not.

use gristmill_core::ClientId;

use super::{
    NewUpload, ReceiveError, UploadService, ledger_writer::StoredChunk, retry::retry_through_outage,
    session::ReceivedFile,
};
use crate::{OnDuplicate, Upload, UploadId, objects, read};

/// A completed upload `u` that has its rows, or whose duplicates have theirs: not one whose duplicates were the rows of an
/// upload of the client `k` that was undone, or of one whose rows were dropped, so that they are nowhere now. Only uploads
/// with duplicates are looked into, by the rejects' key: 300,000 of them take a second. Left to itself the planner joins the
/// rejects of all clients first (`offset 0`), or takes an upload that it does not know for as large as those it knows (a
/// range of one). The other uploads are asked for without `u`, or each reject would look through all of them.
const STANDS: &str = "u.state = 'completed' and u.rows_dropped_at is null and not exists (
            select from upload_progress p where p.upload_id = u.id and p.duplicate > 0 and exists (
                select from rejects r where r.upload_id between u.id and u.id and r.first_upload_id in (
                    select w.id from uploads w
                    where w.client_id = k.client_id and (w.state <> 'completed' or w.rows_dropped_at is not null)) offset 0) offset 0)";

impl NewUpload {
    /// The same file again is answered with the first one. Not where it replaces rows: others may have replaced its own since.
    pub(super) fn is_once(&self) -> bool {
        !self.force && self.on_duplicate != OnDuplicate::Replace
    }
}

/// The file that this one may be a copy of, and the chunks held back meanwhile.
pub(super) struct PossibleCopy {
    client_id: ClientId,
    kind: String,
    header: Vec<u8>,
    suspicion: Suspicion,
    held: Vec<StoredChunk>,
}

enum Suspicion {
    /// The first chunk has not come yet.
    Open,
    /// So far chunk for chunk this completed upload.
    Same(UploadId),
    /// It is another file.
    None,
}

impl PossibleCopy {
    pub(super) fn new(new: &NewUpload, header: &[u8]) -> Self {
        Self {
            client_id: new.client_id,
            kind: new.kind.to_string(),
            header: header.to_vec(),
            suspicion: if new.is_once() { Suspicion::Open } else { Suspicion::None },
            held: Vec::new(),
        }
    }

    /// What was held back.
    pub(super) fn release(self) -> Vec<StoredChunk> {
        self.held
    }

    /// Whether `batch` was taken and held back. If not, `batch` is everything that has to be entered now, and the
    /// question is settled: it is another file.
    pub(super) async fn holds(
        &mut self,
        service: &UploadService,
        batch: &mut Vec<StoredChunk>,
    ) -> Result<bool, ReceiveError> {
        if let (Suspicion::Open, Some(first)) = (&self.suspicion, batch.first()) {
            let sha256 = &first.sha256;
            self.suspicion = match retry_through_outage(|_| self.begins_like(service, sha256)).await? {
                Some(original) => Suspicion::Same(original),
                None => Suspicion::None,
            };
        }
        let Suspicion::Same(original) = self.suspicion else { return Ok(false) };
        let numbers: Vec<i32> = batch.iter().map(|chunk| chunk.no).collect();
        let theirs = retry_through_outage(|_| hashes(service, original, &numbers)).await?;
        let same = theirs.len() == batch.len() && theirs.iter().zip(batch.iter()).all(|(a, b)| *a == b.sha256);
        self.held.append(batch);
        if !same {
            *batch = std::mem::take(&mut self.held);
        }
        Ok(same)
    }

    async fn begins_like(&self, service: &UploadService, sha256: &[u8]) -> Result<Option<UploadId>, ReceiveError> {
        let sql = format!(
            "with k as materialized (select $2::int as client_id)
             select u.id from k, chunks c join uploads u on u.id = c.upload_id
             where c.no = 0 and c.sha256 = $1 and u.client_id is not distinct from k.client_id and u.kind = $3 and u.header = $4
               and {STANDS} order by u.id limit 1"
        );
        let original = sqlx::query_scalar(&sql)
            .bind(sha256)
            .bind(self.client_id)
            .bind(&self.kind)
            .bind(&self.header)
            .fetch_optional(&service.pool)
            .await?;
        Ok(original)
    }
}

/// The hashes of an upload's chunks.
async fn hashes(service: &UploadService, upload_id: UploadId, numbers: &[i32]) -> Result<Vec<Vec<u8>>, ReceiveError> {
    let query = sqlx::query_scalar("select sha256 from chunks where upload_id = $1 and no = any($2) order by no");
    Ok(query.bind(upload_id).bind(numbers).fetch_all(&service.pool).await?)
}

impl UploadService {
    /// The client's completed upload of the same file, read alike: the first one that stands.
    pub(super) async fn completed_before(
        &self,
        new: &NewUpload,
        file: &ReceivedFile,
        except: UploadId,
    ) -> Result<Option<Upload>, ReceiveError> {
        let sql = format!(
            "with k as materialized (select $1::int as client_id)
             select u.id from k join uploads n on n.id = $4 join uploads u on u.client_id = k.client_id
             where u.sha256 = $2 and u.kind = $3 and u.id <> $4 and {STANDS}
               and u.reading is not distinct from n.reading and u.header = n.header and u.header_bytes in (0, n.header_bytes)
               and coalesce(u.dialect->>'encoding', 'utf-8') = $5 order by u.id limit 1"
        );
        let first: Option<UploadId> = sqlx::query_scalar(&sql)
            .bind(new.client_id)
            .bind(&file.sha256[..])
            .bind(new.kind.to_string())
            .bind(except)
            .bind(file.dialect.encoding.name())
            .fetch_optional(&self.pool)
            .await?;
        match first {
            Some(id) => Ok(read::find(&self.pool, new.client_id, id).await?),
            None => Ok(None),
        }
    }

    /// Removes the copy of a file that was there already, if nothing of it was loaded; else the purge does it.
    pub(super) async fn forget(&self, id: UploadId) -> Result<(), ReceiveError> {
        objects::drop_all(&*self.store, id).await?;
        sqlx::query("delete from uploads where id = $1 and not exists (select from chunks where upload_id = $1)")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
