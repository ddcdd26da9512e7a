//! `/problems/{code}`: what the `type` of a problem points to.

use axum::extract::Path;
use axum::response::Html;

use crate::problem::{Code, Problem, Result};

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
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<p>{help}</p>\n<p><code>{name}</code>, answered with status {status}.</p>\n</html>\n"
    )))
}
