//! Which rows of a file count: of each key the first line, where no row that counts has it already.
//!
//! First, in transactions of their own, each of the upload's segments is gone through and indexed. Then, in the transaction
//! that completes the upload and while no other file of the client's completes, what came meanwhile is compared, and the
//! rows become part of their table.

mod conflicts;
mod index;
mod lost;
mod move_in;
mod replace;
mod suspects;

use std::collections::HashMap;

use gristmill_queue::JobError;
use gristmill_uploads::{OnDuplicate, Policy, UploadId, replaced, segments::lock_client};
use sqlx::PgConnection;

use crate::{
    Env,
    load::Chunk,
    segments::{self, OwnSegment, Segment, loaded},
};

/// What the close knows of an upload before the transaction that completes it.
pub(super) struct Settled {
    /// The upload's first chunk.
    chunk: Chunk,
    /// The segments that each of its own was compared with; of a small one, none.
    compared: Compared,
}

type Compared = HashMap<i32, Vec<Segment>>;

/// Indexes the upload's own segments. `None`: its table has no segments, or it has ended meanwhile.
pub(super) async fn settle(env: &Env, upload_id: UploadId) -> Result<Option<Settled>, JobError> {
    let chunk = Chunk::find(env, upload_id, 0).await?;
    let Some(chunk) = chunk.filter(|chunk| chunk.kind.table().segments) else { return Ok(None) };
    let own = segments::all_own(&env.pool, upload_id).await?;
    // What it loses while they are indexed does not count: one that has an index stays.
    let moves = none_is_indexed(&own) && is_small(env, upload_id).await?;
    let compared = if moves { Compared::default() } else { index::index(env, &chunk, &own).await? };
    Ok(Some(Settled { chunk, compared }))
}

/// Makes the upload's rows part of their table, in the transaction that completes it.
pub(super) async fn finish(env: &Env, conn: &mut PgConnection, settled: &Settled) -> Result<(), JobError> {
    let Settled { chunk, compared } = settled;
    let (table, client_id, upload_id) = (chunk.kind.table(), chunk.owner.client_id, chunk.upload_id);
    let own = segments::all_own(&mut *conn, upload_id).await?;
    let small = none_is_indexed(&own);
    let alone = !small || chunk.on_duplicate == OnDuplicate::Replace;
    lock_client(&mut *conn, table.name, client_id.into(), alone).await?;
    let history = segments::history(&mut *conn, table, client_id.into()).await?;
    if small {
        move_in::shared(env, conn, chunk, &history, &own).await?;
        return Ok(loaded::forget(conn, upload_id).await?);
    }
    for own in own {
        let segment = Segment { table, id: own.id, is_own: true };
        let before = compared.get(&own.id).map_or(&[][..], Vec::as_slice);
        move_in::segment(env, conn, chunk, segment, &history, before).await?;
    }
    // Its keys are left for the run that its segments will be in.
    Ok(())
}

impl Settled {
    /// What was settled in the end may be what its sender has ruled out: a duplicate, or a row that is billed.
    pub(super) fn may_rule_out(&self) -> bool {
        match self.chunk.on_duplicate {
            OnDuplicate::Error => true,
            OnDuplicate::Replace => self.chunk.policy == Policy::Atomic,
            OnDuplicate::Skip => false,
        }
    }

    /// Gives the rows back that the upload has replaced in this transaction, if it may.
    pub(super) async fn give_back(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let chunk = &self.chunk;
        if chunk.on_duplicate != OnDuplicate::Replace {
            return Ok(());
        }
        replaced::give_back(conn, chunk.kind.table(), chunk.owner.client_id.into(), chunk.upload_id).await
    }
}

fn none_is_indexed(own: &[OwnSegment]) -> bool {
    own.iter().all(|own| !own.is_indexed)
}

/// Whether the upload does without segments of its own.
async fn is_small(env: &Env, upload_id: UploadId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select accepted < $2 from upload_progress where upload_id = $1")
        .bind(upload_id)
        .bind(env.own.rows)
        .fetch_one(&env.pool)
        .await
}
