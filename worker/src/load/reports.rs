//! What the reports cost that a chunk's messages name. Looked up at once for all of them, before the chunk's transaction, and
//! settled once an upload and report: from then on the upload's messages cost that, whatever becomes of the report.

mod upstream;

use std::collections::BTreeSet;

use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_queue::JobError;
use sqlx::PgPool;

use super::Chunk;
use crate::Env;

/// Settles the reports that the chunk mentions. One that nobody knows is settled too: the texts of its messages count.
pub(crate) async fn settle(env: &Env, chunk: &Chunk, mentions: &BTreeSet<String>) -> Result<(), JobError> {
    let mentioned: Vec<&str> = mentions.iter().map(String::as_str).collect();
    let open = if mentioned.is_empty() { Vec::new() } else { open(&env.pool, chunk, &mentioned).await? };
    if open.is_empty() {
        return Ok(());
    }
    let client_id = ClientId::from(chunk.owner.client_id);
    let settings = settings::find(&env.pool, client_id).await?;
    if let Some(address) = &settings.reports_url {
        upstream::refresh(env, client_id, address, settings.reports_max_age, &open).await?;
    }
    sqlx::query(
        "insert into upload_reports (upload_id, report_id, name, credit_cost)
         select $1, m.id, r.name, r.credit_cost
         from unnest($3::text[]) as m (id)
         left join reports r on r.client_id = $2 and r.id = m.id and (r.source = 'client' or $4)
         where r.id is not null or not $4
         order by m.id
         on conflict do nothing",
    )
    .bind(chunk.upload_id)
    .bind(client_id)
    .bind(&open)
    .bind(settings.reports_url.is_some())
    .execute(&env.pool)
    .await?;
    if settings.reports_url.is_some() && !self::open(&env.pool, chunk, &mentioned).await?.is_empty() {
        return Err(JobError::Retry("what upstream said of a report was deleted at once".into()));
    }
    Ok(())
}

/// Those of the reports that the upload has not met before.
async fn open(pool: &PgPool, chunk: &Chunk, mentioned: &[&str]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select m.id from unnest($2::text[]) as m (id)
         where not exists (select from upload_reports where upload_id = $1 and report_id = m.id)",
    )
    .bind(chunk.upload_id)
    .bind(mentioned)
    .fetch_all(pool)
    .await
}
