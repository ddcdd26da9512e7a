//! A file of one chunk goes straight to the segment that small uploads share, and its job closes it, too: else its rows are
//! written twice, by two jobs. That is tried by the job's first attempt, in the hope that no other upload writes its keys at
//! the same time.

use gristmill_queue::{Context, GroupId, JobError};
use gristmill_uploads::OnDuplicate;
use sqlx::PgConnection;

use super::{
    Chunk, copy, known,
    prepare::{KeyConflict, PreparedChunk},
};
use crate::{Env, segments};

/// The group of a chunk that is a small file by itself.
pub(super) fn group(env: &Env, context: &Context, chunk: &Chunk) -> Option<GroupId> {
    // What another row's key may bring about beside a reject, the close does.
    let skips = chunk.on_duplicate == OnDuplicate::Skip;
    let small = skips && chunk.kind.table().segments && chunk.first_bytes < env.own.first_bytes;
    chunk.whole.filter(|_| small && chunk.part.is_none() && context.attempt == 1)
}

/// Copies the rows, but for those whose keys rows that count have, which it returns. `None`: none went in, as others write some of
/// its keys, or a large upload of the client's is being completed, which takes seconds.
pub(super) async fn copy(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
) -> Result<Option<Vec<KeyConflict>>, JobError> {
    let (table, client_id) = (chunk.kind.table(), chunk.owner.client_id);
    if !segments::try_share_client(&mut *conn, table, client_id).await? {
        return Ok(None);
    }
    let history = segments::history(&mut *conn, table, client_id.into()).await?;
    let open = segments::open_shared(&mut *conn, table).await?;
    let mut lost = known::among(env, &mut *conn, chunk, prepared, &history.sealed).await?;
    for full in history.live.into_iter().filter(|live| live.id != open.id) {
        known::in_segment(&mut *conn, chunk, prepared, full, &mut lost).await?;
    }
    let into = copy::columns(&open.name(), table);
    for _ in 0..2 {
        let tuples = prepared.left(&lost).map(|row| prepared.tuple(row));
        let copied = copy::copy_unless_taken(&mut *conn, &into, tuples, |piece, tuple| piece.extend_from_slice(tuple));
        if copied.await?.is_some() {
            sqlx::query("update upload_progress set segment = $2 where upload_id = $1")
                .bind(chunk.upload_id)
                .bind(open.id)
                .execute(conn)
                .await?;
            return Ok(Some(lost));
        }
        known::in_segment(&mut *conn, chunk, prepared, open, &mut lost).await?;
    }
    Ok(None)
}
