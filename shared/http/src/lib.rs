//! A [`gristmill_queue`] by HTTP, for producers and workers in any language: an [`axum::Router`] for an application's own server.
//!
//! ```
//! use axum::Router;
//! use gristmill_http::{KeyError, Keys};
//! use gristmill_queue::Queue;
//!
//! fn routes(queue: &Queue, key: &str) -> Result<Router, KeyError> {
//!     Ok(gristmill_http::router(queue, Keys::new().worker(key)?))
//! }
//! ```
//!
//! Who may do what is an [`Access`]: [`Keys`], or one of your own.
//!
//! | request | does |
//! |---|---|
//! | `POST /v1/jobs` | enqueues a job |
//! | `POST /v1/jobs/batch` | enqueues up to [`MAX_BATCH`] jobs, a line of JSON each, all or none |
//! | `POST /v1/jobs/{id}/signals/{name}` | sends a job a signal, for which it waits or will wait |
//! | `POST /v1/groups` | creates a group, with its joins |
//! | `POST /v1/groups/{id}/seal` | says that it has all its members |
//! | `POST /v1/flows` | enqueues stages of jobs that wait for each other |
//! | `GET /v1/jobs/{id}/members` | tells a job what those before it came to |
//! | `POST /v1/work/claims` | gives a worker jobs; waits for the first ones |
//! | `POST /v1/work/reports` | renews, completes, fails and snoozes what a worker holds, and tells it what to stop |
//!
//! Each job is committed when its request is answered. Errors are problems (RFC 9457) that say what is wrong, and where.

mod access;
mod batch;
mod claims;
mod flows;
mod groups;
mod jobs;
mod json;
mod members;
mod problem;
mod reports;
mod request;
mod signals;
mod time_span;

use std::sync::Arc;

use axum::{Extension, Router, extract::DefaultBodyLimit};
use gristmill_queue::{Queue, remote::Remote};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

pub use access::{Access, Allowed, Answer, Kept, KeyError, Keys, Refused, Right};
pub use batch::MAX_BATCH;
pub use claims::MAX_NAME;
pub use http::request as parts;
pub use jobs::MAX_TAGS;
pub use problem::{FieldError, Problem, ProblemKind};
pub use time_span::TimeSpan;

/// The longest body of a request that may have many jobs in it, in bytes.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// What the routes work with: put it into the extensions of each request that [`Routes`] get. Cheap to clone.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    queue: Queue,
    remote: Remote,
    access: Box<dyn Access>,
}

impl Http {
    /// The queue, and who may do what with it.
    #[must_use]
    pub fn new(queue: &Queue, access: impl Access) -> Self {
        let (queue, remote, access) = (queue.clone(), Remote::new(queue), Box::new(access));
        Self(Arc::new(Inner { queue, remote, access }))
    }

    fn queue(&self) -> &Queue {
        &self.0.queue
    }

    fn remote(&self) -> &Remote {
        &self.0.remote
    }

    fn access(&self) -> &dyn Access {
        &*self.0.access
    }
}

/// The routes with their description, for an application that has layers and an OpenAPI document of its own. By what a layer may
/// do with them: all need an [`Http`] in the extensions of their requests.
pub struct Routes<S> {
    /// Small requests that are answered at once, and may be repeated by an idempotency key.
    pub small: Vec<UtoipaMethodRouter<S>>,
    /// The same with bodies of up to [`MAX_BODY`].
    pub large: Vec<UtoipaMethodRouter<S>>,
    /// Reports of workers: bodies of up to [`MAX_BODY`], answered at once, safe to repeat as they are.
    pub reports: Vec<UtoipaMethodRouter<S>>,
    /// Claims: a request waits for up to a minute.
    pub claims: Vec<UtoipaMethodRouter<S>>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// All of them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            small: vec![
                routes!(jobs::enqueue),
                routes!(signals::send),
                routes!(groups::create),
                routes!(groups::seal),
                routes!(members::list),
            ],
            large: vec![routes!(batch::enqueue_batch), routes!(flows::create)],
            reports: vec![routes!(reports::report)],
            claims: vec![routes!(claims::claim)],
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// The routes, for a server that has nothing of its own to add.
pub fn router(queue: &Queue, access: impl Access) -> Router {
    let Routes { small, large, reports, claims } = Routes::<()>::new();
    let all = small.into_iter().chain(large).chain(reports).chain(claims);
    let documented = all.fold(OpenApiRouter::new(), OpenApiRouter::routes);
    let (router, _) = documented.split_for_parts();
    router.layer(DefaultBodyLimit::max(MAX_BODY)).layer(Extension(Http::new(queue, access)))
}
