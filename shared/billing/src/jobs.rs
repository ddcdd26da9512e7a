//! The jobs of a billing run's life: payloads of ids and numbers. Their bodies are in the worker.

use std::time::Duration;

use gristmill_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The jobs whose payloads name the billing run that needs them.
pub const OF_A_RUN: [&str; 4] = [PlanRun::NAME, BillShard::NAME, CloseRun::NAME, FailRun::NAME];

/// The schedule's tick: a run for each client whose cycle is due and that may have something to bill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BillingTick {
    /// Uploads that closed less than so many seconds ago are left to a later tick: until then they can be undone.
    pub settle_seconds: u32,
}

impl Job for BillingTick {
    const NAME: &'static str = "billing.tick";
    const QUEUE: &'static str = "billing";
    const PRIORITY: u8 = 3;
}

/// The schedule's other tick: has the payers reminded whose bills are due soon, or were.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DunningTick {}

impl Job for DunningTick {
    const NAME: &'static str = "billing.dunning";
    const QUEUE: &'static str = "billing";
    const PRIORITY: u8 = 3;
    const TIMEOUT: Duration = Duration::from_secs(600);
}

/// Decides what a run bills, and cuts it into shards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRun {
    /// The run.
    pub run_id: Uuid,
    /// As the tick's.
    pub settle_seconds: u32,
}

impl Job for PlanRun {
    const NAME: &'static str = "billing.plan";
    const QUEUE: &'static str = "billing";
    const PRIORITY: u8 = 3;
    const MAX_ATTEMPTS: u16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(600);
}

/// Makes the bills of some debts of a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BillShard {
    /// The run.
    pub run_id: Uuid,
    /// Which of the run's shards it is, from 0.
    pub no: i64,
    /// Where the debts are.
    pub segment: i32,
    /// Which of those there.
    pub debts: ShardDebts,
}

/// Which debts of a segment are a shard's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardDebts {
    /// Those of these lines of the upload whose own segment it is: from the first one to before the second.
    Lines(i64, i64),
    /// Those of these uploads.
    Uploads(Vec<Uuid>),
}

impl Job for BillShard {
    const NAME: &'static str = "billing.shard";
    const QUEUE: &'static str = "billing";
    const MAX_ATTEMPTS: u16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(300);
}

/// The join: every shard is done, so add up, and have the mails sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloseRun {
    /// The run.
    pub run_id: Uuid,
}

impl Job for CloseRun {
    const NAME: &'static str = "billing.close";
    const QUEUE: &'static str = "billing";
    const PRIORITY: u8 = 3;
    const MAX_ATTEMPTS: u16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(600);
}

/// The end of a run that did not complete: the join of a group with a dead shard, a cancel, or a job of it that is no more.
/// What it billed stays billed, so it has the mails sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FailRun {
    /// The run.
    pub run_id: Uuid,
    /// Why it fails, where it is not for a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Job for FailRun {
    const NAME: &'static str = "billing.fail";
    const QUEUE: &'static str = "billing";
    const PRIORITY: u8 = 3;
    const MAX_ATTEMPTS: u16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(600);
}
