//! Pages of other origins in a browser: which may use the API, and what they see of its answers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(600);

/// What a page may read of an answer, beside its body.
const EXPOSED: [&str; 16] = [
    "tus-resumable",
    "tus-version",
    "tus-extension",
    "tus-max-size",
    "tus-checksum-algorithm",
    "upload-offset",
    "upload-length",
    "upload-defer-length",
    "upload-metadata",
    "upload-concat",
    "upload-expires",
    "gristmill-upload",
    "idempotency-replayed",
    "ratelimit",
    "ratelimit-policy",
    "x-request-id",
];

/// `None`: no page may. A key is sent by the page itself, never by the browser, so there are no credentials to allow.
pub(crate) fn cors(origins: &[String]) -> anyhow::Result<Option<CorsLayer>> {
    let origins: Vec<&str> = origins.iter().map(|origin| origin.trim()).filter(|origin| !origin.is_empty()).collect();
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = match origins.contains(&"*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.into_iter().map(origin).collect::<anyhow::Result<Vec<_>>>()?),
    };
    let exposed = EXPOSED.map(HeaderName::from_static).into_iter().chain([header::LOCATION, header::RETRY_AFTER]);
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    Ok(Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(methods)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(exposed.collect::<Vec<_>>())
            .max_age(MAX_AGE),
    ))
}

fn origin(text: &str) -> anyhow::Result<HeaderValue> {
    let wrong = || {
        format!("GRISTMILL_CORS_ORIGINS: '{text}' is not an origin: write https://files.example.com, without a path")
    };
    let (scheme, host) = text.split_once("://").with_context(wrong)?;
    ensure!(["http", "https"].contains(&scheme) && !host.is_empty() && !host.contains('/'), wrong());
    text.parse().with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::cors;

    #[test]
    fn only_origins_are_taken() {
        let taken = |origins: &[&str]| cors(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>());
        assert!(taken(&[]).unwrap().is_none());
        assert!(taken(&["*"]).unwrap().is_some());
        assert!(taken(&["https://a.example.com", "http://localhost:3000"]).unwrap().is_some());
        for wrong in ["a.example.com", "https://a.example.com/", "ftp://a", "https://"] {
            let said = taken(&[wrong]).unwrap_err().to_string();
            assert!(said.contains("is not an origin"), "{said}");
        }
    }
}
