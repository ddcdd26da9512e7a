//! Billing: tick → plan → shards → close. A run of one client makes a bill of each debt that is due within its days and
//! has none; any number of workers share the shards; the join adds up.

mod close;
mod debts;
mod plan;
mod preview;
mod shard;
mod tick;
mod ways;

use gristmill_queue::WorkerBuilder;

use crate::Env;

/// The bodies of billing.
pub(crate) fn register(builder: WorkerBuilder, env: &Env) -> WorkerBuilder {
    builder
        .register_with(env, tick::tick)
        .register_with(env, plan::plan)
        .register_with(env, shard::bill)
        .register_with(env, close::close)
        .register_with(env, close::fail)
}
