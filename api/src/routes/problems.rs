//! `/problems/{code}`: what the `type` of a problem points to.

use axum::extract::Path;
use axum::response::Html;

use crate::problem::{Code, Problem, Result};

const STYLE: &str = "<style>:root { color-scheme: light dark; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 70ch; margin: 10vh auto; \
    padding: 0 24px; } h1 { font-size: 28px; line-height: 1.2; } code { font-size: 14px; }</style>";

/// What a problem means
#[utoipa::path(get, path = "/problems/{code}", operation_id = "getProblem", tag = "about",
    params(("code" = String, Path, description = "The last part of a problem's `type`", example = "wrong-header")),
    responses((status = 200, description = "A page that explains it", body = String, content_type = "text/html")))]
pub(crate) async fn page(Path(code): Path<String>) -> Result<Html<String>> {
    let known = Code::ALL.iter().find(|known| known.as_str() == code);
    let code = known.ok_or_else(|| {
        let all: Vec<&str> = Code::ALL.iter().map(|known| known.as_str()).collect();
        Problem::new(Code::NotFound, format!("There is no such problem; there are: {}.", all.join(", ")))
    })?;
    let (title, help, name, status) = (code.title(), code.help(), code.as_str(), code.status());
    Ok(Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Gristmill API</title>\n<link rel=\"icon\" type=\"image/png\" href=\"/docs/favicon-32x32.png\">\n{STYLE}\n\
         <h1>{title}</h1>\n<p>{help}</p>\n<p><code>{name}</code>, answered with status {status}. <a href=\"/docs\">All of the API</a></p>\n</html>\n"
    )))
}
