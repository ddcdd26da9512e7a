//! Who may ask the database at the same time: one slow statement must not take every connection of the process.
//!
//! A route has half of the pool at most, a client six tenths, and all small requests together leave two connections to files
//! that arrive. Who finds its lane full waits for it, and not for longer than a request may take.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use gristmill_core::ClientId;
use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    app::AppState,
    auth::Caller,
    problem::{Problem, Result},
};

/// Connections that small requests leave to files that arrive.
const LEFT: usize = 2;

/// One statement enters all of these that wait: they hold no connection each.
const GATHERED: [&str; 2] = ["/v1/normalizations", "/normalize_merchant"];

/// A semaphore a route, a client and one for all.
pub(crate) struct Lanes {
    all: Arc<Semaphore>,
    routes: Kind<(Method, String)>,
    clients: Kind<ClientId>,
}

struct Kind<K> {
    wide: usize,
    lanes: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Kind<K> {
    fn new(wide: usize) -> Self {
        Self { wide: wide.max(1), lanes: Mutex::default() }
    }

    async fn enter(&self, key: K) -> Result<OwnedSemaphorePermit> {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.wide))).clone()
        };
        lane.acquire_owned().await.map_err(Problem::internal)
    }
}

impl Lanes {
    /// For a pool of so many connections.
    pub(crate) fn of(pool: u32) -> Self {
        let pool = pool as usize;
        Self {
            all: Arc::new(Semaphore::new(pool.saturating_sub(LEFT).max(1))),
            routes: Kind::new(pool / 2),
            clients: Kind::new(pool * 6 / 10),
        }
    }

    /// The narrowest first: who waits for its route or for its own client keeps nobody else out.
    async fn enter(&self, route: (Method, String), client_id: ClientId) -> Result<[OwnedSemaphorePermit; 3]> {
        let client = self.clients.enter(client_id).await?;
        let route = self.routes.enter(route).await?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(Problem::internal)?;
        Ok([client, route, all])
    }
}

/// Lets a request in when there is room in its lanes.
pub(crate) async fn in_lane(
    State(app): State<AppState>,
    path: MatchedPath,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response> {
    if request.method() == Method::POST && GATHERED.contains(&path.as_str()) {
        return Ok(next.run(request).await);
    }
    let route = (request.method().clone(), path.as_str().to_owned());
    let _room = app.lanes.enter(route, caller.id()).await?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn get(path: &str) -> (Method, String) {
        (Method::GET, path.to_owned())
    }

    #[tokio::test]
    async fn neither_a_route_nor_a_client_has_everything() {
        let lanes = Lanes::of(10);
        let mut held = Vec::new();
        for client in 0..5 {
            held.push(lanes.enter(get("/slow"), client.into()).await.unwrap());
        }
        assert!(lanes.enter(get("/slow"), 9.into()).now_or_never().is_none(), "half is the route's");
        held.push(lanes.enter(get("/quick"), 9.into()).now_or_never().expect("another route has room").unwrap());
        held.clear();
        for route in ["/a", "/b", "/c", "/d", "/e", "/f"] {
            held.push(lanes.enter(get(route), 1.into()).await.unwrap());
        }
        assert!(lanes.enter(get("/g"), 1.into()).now_or_never().is_none(), "six are the client's");
        held.push(lanes.enter(get("/g"), 2.into()).now_or_never().expect("another client has room").unwrap());
        held.push(lanes.enter(get("/h"), 3.into()).now_or_never().expect("as long as two are left").unwrap());
        assert!(lanes.enter(get("/i"), 4.into()).now_or_never().is_none(), "two are left to files");
        held.pop();
        assert!(lanes.enter(get("/i"), 4.into()).now_or_never().is_some(), "who leaves makes room");
    }

    #[tokio::test]
    async fn the_smallest_pool_serves_one_at_a_time() {
        let lanes = Lanes::of(1);
        let held = lanes.enter(get("/a"), 1.into()).await.unwrap();
        assert!(lanes.enter(get("/b"), 2.into()).now_or_never().is_none());
        drop(held);
        assert!(lanes.enter(get("/b"), 2.into()).now_or_never().is_some());
    }
}
