//! An application, as its users write it: on real engines, and without any.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod crash;
mod embedded;
mod encrypted;
mod enqueue;
mod flows;
mod handlers;
mod hello;
mod hooks;
mod inline;
mod layers;
mod process;
mod refused;
mod schedules;
mod support;
mod tx;
