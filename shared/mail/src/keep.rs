//! Mails as files in the object store, where API and workers both see them.

use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use uuid::Uuid;

fn path(id: Uuid) -> Path {
    Path::from(format!("mail/{id}.eml"))
}

pub(crate) async fn put(store: &dyn ObjectStore, id: Uuid, raw: Vec<u8>) -> Result<(), object_store::Error> {
    store.put(&path(id), raw.into()).await.map(|_| ())
}

/// A kept mail as it was sent; `None` where it was not kept.
///
/// # Errors
/// The store's.
pub async fn eml(store: &dyn ObjectStore, id: Uuid) -> Result<Option<Vec<u8>>, object_store::Error> {
    match store.get(&path(id)).await {
        Ok(found) => Ok(Some(found.bytes().await?.into())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
