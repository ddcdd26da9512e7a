//! What is refused before any route: what HTTP does not allow, and texts that the database cannot hold.

use axum::{extract::Request, middleware::Next, response::Response};
use gristmill_core::escapes;
use gristmill_service::host;
use http::{HeaderName, header};

use crate::{
    params::bad_header,
    problem::{Code, FieldError, Problem, Result},
};

/// Headers that a request has once: the first of two says something else than the second.
const ONCE: [HeaderName; 2] = [header::AUTHORIZATION, HeaderName::from_static("idempotency-key")];

/// Lets through what can be taken at all.
pub(crate) async fn at_the_door(request: Request, next: Next) -> Result<Response> {
    if let Some(fault) = host::fault(request.version(), request.headers()) {
        return Err(bad_header(&header::HOST, fault));
    }
    for name in ONCE {
        if request.headers().get_all(&name).iter().nth(1).is_some() {
            return Err(bad_header(&name, "is there twice: send one"));
        }
    }
    check_texts(&request)?;
    Ok(next.run(request).await)
}

fn check_texts(request: &Request) -> Result<()> {
    let uri = request.uri();
    if let Err(fault) = escapes::check(uri.path()) {
        return Err(Problem::new(Code::InvalidParameter, format!("The path {fault}.")));
    }
    let pairs = uri.query().unwrap_or_default().split('&');
    let at_fault = pairs.filter_map(|pair| Some((pair, escapes::check(pair).err()?))).next();
    let Some((pair, fault)) = at_fault else { return Ok(()) };
    let name = pair.split_once('=').map_or(pair, |(name, _)| name).to_owned();
    let detail = fault.to_string();
    Err(Problem::new(Code::InvalidParameter, format!("{name}: {detail}"))
        .errors(vec![FieldError { field: name, detail }]))
}
