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

mod admin;
mod control;
mod cron;
mod drain;
mod relay;
mod run;

mod cancellation;
mod envelope;
mod id;
mod ledger;
mod metrics;
mod payload;
pub mod redis;
pub mod testing;
pub mod trace;
mod watchdog;

pub use admin::groups::{GroupDetail, GroupFilter, GroupPage, GroupState, GroupView, Groups};
pub use admin::jobs::{
    ActionPlace, ActionProgress, AttemptView, BulkAction, JobAction, JobCount, JobDetail, JobFilter, JobPage, JobView,
    Jobs, NoActionPlace,
};
pub use admin::queues::{LimitsError, QueueAction, QueueChange, QueueView, Queues};
pub use admin::redrive::RedriveJobs;
pub use admin::schedules::{NewSchedule, ScheduleError, ScheduleView, Schedules, TickPage, TickView};
pub use claim::{Claim, Progress, ResultError};
pub use control::CancelledJobs;
pub use cron::{CatchUp, Cause, Cron, CronError, TickCounts};
pub use drain::{DrainError, DrainReport};
pub use id::{GroupId, JobId};
pub use job::{Job, JobError, JobState};
pub use ledger::audit::GroupMismatch;
pub use ledger::groups::{GroupPolicy, GroupProgress, JobSpec, NewGroup};
pub use ledger::prune::PruneReport;
pub use ledger::stats::Depth;
pub use ledger::unsealed::UnsealedGroup;
pub use payload::PayloadError;
pub use queue::{Completion, Enqueued, Fence, Options, Queue, QueueConfig, QueueError, Unique};
pub use redis::{BrokerMemory, Limits, RunningView, WorkerQueueView, WorkerView};
pub use relay::{SweepReport, Sweeper};
pub use worker::{Body, Context, Worker, WorkerBuilder, WorkerError, WorkerHealth};

// What the signatures here speak of.
pub use gristmill_core::{ClientId, Source, UnknownVariant};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
