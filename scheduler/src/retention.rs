//! What has been kept for long enough, and what nobody will ever ask for.

use std::{collections::BTreeSet, time::Duration};

use gristmill_platform::config::SchedulerConfig;
use gristmill_uploads::{objects, state};
use object_store::path::Path;
use uuid::Uuid;

use crate::Env;

/// Rows that one statement removes.
const BATCH_SIZE: i64 = 10_000;

/// Removes finished and dead jobs, ended deliveries and kept mails that are old enough, and what uploads left behind.
pub(crate) async fn prune(env: &Env, config: &SchedulerConfig) -> anyhow::Result<()> {
    if !config.keep_dead.is_zero() {
        let dead = env.queue.prune_dead(config.keep_dead).await?;
        if dead > 0 {
            tracing::info!(dead, "dropped dead jobs that nobody has decided about");
        }
    }
    let pruned = env.queue.prune(config.keep_jobs).await?;
    if pruned.jobs + pruned.groups + pruned.ticks > 0 {
        tracing::info!(jobs = pruned.jobs, groups = pruned.groups, ticks = pruned.ticks, "pruned the ledger");
    }
    // The answers to small requests that came with an `Idempotency-Key`: whoever repeats one does so within a day.
    sqlx::query(
        "delete from idempotent_requests where (client_id, key) in (
            select client_id, key from idempotent_requests where created_at < now() - interval '1 day' limit 10000)",
    )
    .execute(&env.pool)
    .await?;
    // Those of uploads that were answered with another upload.
    sqlx::query(
        "delete from upload_keys where (client_id, key) in (
            select client_id, key from upload_keys where created_at < now() - interval '1 day' limit 10000)",
    )
    .execute(&env.pool)
    .await?;
    let mails = gristmill_mail::prune(&env.pool, &*env.store, config.keep_mails).await?;
    if mails > 0 {
        tracing::info!(mails, "dropped kept mails");
    }
    old_deliveries(env, config.keep_jobs).await?;
    old_normalizations(env, config.keep_normalizations).await?;
    old_reports(env).await?;
    lost_purges(env).await?;
    behind_purges(env).await?;
    orphaned_objects(env).await
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

/// What was said upstream of clients' reports, a day after it was too old to count: a file may name any number of reports.
async fn old_reports(env: &Env) -> anyhow::Result<()> {
    loop {
        let removed = sqlx::query(
            "delete from reports where (client_id, id) in (
                select r.client_id, r.id from reports r left join client_settings s on s.client_id = r.client_id
                where r.source = 'upstream'
                  and r.updated_at < now() - interval '1 day' - make_interval(secs => coalesce(s.reports_max_age, 0))
                limit $1)",
        )
        .bind(BATCH_SIZE)
        .execute(&env.pool)
        .await?;
        if removed.rows_affected() < BATCH_SIZE.unsigned_abs() {
            return Ok(());
        }
    }
}

/// Uploads that have ended, are not purged, and of whose purge nothing is left to run: it died, or was cancelled. It is enqueued
/// anew.
async fn lost_purges(env: &Env) -> anyhow::Result<()> {
    let lost: Vec<(Uuid, i32)> = sqlx::query_as(
        "select u.id, u.client_id from uploads u
         where u.state in ('failed', 'cancelled') and u.purged_at is null
           and not exists (select from jobs where unique_key = 'uploads.purge:' || u.id
                           and state in ('available', 'scheduled'))
           and not exists (select from jobs where state = 'parked' and name = 'uploads.purge'
                           and payload->>'upload_id' = u.id::text)
         order by u.id limit 100",
    )
    .fetch_all(&env.pool)
    .await?;
    for (id, client_id) in lost {
        let mut tx = env.pool.begin().await?;
        let jobs = state::purge(&mut tx, &env.queue, client_id, id).await?;
        tx.commit().await?;
        if !jobs.is_empty() {
            env.queue.push(jobs).await;
            tracing::warn!(upload_id = %id, "the purge of an ended upload was lost, and is enqueued anew");
        }
    }
    Ok(())
}

/// What a chunk writes before its transaction, and may have written after its upload was purged: what its keys hash to, and what
/// reports cost. Hashes are of no use either once their upload is completed.
async fn behind_purges(env: &Env) -> anyhow::Result<()> {
    sqlx::query(
        "delete from chunk_keys k using uploads u
         where u.id = k.upload_id and least(u.purged_at, u.completed_at) < now() - interval '1 minute'",
    )
    .execute(&env.pool)
    .await?;
    sqlx::query(
        "delete from upload_reports where upload_id in (
            select id from uploads where purged_at between now() - interval '7 days' and now() - interval '1 minute')",
    )
    .execute(&env.pool)
    .await?;
    Ok(())
}

/// Objects of uploads that have ended and were purged, or never were: a chunk that was being written when its upload
/// broke off. An upload's row is there before its first object, so no row means no upload.
async fn orphaned_objects(env: &Env) -> anyhow::Result<()> {
    let folders = env.store.list_with_delimiter(Some(&Path::from("uploads"))).await?;
    let ids: BTreeSet<Uuid> =
        folders.common_prefixes.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let over: Vec<Uuid> = sqlx::query_scalar(
        "select f.id from unnest($1::uuid[]) as f (id) left join uploads u on u.id = f.id
         where u.purged_at < now() - interval '1 minute' or u.id is null",
    )
    .bind(&ids)
    .fetch_all(&env.pool)
    .await?;
    for id in over {
        let objects = objects::drop_all(&*env.store, id).await?;
        tracing::info!(upload_id = %id, objects, "dropped orphaned objects");
    }
    Ok(())
}
