//! The promises of the queue, on real engines.

mod backend;
mod crash;
mod effects;
mod engines;
mod groups;
mod outcomes;
mod support;
mod sweep;
mod tidy;
