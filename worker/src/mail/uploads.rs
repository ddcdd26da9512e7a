use gristmill_mail::{Content, Email, Kind, UploadFacts, jobs::SendMail, operator};
use gristmill_queue::JobError;
use gristmill_uploads::read;

use crate::Env;

/// Tells the client's operator how an upload has ended.
pub(super) async fn letter(env: &Env, job: &SendMail) -> Result<Option<Email>, JobError> {
    let mut conn = env.pool.acquire().await?;
    let Some(operator) = operator::find(&mut conn, job.client_id).await? else { return Ok(None) };
    let id = job.reference.parse().map_err(|error| JobError::Discard(Box::new(error)))?;
    let Some(upload) = read::find(&mut *conn, job.client_id, id).await? else { return Ok(None) };
    let facts = UploadFacts {
        id: id.get(),
        filename: upload.filename,
        read: upload.rows.read,
        accepted: upload.rows.accepted,
        rejected: upload.rows.rejected,
        duplicate: upload.rows.duplicate,
        conflicting_duplicate: upload.rows.conflicting_duplicate,
        detail: upload.detail,
    };
    Ok(Some(Email {
        reference: job.reference.clone(),
        address: operator.address,
        name: None,
        language: operator.language,
        reply_to: None,
        content: if job.kind == Kind::UploadFailed { Content::Failed(facts) } else { Content::Completed(facts) },
        attachment: None,
    }))
}
