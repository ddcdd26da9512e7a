//! The API over real HTTP, on real engines. Nobody works on the jobs here: that is the worker's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bills;
mod claims;
mod containers;
mod dialects;
mod documents;
mod doors;
mod dry_run;
mod encodings;
mod events;
mod fetch;
mod foreign;
mod hangup;
mod hostile;
mod idempotency;
mod jobs;
mod keys;
mod lists;
mod mail;
mod messages;
mod normalizations;
mod once;
mod operators;
mod plans;
mod profiles;
mod robust;
mod support;
mod tus;
mod uploads;
mod webhooks;
mod work;
