//! Looks for what cannot be: counters that disagree with what they count. Every finding is logged with its ids and
//! counted in `gristmill_invariant_violations_total`; nothing is mended silently. A group that its creator has left open is
//! ended when it was told of for long enough.

use std::time::Duration;

use gristmill_kinds::Owner;
use gristmill_platform::config::SchedulerConfig;
use gristmill_uploads::UploadId;
use sqlx::FromRow;

use crate::Env;

/// Younger things may be in the middle of a change.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// What is looked at: each is counted from zero, so that the first finding is seen as a change.
const INVARIANTS: [&str; 6] =
    ["group_members", "group_unsealed", "upload_progress", "upload_unclosed", "books", "provider_sums"];

pub(crate) fn describe() {
    metrics::describe_counter!("gristmill_invariant_violations_total", "Invariant violations, by invariant");
    for invariant in INVARIANTS {
        metrics::counter!("gristmill_invariant_violations_total", "invariant" => invariant).increment(0);
    }
}

pub(crate) async fn audit(env: &Env, config: &SchedulerConfig) -> anyhow::Result<()> {
    groups(env).await?;
    unsealed(env, config.unsealed_groups).await?;
    progress(env).await?;
    unclosed(env).await?;
    books(env).await?;
    providers(env).await
}

/// Groups against their members.
async fn groups(env: &Env) -> anyhow::Result<()> {
    for group in env.queue.miscounted_groups(SETTLED_AFTER).await? {
        violation("group_members");
        tracing::error!(
            group_id = %group.id, total = group.total, members = group.members, counted = group.counted,
            finished = group.finished, "a group's counters are not what its members say"
        );
    }
    Ok(())
}

/// Groups that nobody seals. Those of uploads and billing runs are their owners': these see themselves to it that one that
/// arrives no more, or is planned no more, ends.
async fn unsealed(env: &Env, timeout: Duration) -> anyhow::Result<()> {
    for group in env.queue.unsealed_groups(timeout / 2).await? {
        if Owner::of_group(&env.pool, group.id).await?.is_some() {
            continue;
        }
        violation("group_unsealed");
        let (group_id, name, members, quiet) = (group.id, group.name, group.total, group.quiet_seconds as u64);
        if group.quiet_seconds < timeout.as_secs_f64() {
            tracing::error!(%group_id, name, members, quiet, "nobody seals a group: cancel it, or find who is to");
            continue;
        }
        let mut tx = env.pool.begin().await?;
        let ended = env.queue.end_unsealed(&mut tx, group_id, timeout).await?;
        tx.commit().await?;
        if let Some(joins) = ended {
            env.queue.push(joins).await;
            tracing::error!(%group_id, name, members, quiet, "nobody has sealed a group: it has failed");
        }
    }
    Ok(())
}

#[derive(FromRow)]
struct Progress {
    upload_id: UploadId,
    counted: i64,
    there: i64,
}

/// Uploads' totals against their chunks, those that changed within a day. One statement sees one moment, so this
/// holds even while chunks commit.
async fn progress(env: &Env) -> anyhow::Result<()> {
    let wrong: Vec<Progress> = sqlx::query_as(
        "select p.upload_id, p.rows_read as counted, c.read as there
         from uploads u
         join upload_progress p on p.upload_id = u.id
         cross join lateral (
             select count(done_at) as done, coalesce(sum(rows_read), 0)::bigint as read,
                    coalesce(sum(accepted), 0)::bigint as accepted, coalesce(sum(rejected), 0)::bigint as rejected,
                    coalesce(sum(duplicate), 0)::bigint as duplicate,
                    coalesce(sum(conflicting), 0)::bigint as conflicting
             from chunks where upload_id = u.id
         ) c
         where u.created_at > now() - interval '1 day'
           and (p.chunks_done, p.rows_read, p.accepted, p.rejected, p.duplicate, p.conflicting)
               is distinct from (c.done, c.read, c.accepted, c.rejected, c.duplicate, c.conflicting)
         limit 100",
    )
    .fetch_all(&env.pool)
    .await?;
    for upload in wrong {
        violation("upload_progress");
        tracing::error!(
            upload_id = %upload.upload_id, counted = upload.counted, there = upload.there,
            "an upload's totals are not what its chunks say"
        );
    }
    Ok(())
}

/// Uploads whose chunks are all done for a while, and that are still open: their join is dead, or refuses them.
async fn unclosed(env: &Env) -> anyhow::Result<()> {
    let stuck: Vec<(UploadId, Option<String>)> = sqlx::query_as(
        "select u.id, u.detail from uploads u join upload_progress p on p.upload_id = u.id
         where u.state = 'processing' and u.received_at < now() - interval '5 minutes'
           and p.chunks_done = (select count(*) from chunks where upload_id = u.id)
           and not exists (select from chunks where upload_id = u.id and done_at > now() - interval '5 minutes')
         limit 100",
    )
    .fetch_all(&env.pool)
    .await?;
    for (upload_id, detail) in stuck {
        violation("upload_unclosed");
        tracing::error!(%upload_id, detail, "every chunk is done and the upload is still open");
    }
    Ok(())
}

/// The books of claims: what was posted lately against what the claims say. Older postings were looked at when they were new,
/// and are not changed.
async fn books(env: &Env) -> anyhow::Result<()> {
    for wrong in gristmill_claims::accounting::disagreements(&env.pool).await? {
        violation("books");
        tracing::error!(
            claim_id = %wrong.claim_id, state = wrong.state, owed = %wrong.owed_minor, balance = %wrong.balance_minor,
            "the books of a claim do not add up, or are not what its state says"
        );
    }
    Ok(())
}

/// Providers whose sums are compared with their claims each time.
const PROVIDERS: i64 = 20;

/// Some providers' sums against their claims.
async fn providers(env: &Env) -> anyhow::Result<()> {
    for wrong in gristmill_claims::providers::miscounted(&env.pool, PROVIDERS).await? {
        violation("provider_sums");
        tracing::error!(
            client_id = wrong.client_id.get(),
            provider = wrong.provider_npi,
            kept = %wrong.kept_minor,
            counted = %wrong.counted_minor,
            "a provider's sum is not what its claims say"
        );
    }
    Ok(())
}

fn violation(invariant: &'static str) {
    metrics::counter!("gristmill_invariant_violations_total", "invariant" => invariant).increment(1);
}
