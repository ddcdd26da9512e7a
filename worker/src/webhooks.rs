//! Webhooks: what a billing run has to tell, slice by slice, and each delivery.

mod bills;

use gristmill_queue::WorkerBuilder;
use gristmill_webhooks::jobs::AnnounceBills;

use crate::Env;

pub(crate) use bills::of_run;

pub(crate) fn register(builder: WorkerBuilder, env: &Env) -> WorkerBuilder {
    let announce = env.clone();
    builder.register::<AnnounceBills>(move |context, job| bills::announce(announce.clone(), context, job))
}
