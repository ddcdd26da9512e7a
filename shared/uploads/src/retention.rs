//! What uploads have left and nobody will ever ask for. A scheduler calls each of these every minute.

use std::collections::BTreeSet;

use gristmill_core::ClientId;
use gristmill_queue::{Job as _, Queue, QueueError};
use object_store::{ObjectStore, path::Path};
use sqlx::PgPool;

use crate::{UploadId, jobs::PurgeUpload, objects, state};

/// Removes the idempotency keys of uploads that were answered with another upload: whoever repeats a request does so within a
/// day.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn prune_keys(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from upload_keys where (client_id, key) in (
            select client_id, key from upload_keys where created_at < now() - interval '1 day' limit 10000)",
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Enqueues the purges that were lost: of uploads that have ended and are not purged, where no job is left to do it, as it died
/// or was cancelled.
///
/// # Errors
/// When the ledger cannot be reached or refuses a statement.
pub async fn enqueue_lost_purges(pool: &PgPool, queue: &Queue) -> Result<(), QueueError> {
    let lost: Vec<(UploadId, ClientId)> = sqlx::query_as(
        "select u.id, u.client_id from uploads u
         where u.state in ('failed', 'cancelled') and u.purged_at is null
           and not exists (select from gristmill.jobs where unique_key = $1::text || ':' || u.id
                           and state in ('available', 'scheduled'))
           and not exists (select from gristmill.jobs where state = 'parked' and name = $1
                           and payload->>'upload_id' = u.id::text)
         order by u.id limit 100",
    )
    .bind(PurgeUpload::NAME)
    .fetch_all(pool)
    .await?;
    for (id, client_id) in lost {
        let mut tx = pool.begin().await?;
        let jobs = state::purge(&mut tx, queue, client_id, id).await?;
        tx.commit().await?;
        if !jobs.is_empty() {
            queue.push(jobs).await;
            tracing::warn!(upload_id = %id, "the purge of an ended upload was lost, and is enqueued again");
        }
    }
    Ok(())
}

/// Why orphaned objects could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum OrphanError {
    /// The store did not list or delete them.
    #[error("the object store did not list or delete chunks of uploads that have ended")]
    Store(#[from] object_store::Error),
    /// The database did not say which they are.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Drops objects of uploads that have ended and were purged, or never were: a chunk that was being written when its upload
/// broke off. An upload's row is there before its first object, so no row means no upload.
///
/// # Errors
/// When the store or Postgres cannot be reached or refuses.
pub async fn drop_orphaned_objects(pool: &PgPool, store: &dyn ObjectStore) -> Result<(), OrphanError> {
    let folders = store.list_with_delimiter(Some(&Path::from("uploads"))).await?;
    let ids: BTreeSet<UploadId> =
        folders.common_prefixes.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect();
    let ids: Vec<UploadId> = ids.into_iter().collect();
    let over: Vec<UploadId> = sqlx::query_scalar(
        "select f.id from unnest($1::uuid[]) as f (id) left join uploads u on u.id = f.id
         where u.purged_at < now() - interval '1 minute' or u.id is null",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    for id in over {
        let objects = objects::drop_all(store, id).await?;
        tracing::info!(upload_id = %id, objects, "dropped orphaned objects");
    }
    Ok(())
}
