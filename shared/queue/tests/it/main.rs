//! The promises of the queue, on real engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod backend;
mod crash;
mod crash_points;
mod cron;
mod decide;
mod effects;
mod engines;
mod groups;
mod model;
mod nested;
mod outcomes;
mod payloads;
mod reports;
mod schedules;
mod support;
mod sweep;
mod tidy;
mod unique;
