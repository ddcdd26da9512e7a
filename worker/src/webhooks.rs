//! Webhooks: what a billing run has to tell, slice by slice, and each delivery.

mod bills;
mod deliver;
mod replay;

use gristmill_queue::WorkerBuilder;
use gristmill_webhooks::jobs::{AnnounceBills, Deliver, ReplayDeliveries};

use crate::Env;

pub(crate) use bills::of_run;

pub(crate) fn register(builder: WorkerBuilder, env: &Env) -> WorkerBuilder {
    let (announce, one, again) = (env.clone(), env.clone(), env.clone());
    builder
        .register::<AnnounceBills>(move |context, job| bills::announce(announce.clone(), context, job))
        .register::<Deliver>(move |context, job| deliver::deliver(one.clone(), context, job))
        .register::<ReplayDeliveries>(move |context, job| replay::replay(again.clone(), context, job))
}
