//! A distributed task queue: a Postgres ledger says what must be done, a Redis broker says who does it now.
//!
//! A [`Job`] is a serializable struct. [`Queue::enqueue`] writes it into the ledger in the caller's transaction,
//! [`Queue::push`] hands it to the broker after the commit, a [`Worker`] runs it, and [`Queue::complete`] finishes
//! it in the transaction of its effect, so that the effect happens once however often the job is delivered.
//! Groups of jobs end in one join. A [`Sweeper`] makes good what a crash or a loss of Redis left undone.
//! A [`Cron`] enqueues jobs by the clock.

mod job;
mod queue;
mod worker;

mod cron;
mod drain;
mod operate;
mod relay;
mod run;

mod batch;
mod envelope;
mod ledger;
pub mod redis;
mod watch;
mod watchdog;

pub use cron::{CatchUp, Cause, Cron, CronError, Fired};
pub use drain::{DrainError, Drained};
pub use job::{Job, JobError, Source};
pub use ledger::audit::{Depth, Miscounted, Pruned};
pub use ledger::groups::{GroupPolicy, JobSpec, NewGroup};
pub use operate::queues::{LimitsError, QueueView, Queues};
pub use operate::schedules::{NewSchedule, ScheduleError, ScheduleView, Schedules, TickPage, TickView};
pub use queue::{Claim, Completion, Enqueued, Fence, GroupId, Options, Queue, QueueConfig, QueueError};
pub use redis::{Limits, LineView, RunningView, WorkerView};
pub use relay::{Sweeper, Swept};
pub use worker::{Body, Context, Worker, WorkerBuilder, WorkerError, WorkerHealth};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
