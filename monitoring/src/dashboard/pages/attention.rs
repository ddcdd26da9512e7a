//! What somebody should look at: engines that do not answer and roles that are missing first, as all else follows from them.

use std::{borrow::Cow, time::Duration};

use gristmill_core::ClientId;
use gristmill_kinds::Owner;
use gristmill_queue::{GroupFilter, GroupState, JobFilter, JobState, QueueView, WorkerView};

use crate::{
    dashboard::{app::App, format, page::DashboardError},
    health::Readiness,
};

/// Something that somebody should look at.
pub(super) struct Attention {
    pub(super) what: String,
    pub(super) to: Cow<'static, str>,
}

/// Everything of it. `workers` is none when Redis does not say who works.
pub(super) async fn find(
    app: &App,
    queues: &[QueueView],
    workers: Option<&[WorkerView]>,
    engines: Option<&Readiness>,
) -> Result<Vec<Attention>, DashboardError> {
    let mut found = engines_in_trouble(engines, workers.is_some());
    if workers.is_some() {
        found.extend(a_full_redis(app).await);
    }
    found.extend(roles_missing(app, queues, workers).await?);
    found.extend(work_in_trouble(app, queues).await?);
    Ok(found)
}

fn engines_in_trouble(engines: Option<&Readiness>, redis_answers: bool) -> Vec<Attention> {
    let wrong = |(name, outcome): (&str, &str)| {
        let (name, effect) = match name {
            "postgres" => ("Postgres", "nothing is taken in or done"),
            "redis" => ("Redis", "no job is handed out"),
            other => (other, "see its log"),
        };
        (outcome != "ok").then(|| format!("{name} is {}: {effect}", format::engine(outcome)))
    };
    let mut found: Vec<String> = engines.iter().flat_map(|engines| engines.checks()).filter_map(wrong).collect();
    if !redis_answers && !found.iter().any(|what| what.starts_with("Redis")) {
        found.push("Redis does not say who works".to_owned());
    }
    found.into_iter().map(|what| Attention { what, to: "/workers".into() }).collect()
}

/// A Redis that is full takes in no job. None: there is room, or it does not say so in time.
async fn a_full_redis(app: &App) -> Option<Attention> {
    let memory = tokio::time::timeout(Duration::from_millis(500), app.queue.broker_memory()).await.ok()?.ok()?;
    let share = memory.share().filter(|_| memory.is_much())?;
    let effect = if share >= 1.0 { "no new job is handed out" } else { "when it is full, no new job is handed out" };
    Some(Attention { what: format!("Redis uses {:.0} % of its memory: {effect}", share * 100.0), to: "/queues".into() })
}

/// A scheduler leaves a sign every five seconds.
const SILENT_SCHEDULER: i32 = 30;

async fn roles_missing(
    app: &App,
    queues: &[QueueView],
    workers: Option<&[WorkerView]>,
) -> Result<Vec<Attention>, DashboardError> {
    let mut found = Vec::new();
    // Without Redis' answer nobody knows who is missing.
    if let Some(workers) = workers {
        if workers.is_empty() {
            found.push(Attention { what: "No worker runs: no job is done".to_owned(), to: "/workers".into() });
        }
        let unserved = queues.iter().filter(|queue| queue.available > 0 && queue.slots == 0 && !workers.is_empty());
        found.extend(unserved.map(|queue| {
            let (many, jobs) = (
                format::jobs(queue.available, &queue.available_exact),
                if queue.available == 1 { "job waits" } else { "jobs wait" },
            );
            Attention {
                what: format!("No worker serves the queue {}: {many} {jobs}", queue.name),
                to: "/workers".into(),
            }
        }));
    }
    let heard: bool = sqlx::query_scalar(
        "select exists (select from role_signs
                        where role = 'scheduler' and seen_at > clock_timestamp() - make_interval(secs => $1))",
    )
    .bind(f64::from(SILENT_SCHEDULER))
    .fetch_one(&app.pool)
    .await?;
    if !heard {
        let what = format!("No scheduler was heard of for {SILENT_SCHEDULER} s: retries, schedules and healing wait");
        found.push(Attention { what, to: "/schedules".into() });
    }
    Ok(found)
}

/// A group in which nothing happens for so long needs somebody, and the alert says so as well, unless the scheduler is
/// told another time.
const UNSEALED: Duration = Duration::from_secs(12 * 3_600);

async fn work_in_trouble(app: &App, queues: &[QueueView]) -> Result<Vec<Attention>, DashboardError> {
    let mut found = Vec::new();
    let mut tell = |n: u64, one: &str, many: &str, to: &'static str| {
        if n > 0 {
            found.push(Attention {
                what: format!("{} {}", format::count(n), if n == 1 { one } else { many }),
                to: to.into(),
            });
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
        unsealed += u64::from(Owner::of_group(&app.pool, group.id).await?.is_none());
    }
    tell(
        unsealed,
        "group takes members and has got none for half a day: who created it may be gone",
        "groups take members and have got none for half a day: who created them may be gone",
        "/groups?state=open",
    );
    let paused = queues.iter().filter(|queue| queue.paused && queue.available > 0).count() as u64;
    tell(paused, "paused queue has jobs waiting", "paused queues have jobs waiting", "/queues");
    let (stuck, hooks, missed): (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from uploads where state = 'processing' and detail is not null),
                (select count(*) from webhook_endpoints where failing_since is not null or disabled_reason in ('gone', 'failing')),
                (select count(*) from schedule_ticks where cause = 'missed' and created_at > now() - interval '1 day')",
    )
    .fetch_one(&app.pool)
    .await?;
    let count = |n: i64| n.unsigned_abs();
    tell(
        count(stuck),
        "upload does not add up and is not closed",
        "uploads do not add up and are not closed",
        "/uploads?state=processing",
    );
    tell(count(hooks), "webhook fails", "webhooks fail", "/webhooks?failing=yes");
    tell(count(missed), "tick was missed today", "ticks were missed today", "/schedules");
    found.extend(held_runs(app).await?);
    Ok(found)
}

/// Billing runs that wait for somebody's word.
async fn held_runs(app: &App) -> Result<Option<Attention>, DashboardError> {
    let (n, client): (i64, Option<ClientId>) =
        sqlx::query_as("select count(*), min(client_id) from billing_runs where state = 'held'")
            .fetch_one(&app.pool)
            .await?;
    Ok(client.map(|client| {
        let runs = if n == 1 { "billing run is held and waits" } else { "billing runs are held and wait" };
        let what = format!("{} {runs} for an approval", format::count(n));
        Attention { what, to: format!("/bills?client={client}").into() }
    }))
}
