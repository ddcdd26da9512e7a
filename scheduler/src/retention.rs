//! What has been kept for long enough, and what nobody will ever ask for.

use std::time::Duration;

use gristmill_kinds::all_hooks;
use gristmill_platform::config::SchedulerConfig;
use gristmill_uploads::{resumable, retention, segments};

use crate::Env;

/// Rows that one statement removes.
const BATCH_SIZE: i64 = 10_000;

/// Removes ended deliveries and kept mails that are old enough, and what uploads left behind, and has old rows dropped. Jobs are
/// pruned by the framework.
pub(crate) async fn prune(env: &Env, config: &SchedulerConfig) -> anyhow::Result<()> {
    // The answers to small requests that came with an `Idempotency-Key`: whoever repeats one does so within a day.
    sqlx::query(
        "delete from idempotent_requests where (client_id, key) in (
            select client_id, key from idempotent_requests where created_at < now() - interval '1 day' limit 10000)",
    )
    .execute(&env.pool)
    .await?;
    retention::prune_keys(&env.pool).await?;
    let mails = gristmill_mail::prune(&env.pool, &*env.store, config.keep_mails).await?;
    if mails > 0 {
        tracing::info!(mails, "dropped kept mails");
    }
    old_deliveries(env, config.keep_jobs).await?;
    old_normalizations(env, config.keep_normalizations).await?;
    for kind in all_hooks() {
        kind.prune(&env.pool).await?;
    }
    if !config.keep_rows.is_zero() {
        segments::enqueue_dropping(&env.pool, &env.queue, config.keep_rows).await?;
    }
    retention::enqueue_lost_purges(&env.pool, &env.queue).await?;
    resumable::prune(&env.pool, &*env.store).await?;
    Ok(retention::drop_orphaned_objects(&env.pool, &*env.store).await?)
}

/// Requests of merchants that were answered long ago.
async fn old_normalizations(env: &Env, keep: Duration) -> anyhow::Result<()> {
    while gristmill_normalization::requests::prune(&env.pool, keep, BATCH_SIZE).await? == BATCH_SIZE.unsigned_abs() {}
    Ok(())
}

/// Deliveries of webhooks that have ended, with their attempts: kept as long as jobs are.
async fn old_deliveries(env: &Env, keep: Duration) -> anyhow::Result<()> {
    while gristmill_webhooks::deliveries::prune(&env.pool, keep, BATCH_SIZE).await? == BATCH_SIZE.unsigned_abs() {}
    Ok(())
}
