//! The same file again, and the same request again.
//!
//! That a file is the same as one before is certain only at its last byte, but its first chunk tells whether it may
//! be: then its chunks are stored and held back from the queue until one differs, or the file ends and does not.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use gristmill_queue::GroupId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{NewUpload, ReceiveError, Received, UploadService, enter::Stored, patience::patiently};
use crate::{State, Upload, objects, read};

/// A completed upload `u` that has its rows, or whose duplicates have theirs: not one whose duplicates were the rows of an upload
/// of the client `k` that was undone, so that they are nowhere now. Only uploads with duplicates are looked into, by the rejects'
/// key: 300,000 of them take a second. Left to itself the planner joins the rejects of all clients first (`offset 0`), or
/// takes an upload that it does not know for as large as those it knows (a range of one). The other uploads are asked for
/// without `u`, or each reject would look through all of them.
const STANDS: &str = "u.state = 'completed' and not exists (
            select from upload_progress p where p.upload_id = u.id and p.duplicate > 0 and exists (
                select from rejects r where r.upload_id between u.id and u.id and r.first_upload_id in (
                    select w.id from uploads w where w.client_id = k.client_id and w.state <> 'completed') offset 0) offset 0)";

/// The file that this one may be a copy of, and the chunks held back meanwhile.
pub(super) struct Twin {
    client_id: i32,
    kind: String,
    header: Vec<u8>,
    group: GroupId,
    suspicion: Suspicion,
    held: Vec<Stored>,
}

/// A request with the same idempotency key, and the upload that it was answered with.
pub(super) struct Earlier {
    upload: Upload,
    row: KeyRow,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    upload_id: Uuid,
    /// The request made it; else its file had been there already.
    made: bool,
    policy: String,
    filename: Option<String>,
    forced: bool,
}

enum Suspicion {
    /// The first chunk has not come yet.
    Open,
    /// So far chunk for chunk this completed upload.
    Same(Uuid),
    /// It is another file.
    None,
}

impl Twin {
    pub(super) fn new(new: &NewUpload, header: &[u8], group: GroupId) -> Self {
        Self {
            client_id: new.client_id,
            kind: new.kind.to_string(),
            header: header.to_vec(),
            group,
            suspicion: if new.force { Suspicion::None } else { Suspicion::Open },
            held: Vec::new(),
        }
    }

    pub(super) fn group(&self) -> GroupId {
        self.group
    }

    /// What was held back.
    pub(super) fn release(&mut self) -> Vec<Stored> {
        std::mem::take(&mut self.held)
    }

    /// Whether `batch` was taken and held back. If not, `batch` is everything that has to be entered now, and the
    /// question is settled: it is another file.
    pub(super) async fn holds(
        &mut self,
        service: &UploadService,
        batch: &mut Vec<Stored>,
    ) -> Result<bool, ReceiveError> {
        if let (Suspicion::Open, Some(first)) = (&self.suspicion, batch.first()) {
            let sha256 = &first.sha256;
            self.suspicion = match patiently(|_| self.begins_like(service, sha256)).await? {
                Some(twin) => Suspicion::Same(twin),
                None => Suspicion::None,
            };
        }
        let Suspicion::Same(twin) = self.suspicion else { return Ok(false) };
        let numbers: Vec<i32> = batch.iter().map(|chunk| chunk.no).collect();
        let theirs = patiently(|_| hashes(service, twin, &numbers)).await?;
        let same = theirs.len() == batch.len() && theirs.iter().zip(batch.iter()).all(|(a, b)| *a == b.sha256);
        self.held.append(batch);
        if !same {
            *batch = self.release();
        }
        Ok(same)
    }

    async fn begins_like(&self, service: &UploadService, sha256: &[u8]) -> Result<Option<Uuid>, ReceiveError> {
        let sql = format!(
            "with k as materialized (select $2::int as client_id)
             select u.id from k, chunks c join uploads u on u.id = c.upload_id
             where c.no = 0 and c.sha256 = $1 and u.client_id is not distinct from k.client_id and u.kind = $3 and u.header = $4
               and {STANDS} order by u.id limit 1"
        );
        let twin = sqlx::query_scalar(&sql)
            .bind(sha256)
            .bind(self.client_id)
            .bind(&self.kind)
            .bind(&self.header)
            .fetch_optional(&service.pool)
            .await?;
        Ok(twin)
    }
}

