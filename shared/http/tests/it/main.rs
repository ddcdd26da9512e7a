//! The routes, by plain HTTP, on real engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod encrypted;
mod enqueue;
mod refused;
mod support;
mod work;
