//! `/v1/webhooks`: where you are told of what happens, and what became of it.

mod deliveries;
mod legacy;

use axum::{Json, extract::State};
use gristmill_webhooks::{
    EventType, Scheme,
    endpoints::{self, Change, Endpoint, EndpointError, NewEndpoint},
};
use http::{HeaderValue, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    json::Body,
    openapi::NotNow,
    params::{Named, Params},
    problem::{Code, Problem, Result},
};

// The documentation macros make an item beside each handler.
pub(crate) use deliveries::*;
pub(crate) use legacy::*;

/// Your webhooks, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookList {
    items: Vec<Endpoint>,
}

/// A webhook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// What is called: https, a public address, no user's name in it.
    #[schema(min_length = 9, example = "https://example.com/hooks")]
    url: String,
    /// Events that it gets.
    #[schema(min_items = 1)]
    events: Vec<EventType>,
    /// A note of yours.
    description: Option<String>,
    /// How its deliveries are signed; `hmac` unless given.
    #[serde(default)]
    signature: Scheme,
}

/// A webhook with what its deliveries are verified with.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookSecret {
    #[serde(flatten)]
    webhook: Endpoint,
    /// Of `hmac`: the secret, which is not shown again. What `ed25519` signs with leaves the server never; deliveries are
    /// verified with `public_key`.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl WebhookSecret {
    /// `key` is what deliveries are verified with: only of `hmac` it is a secret.
    fn of(webhook: Endpoint, key: String) -> Self {
        let secret = webhook.public_key.is_none().then_some(key);
        Self { webhook, secret }
    }
}

/// What is to be changed; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookChange {
    /// What is called.
    #[schema(min_length = 9)]
    url: Option<String>,
    /// Events that it gets.
    #[schema(min_items = 1)]
    events: Option<Vec<EventType>>,
    /// A note of yours.
    description: Option<String>,
    /// Whether it is called. What waits for a webhook that is not is cancelled; it can be replayed.
    enabled: Option<bool>,
}

const LIST: &str = "/v1/webhooks";

/// Create a webhook
///
/// The deliveries are those of [Standard Webhooks](https://www.standardwebhooks.com): verify them with one of its libraries.
#[utoipa::path(post, path = "/v1/webhooks", operation_id = "createWebhook", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, description = "Made; the secret is shown this once", body = WebhookSecret), NotNow))]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<NewWebhook>,
) -> Result<(StatusCode, [(header::HeaderName, HeaderValue); 1], Json<WebhookSecret>)> {
    Params::of(&uri).finish()?;
    let url = check_url(&app, &new.url)?;
    let events = check_events(new.events)?;
    let description = check_description(new.description)?;
    let new = NewEndpoint { url, events, description, scheme: new.signature, old_callback: false };
    let mut tx = app.pool.begin().await?;
    let (webhook, secret) = endpoints::create(&mut *tx, caller.id(), &new).await?;
    let place = HeaderValue::try_from(format!("{LIST}/{}", webhook.id)).map_err(Problem::internal)?;
    let made = WebhookSecret::of(webhook, secret);
    once.keep(&mut tx, StatusCode::CREATED, Some(&place), &made).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(made)))
}

/// Your webhooks, newest first
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses((status = 200, description = "All of them", body = WebhookList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<WebhookList>> {
    Params::of(&uri).finish()?;
    Ok(Json(WebhookList { items: endpoints::list(&app.pool, caller.id()).await? }))
}

/// One webhook
#[utoipa::path(get, path = "/v1/webhooks/{id}", operation_id = "getWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")), responses((status = 200, description = "The webhook", body = Endpoint)))]
pub(crate) async fn one(State(app): State<AppState>, caller: Caller, name: Named, uri: Uri) -> Result<Json<Endpoint>> {
    Params::of(&uri).finish()?;
    Ok(Json(find(&app, &caller, &name).await?))
}

/// Change a webhook
#[utoipa::path(put, path = "/v1/webhooks/{id}", operation_id = "changeWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")), request_body = WebhookChange,
    responses((status = 200, description = "As it is now", body = Endpoint)))]
pub(crate) async fn change(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
    Body(wanted): Body<WebhookChange>,
) -> Result<Json<Endpoint>> {
    Params::of(&uri).finish()?;
    let wanted = Change {
        url: wanted.url.map(|url| check_url(&app, &url)).transpose()?,
        events: wanted.events.map(check_events).transpose()?,
        description: check_description(wanted.description)?,
        enabled: wanted.enabled,
    };
    changed(&app, &caller, &name, Once::default(), &wanted).await
}

