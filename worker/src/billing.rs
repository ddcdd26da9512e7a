//! Billing: tick → plan → shards → close. A run of one client makes a bill of each debt that is due within its days and
//! has none; any number of workers share the shards; the join adds up.

mod close;
mod debts;
mod plan;
mod preview;
mod shard;
mod shards;
mod tick;
mod ways;

use gristmill::App;

/// The bodies of billing.
pub(crate) fn register(app: App) -> App {
    app.job(tick::tick).job(plan::plan).job(shard::bill).job(close::close).job(close::fail)
}
