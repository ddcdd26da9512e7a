use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use gristmill_core::escapes;
use http::{HeaderName, HeaderValue, StatusCode, header};

/// Nothing from elsewhere, no scripts in pages, no frames around them, nothing kept by anybody between.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

pub(crate) async fn headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Refuses addresses that no text of the database can equal: they are not asked for.
pub(crate) async fn texts(request: Request, next: Next) -> Response {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    // The live part names its page inside its own query.
    let mut inside = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "to");
    let fault = escapes::check(uri.path())
        .and_then(|()| escapes::check(query))
        .and_then(|()| inside.try_for_each(|(_, value)| escapes::check(&value)));
    match fault {
        Ok(()) => next.run(request).await,
        Err(fault) => {
            (StatusCode::BAD_REQUEST, format!("The address {fault}. Go back and try another one.")).into_response()
        }
    }
}
