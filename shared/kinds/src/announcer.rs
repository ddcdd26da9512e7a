//! How the end of an upload is announced: a mail to the client's operator, an event to its webhooks.

use gristmill_mail::{Kind, operator};
use gristmill_queue::{Enqueued, Queue, QueueError};
use gristmill_uploads::{Announcer, HookFuture, State, Upload, UploadRef, read};
use gristmill_webhooks::{Event, EventType, Rows, UploadEnd};
use sqlx::PgConnection;

#[derive(Debug)]
pub(crate) struct MailsAndWebhooks;

impl Announcer for MailsAndWebhooks {
    fn announce<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        queue: &'a Queue,
        upload: UploadRef,
        end: State,
    ) -> HookFuture<'a, Enqueued> {
        Box::pin(announce(conn, queue, upload, end == State::Failed))
    }
}

async fn announce(
    conn: &mut PgConnection,
    queue: &Queue,
    UploadRef { id, client_id }: UploadRef,
    failed: bool,
) -> Result<Enqueued, QueueError> {
    let (mail, event) = if failed {
        (Kind::UploadFailed, EventType::UploadFailed)
    } else {
        (Kind::UploadCompleted, EventType::UploadCompleted)
    };
    let mut jobs = operator::tell(&mut *conn, queue, client_id, mail, id.to_string()).await?;
    if !gristmill_webhooks::wanted(&mut *conn, client_id, event).await? {
        return Ok(jobs);
    }
    let Some(upload) = read::by_id(&mut *conn, id).await? else { return Ok(jobs) };
    let event = if failed { Event::UploadFailed(end_of(upload)) } else { Event::UploadCompleted(end_of(upload)) };
    jobs.merge(gristmill_webhooks::publish(conn, queue, client_id, &event).await?);
    Ok(jobs)
}

fn end_of(upload: Upload) -> UploadEnd {
    UploadEnd {
        id: upload.id.get(),
        kind: upload.kind.to_string(),
        state: upload.state.to_string(),
        filename: upload.filename,
        bytes: upload.bytes,
        sha256: upload.sha256,
        rows: Rows {
            read: upload.rows.read,
            accepted: upload.rows.accepted,
            rejected: upload.rows.rejected,
            duplicate: upload.rows.duplicate,
            conflicting_duplicate: upload.rows.conflicting_duplicate,
            replaced: upload.rows.replaced,
        },
        reason: upload.reason,
        detail: upload.detail,
        created_at: upload.created_at,
    }
}
