//! The join of an upload: every chunk is loaded. Settle the duplicates that were open, reject the claims that come to too
//! much, check that everything adds up, close. A transaction each, which asks for the state it starts from, so that a join
//! that runs again goes on where it was.

mod check;
mod records;
mod settle;
pub(crate) mod too_large;

use gristmill::Data;
use gristmill_core::ClientId;
use gristmill_core::human;
use gristmill_kinds::HOOKS;
use gristmill_pipelines::Kind;
use gristmill_queue::{Completion, Context, Enqueued, Fence, GroupId, JobError, Options};
use gristmill_uploads::{
    OnDuplicate, Policy, Rows, State, Upload, UploadId, UploadRef,
    jobs::{CloseUpload, DropObjects, FailUpload},
    read,
    state::{self, End},
};
use sqlx::{PgConnection, Postgres, Transaction};

use self::settle::Settled;
use crate::{Env, kinds};

/// Closes an upload whose chunks are all loaded; see the module.
pub(crate) async fn close_upload(job: CloseUpload, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let Some(kind) = verdict(&env, &context, job.upload_id).await? else { return Ok(()) };
    let settled = settle::settle(&env, job.upload_id).await?;
    // What is rejected here is no other upload's duplicate (lines of claims have keys of their own), so it touches none.
    if kinds::before_close(&env, &context, kind, job.upload_id).await?
        && verdict(&env, &context, job.upload_id).await?.is_none()
    {
        return Ok(());
    }
    close(&env, &context, job.upload_id, settled.as_ref()).await
}

/// Ends an atomic file with a bad row. `None`: there is nothing left to close; else what kind of file is.
async fn verdict(env: &Env, context: &Context, upload_id: UploadId) -> Result<Option<Kind>, JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(None);
    }
    let upload = read::by_id(&mut *tx, upload_id).await?.ok_or(JobError::Cancelled)?;
    if upload.state != State::Processing {
        return Err(JobError::Cancelled);
    }
    if let Some(why) = objection(&upload) {
        fail(env, context, tx, upload_id, why.reason, &why.detail).await?;
        return Ok(None);
    }
    Ok(Some(upload.kind))
}

/// Why nothing of a file stays.
struct Objection {
    reason: &'static str,
    detail: String,
}

/// What its sender has ruled out, and is there.
fn objection(upload: &Upload) -> Option<Objection> {
    let of = |records: i64, reason, what| {
        let (records, read) = (human::count(records.unsigned_abs()), human::count(upload.rows.read.unsigned_abs()));
        let detail = format!("{records} of {read} records {what}, so nothing was kept: see the rejects");
        Some(Objection { reason, detail })
    };
    let Rows { rejected, duplicate, .. } = upload.rows;
    match (upload.policy, upload.on_duplicate) {
        (Policy::Atomic, _) if rejected > 0 => of(rejected, "rejected_rows", "were rejected and the policy is atomic"),
        (_, OnDuplicate::Error) if duplicate > 0 => {
            of(duplicate, "duplicate_rows", "have a key that was there before and `on_duplicate` is error")
        }
        _ => None,
    }
}

async fn close(env: &Env, context: &Context, upload_id: UploadId, settled: Option<&Settled>) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    if let Some(settled) = settled {
        settle::finish(env, &mut tx, settled).await?;
        if settled.may_rule_out() {
            let upload = read::by_id(&mut *tx, upload_id).await?.ok_or(JobError::Cancelled)?;
            if let Some(why) = objection(&upload) {
                settled.give_back(&mut tx).await?;
                return fail(env, context, tx, upload_id, why.reason, &why.detail).await;
            }
        }
    }
    complete(env, context, tx, upload_id, None).await?.tell(env).await;
    Ok(())
}

/// An upload that is completed, which nobody was told yet.
pub(crate) struct Completed {
    upload: Upload,
    jobs: Enqueued,
}

