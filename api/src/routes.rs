//! The routes. Each module owns its requests, its answers and its part of the OpenAPI document.

mod billing_runs;
mod bills;
mod claims;
mod debts;
mod docs;
mod documented_routes;
mod groups;
mod health;
mod jobs;
mod limits;
mod mail;
mod normalizations;
mod payments;
mod plan_accounts;
mod problems;
mod profiles;
mod queues;
mod reports;
mod schedules;
mod settings;
mod transactions;
mod tus;
mod uploads;
mod usage;
mod webhooks;
mod work;
mod workers;

pub(crate) use normalizations::{SingleRequest, gathering};
pub(crate) use tus::finish_whole;
pub(crate) use work::ByKey;

use std::time::Duration;

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::options,
};
use http::Uri;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    app::AppState,
    auth::require_key,
    door::at_the_door,
    idempotency::idempotent,
    lanes::in_lane,
    observe::observe,
    openapi,
    problem::{Code, Problem, internal, render},
    whole::{MAX_LARGE_BODY, whole, whole_large},
};

use documented_routes::DocumentedRoutes;

/// How long a request that only reads may take to find its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// And a statement of it: what goes on after its request was given up would keep others from a connection.
pub(crate) const STATEMENT: Duration = Duration::from_secs(8);

/// Every route, in its layers.
pub(crate) fn router(app: AppState, cors: Option<CorsLayer>) -> Router {
    let router = dress(tree(&Layers(Some(app.clone()))).into_router()).with_state(app.clone());
    match cors {
        // It answers every OPTIONS by itself, and knows nothing of tus.
        Some(cors) => router.layer(cors).layer(from_fn_with_state(app, tus::say_options)),
        None => router,
    }
}

/// What every route wears, and the answers where there is none.
fn dress<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(at_the_door))
        .layer(CatchPanicLayer::custom(internal))
        .layer(from_fn(render))
        .layer(CompressionLayer::new().gzip(true))
        .layer(from_fn(observe))
}

/// The description of every route.
pub(crate) fn document() -> OpenApi {
    tree(&Layers(None)).into_document()
}

/// What stands before the routes; nothing, where they are only described.
struct Layers(Option<AppState>);

impl Layers {
    fn key(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        routes.route_layer(from_fn_with_state(app.clone(), require_key))
    }

    fn small(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        self.quick(routes, app).route_layer(from_fn_with_state(app.clone(), whole))
    }

    /// Whose bodies are small, and whose work is not.
    fn whole(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        routes.route_layer(from_fn_with_state(app.clone(), whole))
    }

    /// The same with bodies of many jobs.
    fn large(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        let large = self.quick(routes, app).route_layer(from_fn_with_state(app.clone(), whole_large));
        large.route_layer(DefaultBodyLimit::max(MAX_LARGE_BODY))
    }

    fn quick(&self, routes: OpenApiRouter<AppState>, app: &AppState) -> OpenApiRouter<AppState> {
        let bounded = from_fn(bounded);
        let (lane, repeat) = (from_fn_with_state(app.clone(), in_lane), from_fn_with_state(app.clone(), idempotent));
        // Bounded inside too: there the work goes on when its client has been told that it took too long.
        routes.route_layer(lane).route_layer(bounded.clone()).route_layer(repeat).route_layer(bounded)
    }

    /// Of workers, which send again what was not answered.
    fn reports(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        let routes = routes.route_layer(from_fn_with_state(app.clone(), in_lane)).route_layer(from_fn(bounded));
        let routes = routes.route_layer(from_fn_with_state(app.clone(), whole_large));
        routes.route_layer(DefaultBodyLimit::max(MAX_LARGE_BODY))
    }

    /// They wait for jobs, and keep nobody from the database meanwhile.
    fn claims(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        let routes = routes.route_layer(from_fn_with_state(app.clone(), work::while_serving));
        routes.route_layer(from_fn_with_state(app.clone(), whole))
    }

    /// The routes of `gristmill-http`.
    fn queue(&self, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
        let Some(app) = &self.0 else { return routes };
        routes.route_layer(from_fn(work::told)).route_layer(Extension(app.http.clone()))
    }
}

