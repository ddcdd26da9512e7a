//! The dashboard of a [`gristmill_queue`]: what is waiting, running, scheduled and dead, who works on it, and the buttons that
//! steer it, as an [`axum::Router`] for an application's own server.
//!
//! Every page is live: while somebody looks it is rendered again, once for all who look at the same, and sent and morphed into
//! place where it differs. It reads the queue's tables and the broker, and nothing else. Styles and scripts are embedded: a page
//! asks no other host, and its policy (CSP) forbids it to.
//!
//! ```
//! use axum::{Router, routing::get};
//! use gristmill_board::{Board, BoardError, Keys};
//! use gristmill_queue::Queue;
//!
//! fn routes(queue: Queue, key: &str) -> Result<Router, BoardError> {
//!     let board = Board::new(queue).base("/admin/jobs").access(Keys::new().operator("ops", key)?);
//!     Ok(Router::new().route("/", get(|| async { "the shop" })).merge(board.router()?))
//! }
//!
//! async fn serve(routes: Router) -> std::io::Result<()> {
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     // With who connects: the board lets in by it.
//!     axum::serve(listener, routes.into_make_service_with_connect_info::<std::net::SocketAddr>()).await
//! }
//! ```
//!
//! # What stands where
//!
//! | address | page | buttons |
//! |---|---|---|
//! | `/` | Overview: what needs attention, rates, waiting and running times, engines, queues | |
//! | `/jobs`, `/jobs/{id}` | jobs by state, queue, name, error; one job with its attempts, payload and result | cancel, retry, discard: one, those ticked, or all that are found |
//! | `/groups`, `/groups/{id}` | groups with their members and joins | cancel, retry the failed |
//! | `/queues`, `/queues/{name}` | queues, how they stand, their limits | pause, resume, drain, set limits |
//! | `/limits` | limits of jobs by their names, and pools of slots | set limits, make and change pools |
//! | `/workers` | workers and what they run | drain |
//! | `/schedules` | schedules with the ticks of a day | run now, pause, resume |
//! | `/dead` | dead letters by what they died of | retry, discard |
//! | `/audit` | who pressed which button, and what came of it | |
//!
//! # Who comes in
//!
//! [`Access`] says of each request who asks and whether they may act. Without one only this machine is let in ([`Loopback`]).
//! [`Keys`] are fixed keys, [`ProxyHeader`] takes the name that a proxy has asked for by OIDC, and an application's own sessions
//! are an [`Access`] of its own. Whatever changes something is a `POST` that no other site can make a browser send.
//!
//! # What is kept of actions
//!
//! Every action has a line in the [`Audit`] before it begins, and its outcome there when it has ended. A board alone keeps the
//! last thousand in memory and tells each to `tracing` at `info` ([`RecentActions`]); an application that must know more keeps
//! them in a table.
//!
//! # Pages of your own
//!
//! A [`Page`] adds a section: an entry of the navigation, a live page with those below it, routes, buttons, cards of the overview.
//! [`Owners`] says what jobs and groups are of, so that the board links to it and does not end them behind its back.

mod access;
pub mod actions;
mod assets;
mod audit;
mod base;
mod board;
mod chart;
mod cron;
mod engines;
mod extend;
pub mod format;
mod frame;
mod history;
mod live;
mod pages;
mod security_headers;
mod visit;

pub use access::{Access, Denied, Keys, Loopback, Person, ProxyHeader, wants_page};
pub use assets::VERSION as ASSETS_VERSION;
pub use audit::{Audit, AuditEntry, BEGUN, RecentActions};
pub use board::{Board, BoardError};
pub use chart::Samples;
pub use engines::Engine;
pub use extend::{Attention, Cards, ClientNames, Entry, Owner, Owners, Page};
pub use frame::{Frames, PageBody, broken};
pub use visit::{PageQuery, Pages, Visit};

/// Why a page cannot be made, or an action not be done.
pub type Error = gristmill_core::Source;

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
