//! A distributed task queue: a Postgres ledger says what must be done, a Redis broker says who does it now.
//!
//! A [`Job`] is a serializable struct. [`Queue::enqueue`] writes it into the ledger in the caller's transaction,
//! [`Queue::push`] hands it to the broker after the commit, a [`Worker`] runs it, and [`Queue::complete`] finishes
//! it in the transaction of its effect, so that the effect happens once however often the job is delivered.
//! Groups of jobs end in one join. A [`Sweeper`] makes good what a crash or a loss of Redis left undone.
//! A [`Cron`] enqueues jobs by the clock.

mod claim;
mod job;
mod queue;
mod worker;

mod cron;
mod decide;
mod drain;
mod operate;
mod relay;
mod run;

mod batch;
mod describe;
mod envelope;
mod ledger;
mod payload;
pub mod redis;
pub mod testing;
pub mod trace;
mod watch;
mod watchdog;
mod words;

pub use batch::Batcher;
pub use claim::{Claim, Progress, ResultError};
pub use cron::{CatchUp, Cause, Cron, CronError, Fired};
pub use decide::CancelledJobs;
pub use drain::{DrainError, Drained};
pub use job::{Job, JobError, JobState, Source};
pub use ledger::audit::{Miscounted, Pruned};
pub use ledger::depths::Depth;
pub use ledger::groups::{GroupPolicy, GroupProgress, JobSpec, NewGroup};
pub use ledger::unsealed::Unsealed;
pub use operate::groups::{GroupDetail, GroupFilter, GroupPage, GroupState, GroupView, Groups};
pub use operate::jobs::{
    Acted, Acting, ActionPlace, AttemptView, JobAction, JobCount, JobDetail, JobFilter, JobPage, JobView, Jobs,
    NoActionPlace,
};
pub use operate::queues::{LimitsError, QueueAction, QueueView, Queues, Steered};
pub use operate::redrive::RedriveJobs;
pub use operate::schedules::{NewSchedule, ScheduleError, ScheduleView, Schedules, TickPage, TickView};
pub use payload::PayloadError;
pub use queue::{Completion, Enqueued, Fence, GroupId, Options, Queue, QueueConfig, QueueError, Unique};
pub use redis::{BrokerMemory, Limits, RunningView, WorkerQueueView, WorkerView};
pub use relay::{Sweeper, Swept};
pub use words::UnknownWord;

#[doc(hidden)]
pub use strum;
pub use worker::{Body, Context, Worker, WorkerBuilder, WorkerError, WorkerHealth};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