/// The routes and their description, from one list: neither has what the other lacks.
fn tree(layers: &Layers) -> DocumentedRoutes {
    let queue = gristmill_http::Routes::<AppState>::new();
    let of_queue = |routes: Vec<UtoipaMethodRouter<AppState>>| {
        let routes = routes.into_iter().fold(DocumentedRoutes::default(), DocumentedRoutes::routes);
        routes.told(openapi::queue).layered(|routes| layers.queue(routes))
    };
    let small = DocumentedRoutes::default()
        .routes(routes!(uploads::list))
        .routes(routes!(uploads::one))
        .routes(routes!(uploads::rejects))
        .routes(routes!(uploads::receipt))
        .routes(routes!(uploads::delta))
        .routes(routes!(profiles::list))
        .routes(routes!(profiles::one, profiles::put, profiles::delete))
        .routes(routes!(uploads::events))
        .routes(routes!(debts::list))
        .routes(routes!(bills::list))
        .routes(routes!(bills::one))
        .routes(routes!(bills::page))
        .routes(routes!(bills::cancel))
        .routes(routes!(billing_runs::list, billing_runs::create))
        .routes(routes!(billing_runs::one, billing_runs::cancel))
        .routes(routes!(billing_runs::approve))
        .routes(routes!(payments::create))
        .routes(routes!(transactions::list))
        .routes(routes!(usage::list))
        .routes(routes!(usage::daily))
        .routes(routes!(reports::list))
        .routes(routes!(reports::batch))
        .routes(routes!(reports::one, reports::put, reports::delete))
        .routes(routes!(normalizations::list, normalizations::create))
        .routes(routes!(normalizations::batch))
        .routes(routes!(normalizations::one))
        .routes(routes!(normalizations::normalize_merchant))
        .routes(routes!(normalizations::list_rules, normalizations::create_rule))
        .routes(routes!(normalizations::one_rule, normalizations::put_rule, normalizations::delete_rule))
        .routes(routes!(claims::list, claims::create))
        .routes(routes!(claims::top))
        .routes(routes!(claims::one))
        .routes(routes!(claims::void))
        .routes(routes!(plan_accounts::list))
        .routes(routes!(plan_accounts::put))
        .routes(routes!(settings::get, settings::put))
        .routes(routes!(mail::list))
        .routes(routes!(mail::bounce))
        .routes(routes!(mail::suppressions, mail::lift))
        .routes(routes!(mail::one))
        .routes(routes!(mail::eml))
        .routes(routes!(mail::resend))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::one, webhooks::change, webhooks::delete))
        .routes(routes!(webhooks::enable))
        .routes(routes!(webhooks::disable))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay_one))
        .routes(routes!(webhooks::replay_many))
        .routes(routes!(webhooks::create_old))
        .routes(routes!(health::metrics))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::one, jobs::change))
        .routes(routes!(jobs::logs))
        .routes(routes!(groups::list))
        .routes(routes!(groups::one))
        .routes(routes!(queues::list))
        .routes(routes!(queues::one))
        .routes(routes!(queues::limit))
        .routes(routes!(limits::list))
        .routes(routes!(limits::put_job))
        .routes(routes!(limits::put_pool, limits::delete_pool))
        .routes(routes!(workers::list))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::one, schedules::put, schedules::delete))
        .routes(routes!(schedules::ticks))
        .routes(routes!(jobs::act))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::promote))
        .routes(routes!(jobs::redrive))
        .routes(routes!(jobs::discard))
        .routes(routes!(groups::cancel))
        .routes(routes!(groups::retry))
        .routes(routes!(queues::pause))
        .routes(routes!(queues::resume))
        .routes(routes!(queues::drain))
        .routes(routes!(workers::drain))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::run));
    let small = small.merge(of_queue(queue.small)).told(openapi::small).layered(|small| layers.small(small));
    let large = of_queue(queue.large).told(openapi::small).layered(|large| layers.large(large));
    let reports = of_queue(queue.reports).told(openapi::work).layered(|reports| layers.reports(reports));
    let claims = of_queue(queue.claims).told(openapi::work).layered(|claims| layers.claims(claims));
    // An undoing takes as long as the upload has claims to take back.
    let long = DocumentedRoutes::default().routes(routes!(uploads::remove));
    let writes = DocumentedRoutes::default()
        .routes(routes!(uploads::create))
        .layered(|writes| writes.route_layer(DefaultBodyLimit::disable()));
    let tus = DocumentedRoutes::default()
        .routes(routes!(tus::begin))
        .routes(routes!(tus::one, tus::add, tus::terminate, tus::overridden))
        .layered(|tus| tus.route_layer(from_fn(tus::spoken)));
    // It takes as long as the file, and is no small request but for its body.
    let fetches = DocumentedRoutes::default().routes(routes!(uploads::fetch));
    let fetches = fetches.told(openapi::work).layered(|fetches| layers.whole(fetches));
    let keyed = small.merge(large).merge(reports).merge(claims).merge(writes).merge(fetches).merge(long).merge(tus);
    let keyed = keyed.told(openapi::keyed).layered(|keyed| layers.key(keyed));
    let open = DocumentedRoutes::default()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::page))
        .routes(routes!(docs::asset))
        .routes(routes!(problems::page))
        .told(openapi::open);
    // What tus itself describes.
    let spoken = DocumentedRoutes::default().layered(|tus| {
        let tus = tus.route("/v1/tus", options(tus::options)).route("/v1/tus/{id}", options(tus::options));
        tus.route_layer(from_fn(tus::spoken))
    });
    DocumentedRoutes::of(openapi::frame()).merge(keyed).merge(open).merge(spoken).told(openapi::finished)
}

/// A database that is gone is waited for, but not for as long as an upload waits.
async fn bounded(request: Request, next: Next) -> Response {
    match tokio::time::timeout(READ_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(elapsed) => Problem::unavailable(elapsed).into_response(),
    }
}

async fn no_route(uri: Uri) -> Response {
    // Who opens the address in a browser wants to know what is here.
    if uri.path() == "/" {
        return Redirect::temporary("/docs").into_response();
    }
    Problem::new(Code::NotFound, format!("There is no route {}. GET /docs lists the routes.", uri.path()))
        .into_response()
}

async fn no_method(method: http::Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}: the header `Allow` lists what it takes.", uri.path());
    Problem::new(Code::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn fault() -> &'static str {
        panic!("a secret of the server")
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let router = dress(Router::new().route("/fault", get(fault)));
        let request =
            Request::get("/fault").header("host", "x").header("x-request-id", "r1").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        insta::assert_snapshot!(String::from_utf8_lossy(&body));
    }
}