/// Completes an upload whose rows are in their table, with the job, and commits. `group`: in place of its join.
pub(crate) async fn complete(
    env: &Env,
    context: &Context,
    mut tx: Transaction<'static, Postgres>,
    upload_id: UploadId,
    group: Option<GroupId>,
) -> Result<Completed, JobError> {
    let violations = check::violations(&mut tx, upload_id).await?;
    if !violations.is_empty() {
        return Err(refuse(env, tx, upload_id, &violations).await);
    }
    let closed: Option<(ClientId, String)> = sqlx::query_as(
        "update uploads set state = 'completed', completed_at = clock_timestamp(), detail = null
         where id = $1 and state = 'processing' returning client_id, kind",
    )
    .bind(upload_id)
    .fetch_optional(&mut *tx)
    .await?;
    let (client_id, kind) = closed.ok_or(JobError::Cancelled)?;
    let options = Options { delay: Some(env.keep_objects), client_id: Some(client_id), ..Options::default() };
    let mut jobs = env.queue.enqueue(&mut tx, &DropObjects { upload_id }, &options).await?;
    // What a kind's rows bring about begins with their counting.
    let upload = UploadRef { id: upload_id, client_id };
    jobs.merge(HOOKS.complete(&mut tx, &env.queue, kind.parse()?, upload).await?);
    // The group's row is the last one to be locked.
    if let Some(group) = group
        && !env.queue.take_join(&mut tx, group).await?
    {
        return Err(JobError::Retry("the only chunk of the upload is not the only job of its group".into()));
    }
    let upload = finish(env, context, &mut tx, upload_id, &mut jobs).await?;
    tx.commit().await?;
    Ok(Completed { upload, jobs })
}

impl Completed {
    /// Tells the watchers, and has done what follows.
    pub(crate) async fn tell(self, env: &Env) {
        let Self { upload, jobs } = self;
        env.events.publish_state(&upload).await;
        env.queue.push(jobs).await;
        tracing::info!(
            upload_id = %upload.id, bytes = upload.bytes, read = upload.rows.read, accepted = upload.rows.accepted,
            rejected = upload.rows.rejected, duplicate = upload.rows.duplicate, "closed"
        );
    }
}

/// The rows do not add up: the upload stays open, and everybody who looks is told why.
async fn refuse(env: &Env, tx: Transaction<'static, Postgres>, upload_id: UploadId, violations: &[String]) -> JobError {
    let detail = format!("it does not add up, so it is not closed: {}", violations.join("; "));
    tracing::error!(%upload_id, detail, "conservation is violated");
    metrics::counter!("gristmill_invariant_violations_total", "invariant" => "conservation").increment(1);
    drop(tx);
    let noted = sqlx::query("update uploads set detail = $2 where id = $1 and state = 'processing'")
        .bind(upload_id)
        .bind(&detail)
        .execute(&env.pool)
        .await;
    if let Err(error) = noted {
        tracing::warn!(%upload_id, %error, "the violation could not be noted at the upload");
    }
    JobError::Retry(detail.into())
}

/// The join of a group with a dead member.
pub(crate) async fn fail_upload(job: FailUpload, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let detail = "a chunk could not be loaded after all its attempts: see the dead jobs of the upload";
    fail(&env, &context, tx, job.upload_id, "chunk_failed", detail).await
}

/// Ends an upload for good, in the job's transaction.
async fn fail(
    env: &Env,
    context: &Context,
    mut tx: Transaction<'static, Postgres>,
    upload_id: UploadId,
    reason: &str,
    detail: &str,
) -> Result<(), JobError> {
    let end = End { from: &[State::Receiving, State::Processing], to: State::Failed, reason, detail };
    let ended = state::end(&mut tx, &env.queue, HOOKS, upload_id, end).await?;
    let mut jobs = ended.unwrap_or_default();
    let upload = finish(env, context, &mut tx, upload_id, &mut jobs).await?;
    tx.commit().await?;
    env.queue.push(jobs).await;
    env.events.publish_state(&upload).await;
    tracing::info!(%upload_id, reason, "failed");
    Ok(())
}

/// Completes the job and reads the upload as it will be after the commit.
async fn finish(
    env: &Env,
    context: &Context,
    conn: &mut PgConnection,
    upload_id: UploadId,
    jobs: &mut Enqueued,
) -> Result<Upload, JobError> {
    let upload = read::by_id(&mut *conn, upload_id).await?.ok_or(JobError::Cancelled)?;
    match env.queue.complete(conn, &context.claim).await? {
        Completion::Done(more) => jobs.merge(more),
        // The lock at the start of the transaction makes this impossible; if it were not, nothing may be committed.
        Completion::AlreadyDone => return Err(JobError::Cancelled),
    }
    Ok(upload)
}
