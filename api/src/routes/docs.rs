//! The OpenAPI document and a page to read it: Swagger UI, embedded, nothing from elsewhere.

use std::sync::LazyLock;

use axum::{extract::Path, response::IntoResponse};
use http::{HeaderValue, Uri, header};

use crate::problem::{Code, Problem, Result};

/// Only from here. Swagger UI draws its icons by `data:` images.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const PAGE: &str = include_str!("../../assets/docs/index.html");

const ASSETS: &[(&str, &str, &[u8])] = &[
    ("start.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/docs/start.js")),
    ("page.css", "text/css; charset=utf-8", include_bytes!("../../assets/docs/page.css")),
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js"),
    ),
    ("swagger-ui.css", "text/css; charset=utf-8", include_bytes!("../../assets/swagger-ui/swagger-ui.css")),
    ("favicon-32x32.png", "image/png", include_bytes!("../../assets/swagger-ui/favicon-32x32.png")),
];

/// This document
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "about",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(crate) async fn openapi() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| super::document().to_json().expect("the document is plain data"));
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

/// This document, as a page
#[utoipa::path(get, path = "/docs", operation_id = "getDocs", tag = "about",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, PAGE)
}

/// Files of the page
#[utoipa::path(get, path = "/docs/{file}", operation_id = "getDocsFile", tag = "about", params(("file" = String, Path, description = "The file")),
    responses((status = 200, description = "The file", body = String, content_type = "text/javascript")))]
pub(crate) async fn asset(Path(file): Path<String>, uri: Uri) -> Result<impl IntoResponse> {
    let known = ASSETS.iter().find(|(name, _, _)| *name == file);
    let &(_, kind, bytes) = known.ok_or_else(|| {
        Problem::new(Code::NotFound, format!("There is no file {}. GET /docs is the page.", uri.path()))
    })?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes))
}
