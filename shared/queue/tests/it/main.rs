//! The promises of the queue, on real engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod backend;
mod crash;
mod cron;
mod effects;
mod engines;
mod fairness;
mod groups;
mod limits;
mod outcomes;
mod pause;
mod schedules;
mod support;
mod sweep;
mod tidy;
mod watchdog;
mod workers;
