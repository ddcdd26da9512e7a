//! A schedule in Postgres, fired by two schedulers at once: each tick once.
//! `cargo run -p gristmill-queue --example cron`

#[path = "support/engines.rs"]
mod engines;

use std::time::Duration;

use engines::Error;
use gristmill_queue::{Context, Cron, Job, JobError, JobSpec, NewSchedule, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Chime {
    bell: String,
}

impl Job for Chime {
    const NAME: &'static str = "chime";
}

async fn chime(_: Context, job: Chime) -> Result<(), JobError> {
    println!("the {} chimes", job.bell);
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let worker = Worker::builder(&queue).queue("default", 4).register(chime).build();
    let (schedules, stop) = (queue.schedules(), CancellationToken::new());
    let second = JobSpec::of(&Chime { bell: "small bell".into() })?;
    schedules.put(&NewSchedule::new("every-second", "* * * * * *", second)).await?;
    let night = JobSpec::of(&Chime { bell: "great bell".into() })?;
    let night =
        NewSchedule { time_zone: "Europe/Lisbon".into(), ..NewSchedule::new("weeknights", "0 22 * * MON-FRI", night) };
    println!("the great bell next chimes at {:?}", schedules.put(&night).await?.next.first());
    schedules.run_now("weeknights").await?;

    let three_seconds = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.cancel();
    };
    let schedulers = (Cron::new(&queue).run(stop.clone()), Cron::new(&queue).run(stop.clone()));
    let ((), (), worked, ()) = tokio::join!(schedulers.0, schedulers.1, worker.run(stop.clone()), three_seconds);
    worked?;
    for tick in schedules.ticks("every-second", None, 10).await?.ticks {
        println!("{} {:?} {:?}", tick.fire_at, tick.cause, tick.job_state);
    }
    Ok(())
}
