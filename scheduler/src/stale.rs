//! Uploads whose receiver fell silent: its process died in mid-upload, so the rest will never come.

use gristmill_kinds::HOOKS;
use gristmill_uploads::{
    State, UploadId, read,
    state::{self, End},
};

use crate::Env;

/// Receivers renew every 3 s; five silences are a death. While Postgres was away nobody could renew, so after its start
/// they have as long again.
const SILENT: &str = "15 seconds";

/// Fails them as `incomplete`; nothing of them stays.
pub(crate) async fn fail_stale(env: &Env) -> anyhow::Result<()> {
    let silent: Vec<UploadId> = sqlx::query_scalar(
        "select id from uploads
         where state = 'receiving' and alive_at < now() - $1::interval and pg_postmaster_start_time() < now() - $1::interval
         order by alive_at limit 100",
    )
    .bind(SILENT)
    .fetch_all(&env.pool)
    .await?;
    for id in silent {
        let mut tx = env.pool.begin().await?;
        // Looked at again under the row's lock: the receiver may have come back meanwhile.
        let still: Option<UploadId> = sqlx::query_scalar(
            "select id from uploads where id = $1 and state = 'receiving' and alive_at < now() - $2::interval for update",
        )
        .bind(id)
        .bind(SILENT)
        .fetch_optional(&mut *tx)
        .await?;
        if still.is_none() {
            continue;
        }
        let end = End { from: &[State::Receiving], to: State::Failed, reason: "incomplete", detail: state::UNHEARD };
        let Some(jobs) = state::end(&mut tx, &env.queue, HOOKS, id, end).await? else { continue };
        let upload = read::by_id(&mut *tx, id).await?;
        tx.commit().await?;
        env.queue.push(jobs).await;
        if let Some(upload) = upload {
            env.events.publish_state(&upload).await;
        }
        tracing::warn!(upload_id = %id, "failed an upload whose receiver died");
    }
    Ok(())
}
