//! A board in somebody's server, asked over HTTP as a browser asks it.
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod access;
mod added;
mod buttons;
#[allow(dead_code, reason = "its `main` serves for ever")]
#[path = "../../examples/embedded.rs"]
mod embedded;
mod own;
mod pages;
mod served;
