//! A worker process: it writes down each job that it begins and ends, a line by one write.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use apalis::layers::WorkerBuilderExt as _;
use apalis_core::{
    error::BoxDynError,
    task::data::Data,
    worker::{builder::WorkerBuilder, ext::parallelize::ParallelizeExt as _},
};
use gristmill_queue::{Context, JobError, Sweeper, Worker};

use crate::subject::{Act, Kind, Place, QUEUE, Work, now, queue, storage};

/// Until it is killed, or its library gives up.
pub(crate) async fn run(place: &Place) -> anyhow::Result<()> {
    if place.kind == Kind::ApalisRedis {
        let name = format!("worker-{}", std::process::id());
        let worker = WorkerBuilder::new(name.as_str())
            .backend(storage(place).await?)
            .data(place.log.clone())
            .concurrency(place.concurrency)
            .parallelize(tokio::spawn)
            .build(apalis_body);
        return worker.run().await.map_err(|error| anyhow::anyhow!("{error}"));
    }
    let queue = queue(place).await?;
    let worker = Worker::builder(&queue).queue(QUEUE, place.concurrency).register_with(&place.log, body).build();
    tokio::spawn(Sweeper::new(&queue).run(Default::default()));
    Ok(worker.run(Default::default()).await?)
}

async fn apalis_body(work: Work, log: Data<PathBuf>) -> Result<(), BoxDynError> {
    Ok(act(&log, work).await?)
}

async fn body(log: PathBuf, _: Context, work: Work) -> Result<(), JobError> {
    act(&log, work).await.map_err(|error| JobError::retry(error.to_string()))
}

async fn act(log: &Path, work: Work) -> anyhow::Result<()> {
    let first = match work.act {
        Act::SleepOnce(_) | Act::FailOnce => {
            let begun = std::fs::read_to_string(log)?;
            !begun.lines().any(|line| line.starts_with(&format!("begins {} ", work.n)))
        }
        Act::Sleep(_) | Act::Hog(_) | Act::Abort => true,
    };
    let note = |what: &str| -> anyhow::Result<()> {
        let line = format!("{what} {} {}\n", work.n, now());
        Ok(OpenOptions::new().append(true).open(log)?.write_all(line.as_bytes())?)
    };
    note("begins")?;
    match work.act {
        Act::Sleep(0) => {}
        Act::Sleep(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        Act::SleepOnce(millis) if first => tokio::time::sleep(Duration::from_millis(millis)).await,
        Act::Hog(millis) => std::thread::sleep(Duration::from_millis(millis)),
        Act::Abort => std::process::abort(),
        Act::FailOnce if first => anyhow::bail!("it fails once"),
        Act::SleepOnce(_) | Act::FailOnce => {}
    }
    note("ends")
}
