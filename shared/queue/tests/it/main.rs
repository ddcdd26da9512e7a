//! The promises of the queue, on real engines.
#![expect(clippy::duplicate_mod, reason = "each example stands alone, and all are run here")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod admin;
mod backend;
mod bounded;
mod clock;
mod control;
mod crash;
mod crash_points;
mod cron;
mod effects;
mod engines;
mod examples;
mod fairness;
mod fenced;
mod full;
mod groups;
mod knowers;
mod layout;
mod leftovers;
mod limits;
mod links;
mod lost;
mod metrics;
mod model;
mod neighbours;
mod nested;
mod outcomes;
mod pause;
mod payloads;
mod refused;
mod reports;
mod schedules;
mod state;
mod steps;
mod support;
mod sweep;
mod testing;
mod tidy;
mod unique;
mod unsealed;
mod watchdog;
mod window;
mod workers;
