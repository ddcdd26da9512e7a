//! What has expired, and what was left in the object store.

use std::collections::BTreeSet;

use object_store::{ObjectStore, path::Path};
use sqlx::PgPool;

use super::{ResumableId, drop_objects};
use crate::retention::OrphanError;

/// Removes files that have expired and what became of others long ago, and drops the pieces of those that are not there or were read in.
/// A file that is whole and was not read in stays for a week more: the fault may be ours. A part stays while it is needed.
///
/// # Errors
/// When the store or Postgres cannot be reached or refuses.
pub async fn prune(pool: &PgPool, store: &dyn ObjectStore) -> Result<(), OrphanError> {
    let removed = sqlx::query(
        "delete from resumable_uploads where id in (
            select r.id from resumable_uploads r
            where r.expires_at < now() and (r.leased_until is null or r.leased_until < now())
              and (r.expires_at < now() - interval '7 days' or r.parameters is null or r.upload_id is not null
                   or r.problem is not null or r.length is null or r.received < r.length)
              and not exists (select from resumable_uploads f where f.client_id = r.client_id and f.parts @> array[r.id]
                              and f.upload_id is null and f.problem is null)
            order by r.expires_at limit 1000)",
    )
    .execute(pool)
    .await?;
    if removed.rows_affected() > 0 {
        tracing::info!(resumable_uploads = removed.rows_affected(), "removed resumable uploads that had expired");
    }
    drop_left(pool, store).await
}

/// A file's row is there before its first object, so no row means no file.
async fn drop_left(pool: &PgPool, store: &dyn ObjectStore) -> Result<(), OrphanError> {
    let folders = store.list_with_delimiter(Some(&Path::from("resumable"))).await?;
    let ids: BTreeSet<ResumableId> =
        folders.common_prefixes.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect();
    let over: Vec<ResumableId> = sqlx::query_scalar(
        "select f.id from unnest($1::uuid[]) as f (id) left join resumable_uploads r on r.id = f.id
         where r.id is null or r.upload_id is not null or r.problem is not null",
    )
    .bind(ids.into_iter().collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    for id in over {
        let objects = drop_objects(store, id).await?;
        tracing::info!(resumable_id = %id, objects, "dropped what was left of a resumable upload");
    }
    Ok(())
}
