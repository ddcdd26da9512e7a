//! Mails as files in the object store, where API and workers both see them.

use std::time::Duration;

use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use sqlx::PgPool;
use uuid::Uuid;

fn path(id: Uuid) -> Path {
    Path::from(format!("mail/{id}.eml"))
}

pub(crate) async fn put(store: &dyn ObjectStore, id: Uuid, raw: Vec<u8>) -> Result<(), object_store::Error> {
    store.put(&path(id), raw.into()).await.map(|_| ())
}

/// Deletes one, if it is there.
pub(crate) async fn drop(store: &dyn ObjectStore, id: Uuid) -> Result<(), object_store::Error> {
    match store.delete(&path(id)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A kept mail as it was sent; `None` where it was not kept.
///
/// # Errors
/// When the object store cannot be reached or refuses it.
pub async fn eml(store: &dyn ObjectStore, id: Uuid) -> Result<Option<Vec<u8>>, object_store::Error> {
    match store.get(&path(id)).await {
        Ok(found) => Ok(Some(found.bytes().await?.into())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why kept mails could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// Which they are, or that they are gone, is not known.
    #[error("kept mails cannot be looked up")]
    Database(#[from] sqlx::Error),
    /// A file stays.
    #[error("a kept mail cannot be deleted")]
    Store(#[from] object_store::Error),
}

/// Drops what was kept of some mails that are at least so old: file and text. That they were sent stays. Answers how many.
///
/// # Errors
/// The database's or the store's; what is left is dropped the next time.
pub async fn prune(pool: &PgPool, store: &dyn ObjectStore, keep: Duration) -> Result<usize, DropError> {
    let over: Vec<Uuid> = sqlx::query_scalar(
        // One that was sent again is as old as that.
        "select id from mails
         where kept and created_at <= now() - $1 * interval '1 second'
           and (sent_at is null or sent_at <= now() - $1 * interval '1 second')
         order by created_at limit 1000",
    )
    .bind(keep.as_secs_f64())
    .fetch_all(pool)
    .await?;
    for id in &over {
        drop(store, *id).await?;
    }
    sqlx::query("update mails set kept = false, text = null where id = any($1)").bind(&over).execute(pool).await?;
    Ok(over.len())
}
