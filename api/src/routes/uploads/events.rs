use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use gristmill_uploads::events::order;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::About;
use crate::{
    hub::{END, Start, seen_the_end, watch},
    params::{bad_header, text_header},
    problem::{Problem, Result},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Watch an upload
///
/// Server-Sent Events: `progress`, `rejected`, and one of `completed`, `failed`, `cancelled` at the end. (An upload that is undone
/// after it was completed ends with `cancelled`, also for who has seen `completed` and asks again.) Data is JSON:
/// the upload, and of `rejected` how many records of a chunk were not taken and examples. With `Last-Event-ID` it goes on
/// after that event; `reset` says that some of what was missed is gone, and the upload as it stands follows.
#[utoipa::path(get, path = "/v1/uploads/{id}/events", operation_id = "watchUpload", tag = "uploads",
    params(("id" = Uuid, Path, description = "The upload"),
        ("Last-Event-ID" = Option<String>, Header, pattern = "^(0|end|[0-9]{1,19}-[0-9]{1,19})?$", description = "The `id` of the last event that was seen")),
    responses((status = 200, description = "The events, until the last one", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The last event was seen already: nothing comes any more")))]
pub(crate) async fn events(about: About, headers: HeaderMap) -> Result<Response> {
    let after = last_event_id(&headers)?;
    let upload = about.find().await?;
    let key = about.caller.key();
    let About { app, id: upload_id, .. } = about;
    // Anything but 204 would make a browser connect again for ever.
    let over = match after {
        After::End => true,
        After::Event(after) if upload.state.is_final() => {
            seen_the_end(&app.events, upload_id, after).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "history cannot be read");
                false
            })
        }
        _ => false,
    };
    if over {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let start = Start {
        upload_id,
        after: if let After::Event(after) = after { after } else { (0, 0) },
        pool: app.pool.clone(),
        heartbeat: app.config.heartbeat,
        stop: app.stop_events.clone(),
    };
    let revoked = app.revocations.watch(key);
    let stream = watch(&app.hub, start).take_until(revoked).map(Ok::<_, std::convert::Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        // Proxies that collect answers would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

enum After {
    Nothing,
    Event((u64, u64)),
    End,
}

fn last_event_id(headers: &HeaderMap) -> Result<After> {
    let number = |text: &str| !text.is_empty() && text.parse::<u64>().is_ok();
    match text_header(headers, &LAST_EVENT_ID)? {
        None | Some("" | "0") => Ok(After::Nothing),
        Some(END) => Ok(After::End),
        Some(id) if id.split_once('-').is_some_and(|(ms, n)| number(ms) && number(n)) => Ok(After::Event(order(id))),
        Some(id) => Err(not_an_event(id)),
    }
}

fn not_an_event(id: &str) -> Problem {
    bad_header(
        &LAST_EVENT_ID,
        format!("'{id}' is not the id of an event: send one as it came, or none to begin at the start"),
    )
}
