//! Which client was chosen last: the pages about one client keep to it.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use gristmill_board::PageQuery;
use gristmill_core::ClientId;
use http::{HeaderMap, HeaderValue, Method, header};

use super::session;

/// Pages about one client.
const OF_ONE_CLIENT: [&str; 6] = ["/bills", "/mail", "/webhooks", "/normalizations", "/claims", "/usage"];
const CHOSEN: &str = "gristmill_client";

/// Leads to the client that was chosen on another page where the address says none, and keeps the one that it says.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if request.method() != Method::GET || !OF_ONE_CLIENT.contains(&path) {
        return next.run(request).await;
    }
    let query = PageQuery::parse(request.uri().query().unwrap_or_default());
    if let Some(client) = chosen_before(&query, request.headers()) {
        let query = query.with("client", &client.to_string());
        return Redirect::to(&format!("{path}?{query}")).into_response();
    }
    let mut response = next.run(request).await;
    if let Some(cookie) = choice(&query).filter(|_| response.status().is_success()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The client that such a page is about when its address does not say it.
fn chosen_before(query: &PageQuery, headers: &HeaderMap) -> Option<ClientId> {
    let left_open = query.get("client").is_none() && query.get("failing").is_none();
    session::cookie_of(headers, CHOSEN).filter(|_| left_open)?.parse().ok()
}

/// The cookie that keeps the choice in the address.
fn choice(query: &PageQuery) -> Option<HeaderValue> {
    let kept = match query.get("client")? {
        "all" => "0; Max-Age=0".to_owned(),
        client => format!("{}; Max-Age=43200", client.parse::<ClientId>().ok()?),
    };
    HeaderValue::try_from(format!("{CHOSEN}={kept}; Path=/; HttpOnly; SameSite=Strict")).ok()
}
