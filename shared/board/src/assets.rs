//! Styles and scripts, embedded. They are named by version, so browsers keep them.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{HeaderName, StatusCode, header};

const FOREVER: &str = "public, max-age=31536000, immutable";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Stands behind the name of each of the board's styles and scripts (`/assets/app.css?…`), so that what is new is fetched.
pub const VERSION: &str = env!("GRISTMILL_ASSETS");

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, bytes): (&str, &'static [u8]) = match name.as_str() {
        "app.css" => ("text/css; charset=utf-8", include_bytes!("../assets/app.css")),
        "app.js" => (SCRIPT, include_bytes!("../assets/app.js")),
        "htmx.min.js" => (SCRIPT, include_bytes!("../assets/htmx.min.js")),
        "idiomorph.min.js" => (SCRIPT, include_bytes!("../assets/idiomorph.min.js")),
        "mark.svg" => ("image/svg+xml", include_bytes!("../assets/mark.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers: [(HeaderName, &str); 2] = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FOREVER)];
    (headers, bytes).into_response()
}
