#![doc = include_str!("../README.md")]
//!
//! # Where what is
//!
//! - [`App`] is the application: data, jobs, queues, schedules, layers, hooks, routes; [`App::run`] and [`App::start`] run it.
//! - [`Handler`]s are async functions; their arguments are [`FromAttempt`]: [`Data`], [`Context`], [`Claim`], [`Tx`], [`Tick`],
//!   [`Client`], a `PgPool`.
//! - [`Client`] enqueues, in your transaction or in one of its own, and waits for results.
//! - `App::test` and `App::inline` (feature `testing`) are for tests.
//! - [`queue`] is what lies below: groups, limits, lists of jobs, the worker itself.

mod app;
mod arrange;
mod attempt;
mod client;
mod cron;
mod enqueue;
mod error;
mod extract;
mod flow;
mod handler;
mod hook;
#[cfg(feature = "testing")]
mod inline;
mod job;
mod maintenance;
mod queue_options;
mod run;
mod settings;
#[cfg(feature = "testing")]
mod testing;
mod tx;

pub use app::App;
pub use attempt::{Attempt, AttemptService, Payload};
pub use client::Client;
pub use cron::CronOptions;
pub use enqueue::{Enqueue, JobHandle, JobHandles, Jobs, Many, One, Taken};
pub use error::{Error, Result, WaitError};
pub use extract::{Apalis, Data, FromAttempt, Need, OptionalFromAttempt, Tick};
pub use flow::{EnqueueFlow, FlowHandle};
pub use handler::{Handler, Outcome};
#[cfg(feature = "testing")]
pub use inline::{InlineApp, InlineRecord};
pub use job::JobOptions;
pub use queue_options::QueueOptions;
pub use run::Running;
pub use settings::{Role, Settings};
#[cfg(feature = "testing")]
pub use testing::TestApp;
pub use tx::{EnqueueIn, Transaction, Tx};

// What the signatures here speak of.
pub use apalis_core;
#[cfg(feature = "board")]
pub use gristmill_board as board;
#[cfg(feature = "testing")]
pub use gristmill_engines::Clock;
#[cfg(feature = "http")]
pub use gristmill_http as http;
#[cfg(feature = "macros")]
pub use gristmill_macros::Job;
pub use gristmill_queue as queue;
pub use gristmill_queue::{
    AfterFailure, Backoff, CatchUp, Cause, Claim, Context, Flow, FlowError, GroupId, GroupPolicy, Job, JobError,
    JobEvent, JobEventKind, JobFailure, JobId, JobLimits, JobSpec, JobState, Limits, NewJob, Options, Overlap, Queue,
    Stage, Unique, UniqueMode, Worker, WorkerHealth,
};
pub use gristmill_telemetry::{Logs, Telemetry};

/// What most programs use: `use gristmill::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "macros")]
    pub use gristmill_macros::Job;
    pub use gristmill_queue::{Claim, Context, Job, JobError, JobEvent, JobEventKind, JobId, UniqueMode};
    pub use serde::{Deserialize, Serialize};

    pub use crate::{App, Client, Data, FromAttempt, Role, Tick, Transaction, Tx};
}

/// The guides' examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/your-own-jobs.md")]
struct Guide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/limits-and-order.md")]
struct LimitsAndOrder;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/encryption.md")]
struct EncryptedPayloads;