/// The hashes of an upload's chunks.
async fn hashes(service: &UploadService, upload_id: Uuid, numbers: &[i32]) -> Result<Vec<Vec<u8>>, ReceiveError> {
    let query = sqlx::query_scalar("select sha256 from chunks where upload_id = $1 and no = any($2) order by no");
    Ok(query.bind(upload_id).bind(numbers).fetch_all(&service.pool).await?)
}

impl UploadService {
    /// The client's completed upload of the same file, the first one that stands.
    pub(super) async fn completed_before(
        &self,
        new: &NewUpload,
        sha256: &[u8],
        except: Uuid,
    ) -> Result<Option<Upload>, ReceiveError> {
        let sql = format!(
            "with k as materialized (select $1::int as client_id)
             select u.id from k join uploads u on u.client_id = k.client_id
             where u.sha256 = $2 and u.kind = $3 and u.id <> $4 and {STANDS} order by u.id limit 1"
        );
        let first: Option<Uuid> = sqlx::query_scalar(&sql)
            .bind(new.client_id)
            .bind(sha256)
            .bind(new.kind.to_string())
            .bind(except)
            .fetch_optional(&self.pool)
            .await?;
        match first {
            Some(id) => Ok(read::find(&self.pool, new.client_id, id).await?),
            None => Ok(None),
        }
    }

    /// Removes the copy of a file that was there already, if nothing of it was loaded; else the purge does it.
    pub(super) async fn forget(&self, id: Uuid) -> Result<(), ReceiveError> {
        objects::drop_all(&*self.store, id).await?;
        sqlx::query("delete from uploads where id = $1 and not exists (select from chunks where upload_id = $1)")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Writes down that this request is answered with an upload that it has not made.
    pub(super) async fn remember(&self, new: &NewUpload, upload_id: Uuid) -> Result<(), ReceiveError> {
        let Some(key) = &new.idempotency_key else { return Ok(()) };
        sqlx::query(
            "insert into upload_keys (client_id, key, upload_id, policy, filename) values ($1, $2, $3, $4, $5)
             on conflict (client_id, key) do nothing",
        )
        .bind(new.client_id)
        .bind(key)
        .bind(upload_id)
        .bind(<&str>::from(new.policy))
        .bind(&new.filename)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The request made before with this idempotency key, if there was one.
    pub(super) async fn keyed(&self, new: &NewUpload) -> Result<Option<Earlier>, ReceiveError> {
        let Some(key) = &new.idempotency_key else { return Ok(None) };
        let found: Option<KeyRow> = sqlx::query_as(
            "select id as upload_id, true as made, policy, filename, forced from uploads
             where client_id = $1 and idempotency_key = $2
             union all
             select upload_id, false, policy, filename, false from upload_keys where client_id = $1 and key = $2
             limit 1",
        )
        .bind(new.client_id)
        .bind(key)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let Some(upload) = read::find(&self.pool, new.client_id, row.upload_id).await? else { return Ok(None) };
        Ok(Some(Earlier { upload, row }))
    }

    /// Answers a request made before: reads the body to its end to see that it is the same.
    pub(super) async fn replay<S, E>(
        &self,
        new: &NewUpload,
        earlier: Earlier,
        mut body: S,
    ) -> Result<Received, ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let Earlier { upload: first, row } = earlier;
        if first.state == State::Receiving {
            return Err(ReceiveError::KeyInFlight);
        }
        let said = (row.policy.as_str(), row.forced, row.filename.as_deref());
        if first.kind != new.kind || said != (<&str>::from(new.policy), new.force, new.filename.as_deref()) {
            return Err(ReceiveError::KeyReused);
        }
        let mut bytes = 0;
        let mut hash = Sha256::new();
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(|source| ReceiveError::Broken { upload_id: None, source: source.into() })?;
            bytes += frame.len() as u64;
            if bytes > self.limits.max_file_bytes {
                return Err(ReceiveError::TooLarge { limit: self.limits.max_file_bytes, upload_id: None });
            }
            hash.update(&frame);
        }
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if first.sha256.as_ref().is_some_and(|known| *known != sha256) {
            return Err(ReceiveError::KeyReused);
        }
        Ok(if row.made { Received::Replayed(first) } else { Received::Same(first) })
    }
}
