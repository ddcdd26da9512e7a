use gristmill_mail::{Content, Email, EndpointFacts, jobs::SendMail, operator};
use gristmill_queue::JobError;
use jiff::tz::TimeZone;
use jiff_sqlx::Timestamp;
use uuid::Uuid;

use crate::Env;

/// Tells the client's operator that a webhook's endpoint is disabled; nothing, when it is enabled again or deleted.
pub(super) async fn letter(env: &Env, job: &SendMail) -> Result<Option<Email>, JobError> {
    let mut conn = env.pool.acquire().await?;
    let Some(operator) = operator::find(&mut conn, job.client_id).await? else { return Ok(None) };
    let id = job.reference.split('/').next().unwrap_or(&job.reference);
    let id: Uuid = id.parse().map_err(|error| JobError::Discard(Box::new(error)))?;
    let found: Option<(String, Timestamp, Option<String>, i64)> = sqlx::query_as(
        "select e.url, e.failing_since,
                (select a.error from webhook_deliveries d join webhook_attempts a on a.delivery_id = d.id
                 where d.endpoint_id = e.id and a.error is not null order by a.at desc limit 1),
                (select count(*) from webhook_deliveries d
                 where d.endpoint_id = e.id and d.state <> 'delivered' and d.created_at >= e.failing_since)
         from webhook_endpoints e
         where e.id = $1 and e.client_id = $2 and e.disabled_reason = 'failing' and e.failing_since is not null",
    )
    .bind(id)
    .bind(job.client_id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((url, failing_since, error, undelivered)) = found else { return Ok(None) };
    let failing_since = failing_since.to_jiff().to_zoned(TimeZone::UTC).date();
    Ok(Some(Email {
        reference: job.reference.clone(),
        address: operator.address,
        name: None,
        language: operator.language,
        reply_to: None,
        content: Content::Disabled(EndpointFacts { id, url, failing_since, error, undelivered }),
        attachment: None,
    }))
}
