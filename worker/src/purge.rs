//! Removing what an upload has left.

use gristmill::Data;
use gristmill_kinds::hooks;
use gristmill_pipelines::Kind;
use gristmill_queue::{Completion, Context, Fence, JobError};
use gristmill_uploads::{
    jobs::{DropObjects, PurgeUpload},
    objects,
};

use crate::{Env, rows};

/// Removes rows and objects of an upload that failed, was cancelled or undone. Its rejects stay only where they are
/// the answer: a file that failed because of them.
pub(crate) async fn purge_upload(job: PurgeUpload, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    objects::drop_all(&*env.store, job.upload_id).await?;
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let ended: Option<(String, Option<String>)> = sqlx::query_as(
        "update uploads set purged_at = clock_timestamp() where id = $1 and state in ('failed', 'cancelled') returning kind, reason",
    )
    .bind(job.upload_id)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some((kind, reason)) = ended {
        let kind: Kind = kind.parse()?;
        sqlx::query("update upload_progress set loaded = 0 where upload_id = $1")
            .bind(job.upload_id)
            .execute(&mut *tx)
            .await?;
        if !matches!(reason.as_deref(), Some("rejected_rows" | "duplicate_rows")) {
            sqlx::query("delete from rejects where upload_id = $1").bind(job.upload_id).execute(&mut *tx).await?;
            sqlx::query("delete from chunk_reasons where upload_id = $1").bind(job.upload_id).execute(&mut *tx).await?;
            sqlx::query("delete from unkept_rejects where upload_id = $1")
                .bind(job.upload_id)
                .execute(&mut *tx)
                .await?;
        }
        hooks(kind).on_purge(&mut tx, job.upload_id).await?;
        sqlx::query("delete from file_order where upload_id = $1").bind(job.upload_id).execute(&mut *tx).await?;
        sqlx::query("delete from chunk_parts where upload_id = $1").bind(job.upload_id).execute(&mut *tx).await?;
        rows::delete(&mut tx, kind.table(), job.upload_id).await?;
        tracing::info!(upload_id = %job.upload_id, "purged");
    }
    if let Completion::Done(join) = env.queue.complete(&mut tx, &context.claim).await? {
        tx.commit().await?;
        env.queue.push(join).await;
    }
    Ok(())
}

/// Removes the objects of a closed upload.
pub(crate) async fn drop_objects(job: DropObjects, Data(env): Data<Env>) -> Result<(), JobError> {
    let objects = objects::drop_all(&*env.store, job.upload_id).await?;
    tracing::debug!(upload_id = %job.upload_id, objects, "chunk objects dropped");
    Ok(())
}
