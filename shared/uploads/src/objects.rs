//! Where an upload's chunks are in the object store: `uploads/<upload id>/<chunk number>`.

use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use crate::UploadId;

/// The object of one chunk.
pub fn chunk(upload_id: UploadId, no: i32) -> Path {
    Path::from(format!("uploads/{upload_id}/{no:06}"))
}

/// Deletes every object of an upload and says how many there were. Done twice, it finds nothing the second time.
pub async fn drop_all(store: &dyn ObjectStore, upload_id: UploadId) -> Result<usize, object_store::Error> {
    drop_folder(store, &Path::from(format!("uploads/{upload_id}"))).await
}

/// Deletes every object of a folder and says how many there were.
pub(crate) async fn drop_folder(store: &dyn ObjectStore, folder: &Path) -> Result<usize, object_store::Error> {
    store
        .list(Some(folder))
        .map_ok(|object| object.location)
        .map(|location| async move {
            match store.delete(&location?).await {
                Ok(()) => Ok(1),
                Err(object_store::Error::NotFound { .. }) => Ok(0),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(8)
        .try_fold(0, |sum, n| async move { Ok(sum + n) })
        .await
}
