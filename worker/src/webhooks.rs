//! Webhooks: what a billing run has to tell, slice by slice, and each delivery.

mod bills;
mod deliver;
mod replay;

use gristmill::App;

pub(crate) use bills::of_run;

pub(crate) fn register(app: App) -> App {
    app.job(bills::announce).job(deliver::deliver).job(replay::replay)
}
