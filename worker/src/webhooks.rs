//! Webhooks: what a billing run has to tell, slice by slice, and each delivery.

mod bills;
mod deliver;
mod replay;

use gristmill_queue::WorkerBuilder;

use crate::Env;

pub(crate) use bills::of_run;

pub(crate) fn register(builder: WorkerBuilder, env: &Env) -> WorkerBuilder {
    builder.register_with(env, bills::announce).register_with(env, deliver::deliver).register_with(env, replay::replay)
}
