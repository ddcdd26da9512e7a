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
mod broker;
mod control;
mod cron;
mod delivery;
mod drain;
mod relay;
mod run;

mod cancellation;
mod codec;
mod connection;
mod envelope;
mod flow;
mod id;
mod ledger;
pub mod logs;
mod members;
mod metrics;
mod migrations;
mod observer;
mod outage;
mod payload;
mod postgres;
pub mod redis;
pub mod remote;
mod schema;
mod steps;
pub mod testing;
pub mod trace;
mod watchdog;

pub use admin::groups::{GroupDetail, GroupFilter, GroupPage, GroupState, GroupView, Groups, StageView};
pub use admin::jobs::{
    ActionPlace, ActionProgress, AttemptView, BulkAction, ChangeError, JobAction, JobChange, JobCount, JobDetail,
    JobFilter, JobOutcome, JobPage, JobTick, JobView, Jobs, NoActionPlace, StepView,
};
pub use admin::limits::{JobLimits, JobLimitsView, NamedLimits, NamedLimitsView, SlotPoolView};
pub use admin::queues::{LimitsError, QueueAction, QueueChange, QueueView, Queues};
pub use admin::redrive::RedriveJobs;
pub use admin::schedules::{NewSchedule, ScheduleError, ScheduleView, Schedules, TickPage, TickView};
pub use broker::{BrokerConfig, BrokerConfigError, BrokerError, Limits, RunningView, WorkerQueueView, WorkerView};
pub use claim::{Claim, Progress, ResultError};
pub use codec::{Codec, CodecError, Content, ContentKind, Encoded, encryption_key};
#[cfg(feature = "encryption")]
pub use codec::{Encryption, KeyError};
pub use connection::{test_idle_connection, tune_connection};
pub use control::CancelledJobs;
pub use cron::{CatchUp, Cause, Cron, CronError, Overlap, TickCounts};
pub use drain::{DrainError, DrainReport};
pub use flow::{AfterFailure, EnqueuedFlow, Flow, FlowError, MAX_STAGES, Stage};
pub use id::{GroupId, JobId};
pub use job::{Job, JobError, JobFailure, JobState};
pub use ledger::audit::GroupMismatch;
pub use ledger::groups::{GroupPolicy, GroupProgress, JobSpec, NewGroup};
pub use ledger::prune::PruneReport;
pub use ledger::stats::Depth;
pub use ledger::unsealed::UnsealedGroup;
pub use logs::{AttemptLogs, LogLevel, LogLine};
pub use members::Member;
pub use migrations::{
    MigrateError, PendingMigrations, migrate, pending_migrations, statements as migration_statements,
};
pub use observer::{JobEvent, JobEventKind};
pub use outage::{is_outage, through_outage};
pub use payload::PayloadError;
pub use queue::{
    Backoff, Completion, EnqueueManyError, Enqueued, Fence, ManyJobs, NewJob, Options, Queue, QueueConfig, QueueError,
    Unique, UniqueMode, is_not_up,
};
pub use redis::BrokerMemory;
pub use relay::{SweepReport, Sweeper};
pub use schema::{Schema, SchemaError};
pub use worker::{Body, Context, Worker, WorkerBuilder, WorkerError, WorkerHealth};

// What the signatures here speak of.
pub use gristmill_core::{ClientId, Source, UnknownVariant};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
