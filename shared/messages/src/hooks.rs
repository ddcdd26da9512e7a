//! What a file of messages keeps beside its rows: what the reports cost that it names.

use gristmill_uploads::{HookFuture, KindHooks, UploadId};
use sqlx::{PgConnection, PgPool};

use crate::reports;

/// The hooks of the kind `messages`.
#[derive(Debug)]
pub struct MessageHooks;

impl KindHooks for MessageHooks {
    fn on_purge<'a>(&'a self, conn: &'a mut PgConnection, upload_id: UploadId) -> HookFuture<'a, ()> {
        Box::pin(async move { Ok(reports::forget(conn, upload_id).await?) })
    }

    fn prune<'a>(&'a self, pool: &'a PgPool) -> HookFuture<'a, ()> {
        Box::pin(async move {
            reports::prune(pool).await?;
            Ok(reports::prune_purged(pool).await?)
        })
    }
}