/// Disable a webhook
///
/// What waits for it is cancelled, and can be replayed.
#[utoipa::path(post, path = "/v1/webhooks/{id}/disable", operation_id = "disableWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")), responses((status = 200, description = "As it is now", body = Endpoint)))]
pub(crate) async fn disable(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    once: Once,
    uri: Uri,
) -> Result<Json<Endpoint>> {
    Params::of(&uri).finish()?;
    changed(&app, &caller, &name, once, &Change { enabled: Some(false), ..Change::default() }).await
}

/// Enable a webhook
///
/// What happened meanwhile was not kept for it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/enable", operation_id = "enableWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")), responses((status = 200, description = "As it is now", body = Endpoint)))]
pub(crate) async fn enable(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    once: Once,
    uri: Uri,
) -> Result<Json<Endpoint>> {
    Params::of(&uri).finish()?;
    changed(&app, &caller, &name, once, &Change { enabled: Some(true), ..Change::default() }).await
}

/// Rotate a webhook's secret
///
/// For 24 hours deliveries are signed with both.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate", operation_id = "rotateWebhookSecret", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")),
    responses((status = 200, description = "The new secret, shown this once", body = WebhookSecret)))]
pub(crate) async fn rotate(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    once: Once,
    uri: Uri,
) -> Result<Json<WebhookSecret>> {
    Params::of(&uri).finish()?;
    let mut tx = app.pool.begin().await?;
    let rotated = endpoints::rotate(&mut *tx, caller.id(), id(&name)?).await?;
    let (webhook, secret) = rotated.ok_or_else(|| none(&name))?;
    let rotated = WebhookSecret::of(webhook, secret);
    once.keep(&mut tx, StatusCode::OK, None, &rotated).await?;
    tx.commit().await?;
    Ok(Json(rotated))
}

/// Delete a webhook
#[utoipa::path(delete, path = "/v1/webhooks/{id}", operation_id = "deleteWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")), responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(app): State<AppState>, caller: Caller, name: Named, uri: Uri) -> Result<StatusCode> {
    Params::of(&uri).finish()?;
    match endpoints::delete(&app.pool, caller.id(), id(&name)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none(&name)),
    }
}

fn none(name: &Named) -> Problem {
    Problem::not_found("webhook", &name.0, LIST)
}

fn id(name: &Named) -> Result<Uuid> {
    name.id("webhook", LIST)
}

/// The client's webhook; another client's is not there.
async fn find(app: &AppState, caller: &Caller, name: &Named) -> Result<Endpoint> {
    endpoints::find(&app.pool, caller.id(), id(name)?).await?.ok_or_else(|| none(name))
}

async fn changed(app: &AppState, caller: &Caller, name: &Named, once: Once, change: &Change) -> Result<Json<Endpoint>> {
    let mut tx = app.pool.begin().await?;
    let changed = endpoints::change(&mut *tx, caller.id(), id(name)?, change).await?;
    let changed = changed.ok_or_else(|| none(name))?;
    once.keep(&mut tx, StatusCode::OK, None, &changed).await?;
    tx.commit().await?;
    Ok(Json(changed))
}

fn check_url(app: &AppState, url: &str) -> Result<String> {
    app.outbound.check(url.trim()).map(Into::into).map_err(|error| Problem::bad_field("url", error))
}

fn check_events(mut events: Vec<EventType>) -> Result<Vec<EventType>> {
    events.sort_unstable();
    events.dedup();
    if events.is_empty() {
        return Err(Problem::bad_field("events", "is empty: name at least one event"));
    }
    Ok(events)
}

fn check_description(description: Option<String>) -> Result<Option<String>> {
    let wrong = |text: &String| text.chars().count() > 500 || text.contains('\0');
    match description.as_ref().is_some_and(wrong) {
        true => Err(Problem::bad_field("description", "is longer than 500 characters, or holds a NUL")),
        false => Ok(description),
    }
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::TooMany => Self::new(Code::WrongState, format!("{error}.")),
            EndpointError::Secret(error) => Self::internal(error),
            EndpointError::Database(error) => error.into(),
        }
    }
}
