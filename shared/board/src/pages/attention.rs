//! What somebody should look at: engines that do not answer and roles that are missing first, as all else follows from them.

use std::time::Duration;

use gristmill_queue::{GroupFilter, GroupState, JobFilter, JobState, QueueView, WorkerView};

use crate::{
    Attention, Error,
    board::App,
    engines::{self, Engine},
    format,
};

/// Everything of it. `workers` is none when the broker does not say who works.
pub(super) async fn find(
    app: &App,
    queues: &[QueueView],
    workers: Option<&[WorkerView]>,
    engines: Option<&[Engine]>,
) -> Result<Vec<Attention>, Error> {
    let broker = engines::broker(&app.queue);
    let mut found = engines_in_trouble(engines, broker, workers.is_some());
    if workers.is_some() {
        found.extend(a_full_broker(app).await);
    }
    found.extend(workers_missing(queues, workers));
    found.extend(work_in_trouble(app, queues).await?);
    for page in &app.pages {
        found.extend(page.attention().await?);
    }
    found.sort_by_key(|one| !one.is_cause);
    Ok(found)
}

fn engines_in_trouble(engines: Option<&[Engine]>, broker: &str, broker_answers: bool) -> Vec<Attention> {
    let wrong = |engine: &Engine| {
        let (name, effect) = match engine.name {
            "postgres" => ("Postgres", "nothing is taken in or done"),
            "redis" => ("Redis", "no job is handed out"),
            other => (other, "see its log"),
        };
        (!engine.is_ok()).then(|| format!("{name} is {}: {effect}", engine.word()))
    };
    let mut found: Vec<String> = engines.unwrap_or_default().iter().filter_map(wrong).collect();
    if !broker_answers && !found.iter().any(|what| what.starts_with(broker)) {
        found.push(format!("{broker} does not say who works"));
    }
    found.into_iter().map(|what| Attention::cause(what, "/workers")).collect()
}

/// A broker that is full takes in no job. None: there is room, or it does not say so in time.
async fn a_full_broker(app: &App) -> Option<Attention> {
    let memory = tokio::time::timeout(Duration::from_millis(500), app.queue.broker_memory()).await.ok()?.ok()?;
    let share = memory.share().filter(|_| memory.is_much())?;
    let effect = if share >= 1.0 { "no new job is handed out" } else { "when it is full, no new job is handed out" };
    Some(Attention::cause(
        format!("{} uses {:.0} % of its memory: {effect}", engines::broker(&app.queue), share * 100.0),
        "/queues",
    ))
}

fn workers_missing(queues: &[QueueView], workers: Option<&[WorkerView]>) -> Vec<Attention> {
    // Without the broker's answer nobody knows who is missing.
    let Some(workers) = workers else { return Vec::new() };
    if workers.is_empty() {
        return vec![Attention::cause("No worker runs: no job is done", "/workers")];
    }
    let unserved = queues.iter().filter(|queue| queue.available > 0 && queue.slots == 0);
    let told = unserved.map(|queue| {
        let many = format::jobs(queue.available, &queue.available_exact);
        let jobs = if queue.available == 1 { "job waits" } else { "jobs wait" };
        Attention::cause(format!("No worker serves the queue {}: {many} {jobs}", queue.name), "/workers")
    });
    told.collect()
}

/// A group in which nothing happens for so long needs somebody, and the alert says so as well, unless the scheduler is
/// told another time.
const UNSEALED: Duration = Duration::from_secs(12 * 3_600);

async fn work_in_trouble(app: &App, queues: &[QueueView]) -> Result<Vec<Attention>, Error> {
    let mut found = Vec::new();
    let mut tell = |n: u64, one: &str, many: &str, to: &'static str| {
        if n > 0 {
            found.push(Attention::new(format!("{} {}", format::count(n), if n == 1 { one } else { many }), to));
        }
    };
    let counted = async |states: Vec<JobState>| {
        let filter = JobFilter { states, ..JobFilter::default() };
        app.queue.jobs().count_within(&filter, Duration::from_millis(20)).await.map(|count| count.jobs)
    };
    tell(counted(vec![JobState::Dead]).await?, "job is dead", "jobs are dead", "/dead");
    tell(
        counted(vec![JobState::Parked]).await?,
        "job is parked: no live worker can read it",
        "jobs are parked: no live worker can read them",
        "/jobs?state=parked",
    );
    let failing = GroupFilter { states: vec![GroupState::Failing], ..GroupFilter::default() };
    let failing = app.queue.groups().list(&failing, None, 100).await?.groups.len() as u64;
    tell(
        failing,
        "group has a failed member and is stopping",
        "groups have failed members and are stopping",
        "/groups?state=failing",
    );
    let mut unsealed = 0;
    for group in app.queue.unsealed_groups(UNSEALED).await? {
        unsealed += u64::from(app.owners.needs_group(group.id).await?.is_none());
    }
    tell(
        unsealed,
        "group takes members and has got none for half a day: who created it may be gone",
        "groups take members and have got none for half a day: who created them may be gone",
        "/groups?state=open",
    );
    let paused = queues.iter().filter(|queue| queue.paused && queue.available > 0).count() as u64;
    tell(paused, "paused queue has jobs waiting", "paused queues have jobs waiting", "/queues");
    let missed: i64 = sqlx::query_scalar(app.queue.schema().sql(
        "select count(*) from gristmill.schedule_ticks
         where cause = 'missed' and created_at > now() - interval '1 day'",
    ))
    .fetch_one(app.queue.pool())
    .await?;
    tell(missed.unsigned_abs(), "tick was missed today", "ticks were missed today", "/schedules");
    Ok(found)
}
