//! What has come of a file, in the object store.

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

use super::{Resumable, ResumableId};
use crate::objects;

/// Bytes after which what has come is kept: so much of a request is lost when its process dies.
pub const PIECE_BYTES: usize = 8 << 20;

/// A piece that is stored.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Bytes.
    pub bytes: i64,
    pub(super) object: Uuid,
}

fn folder(id: ResumableId) -> Path {
    Path::from(format!("resumable/{id}"))
}

fn object(id: ResumableId, object: Uuid) -> Path {
    Path::from(format!("resumable/{id}/{object}"))
}

/// Stores a piece, of which nothing is known before it is entered.
///
/// # Errors
/// When the store does not take it.
pub async fn store_piece(
    store: &dyn ObjectStore,
    id: ResumableId,
    frames: Vec<Bytes>,
) -> Result<Piece, object_store::Error> {
    let bytes: usize = frames.iter().map(Bytes::len).sum();
    let piece = Piece { bytes: i64::try_from(bytes).unwrap_or(i64::MAX), object: Uuid::new_v4() };
    store.put(&object(id, piece.object), PutPayload::from_iter(frames)).await?;
    Ok(piece)
}

/// The bytes of a file, in their order. Never more than a frame of them is held.
///
/// # Errors
/// When Postgres does not say which pieces it has. The stream fails when the store does not give one.
pub async fn content(
    pool: &PgPool,
    store: Arc<dyn ObjectStore>,
    file: &Resumable,
) -> Result<impl Stream<Item = Result<Bytes, object_store::Error>> + Send + use<>, sqlx::Error> {
    let ids = file.parts.clone().unwrap_or_else(|| vec![file.id]);
    let found: Vec<(ResumableId, Uuid)> = sqlx::query_as(
        "select p.resumable_id, p.object
         from unnest($1::uuid[]) with ordinality f (id, no) join resumable_pieces p on p.resumable_id = f.id
         order by f.no, p.first_byte",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let frames = stream::iter(found).then(move |(id, piece)| {
        let store = store.clone();
        async move { Ok::<_, object_store::Error>(store.get(&object(id, piece)).await?.into_stream()) }
    });
    Ok(frames.try_flatten().boxed())
}

/// Drops what is kept of a file in the object store.
///
/// # Errors
/// When the store does not list or delete them.
pub async fn drop_objects(store: &dyn ObjectStore, id: ResumableId) -> Result<usize, object_store::Error> {
    objects::drop_folder(store, &folder(id)).await
}
