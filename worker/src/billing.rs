//! Billing: tick → plan → shards → close. A run of one client makes a bill of each debt that is due within its days and
//! has none; any number of workers share the shards; the join adds up.

mod close;
mod debts;
mod plan;
mod preview;
mod shard;
mod tick;
mod ways;

use gristmill_billing::jobs;
use gristmill_queue::WorkerBuilder;

use crate::Env;

/// The bodies of billing.
pub(crate) fn register(builder: WorkerBuilder, env: &Env) -> WorkerBuilder {
    let (tick, plan, shard, close, fail) = (env.clone(), env.clone(), env.clone(), env.clone(), env.clone());
    builder
        .register::<jobs::BillingTick>(move |context, job| tick::tick(tick.clone(), context, job))
        .register::<jobs::PlanRun>(move |context, job| plan::plan(plan.clone(), context, job))
        .register::<jobs::BillShard>(move |context, job| shard::bill(shard.clone(), context, job))
        .register::<jobs::CloseRun>(move |context, job| close::close(close.clone(), context, job))
        .register::<jobs::FailRun>(move |context, job| close::fail(fail.clone(), context, job))
}
