//! What a file of claims brings about: its claims are entered when it closes, and voided when it is undone.

use gristmill_queue::{Enqueued, Job as _, Queue};
use gristmill_uploads::{HookFuture, KindHooks, UploadRef};
use sqlx::PgConnection;

use crate::{
    enter,
    jobs::{PayUpload, VoidUpload},
    void,
};

/// The hooks of [`Kind::Claims`](gristmill_pipelines::Kind::Claims).
#[derive(Debug)]
pub struct ClaimHooks;

impl KindHooks for ClaimHooks {
    fn on_complete<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        queue: &'a Queue,
        upload: UploadRef,
    ) -> HookFuture<'a, Enqueued> {
        Box::pin(enter::upload(conn, queue, upload.client_id, upload.id))
    }

    fn on_undo<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        queue: &'a Queue,
        upload: UploadRef,
    ) -> HookFuture<'a, Enqueued> {
        Box::pin(void::upload(conn, queue, upload.client_id, upload.id))
    }

    fn owned_jobs(&self) -> &'static [&'static str] {
        &[PayUpload::NAME, VoidUpload::NAME]
    }
}
