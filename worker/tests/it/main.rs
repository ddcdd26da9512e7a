//! Uploads end to end inside one process: received, loaded, closed, on real engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod billing;
mod calendar;
mod claims;
mod close;
mod custom_job;
mod dialects;
mod differs;
mod dropped;
mod dunning;
mod duplicates;
mod ended;
mod ends;
mod harness;
mod interrupted;
mod kinds;
mod mail;
mod messages;
mod normalization;
mod parts;
mod policies;
mod replace;
mod resent;
mod webhooks;
