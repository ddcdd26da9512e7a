//! `POST /create_webhook`, as clients of the old API know it.

use axum::{Json, extract::State};
use gristmill_webhooks::{
    EventType, Scheme,
    endpoints::{self, NewEndpoint},
};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::check_url;
use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    json::Body,
    openapi::NotNow,
    params::Params,
    problem::{Problem, Result},
};

/// A webhook of the old API.
#[derive(Deserialize, ToSchema)]
pub(crate) struct OldWebhook {
    /// What is called.
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// You: the name or the number of the key's client.
    #[schema(value_type = String)]
    client_id: serde_json::Value,
}

/// A webhook of the old API that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct OldWebhookMade {
    webhook_id: Uuid,
    url: String,
    /// What deliveries are verified with; it is not shown again.
    secret: String,
}

/// Create a webhook of the old API, called with the merchant's name
///
/// The body is `{"merchant": {"name": …}, "request_id": …}`; it is signed like any other delivery.
#[utoipa::path(post, path = "/create_webhook", operation_id = "createOldWebhook", tag = "webhooks", request_body = OldWebhook,
    responses((status = 201, description = "Made", body = OldWebhookMade), NotNow))]
pub(crate) async fn create_old(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<OldWebhook>,
) -> Result<(StatusCode, Json<OldWebhookMade>)> {
    Params::of(&uri).finish()?;
    let named = match &new.client_id {
        serde_json::Value::String(text) => text.trim().to_owned(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => return Err(Problem::bad_field("client_id", "is neither a name nor a number")),
    };
    if named != caller.name() && named != caller.id().to_string() {
        return Err(Problem::bad_field("client_id", "is not the client that the key belongs to"));
    }
    let new = NewEndpoint {
        url: check_url(&app, &new.url)?,
        events: vec![EventType::NormalizationCompleted],
        description: None,
        scheme: Scheme::Hmac,
        old_callback: true,
    };
    let mut tx = app.pool.begin().await?;
    let (webhook, secret) = endpoints::create(&mut *tx, caller.id(), &new).await?;
    let made = OldWebhookMade { webhook_id: webhook.id, url: webhook.url, secret };
    once.keep(&mut tx, StatusCode::CREATED, None, &made).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}
