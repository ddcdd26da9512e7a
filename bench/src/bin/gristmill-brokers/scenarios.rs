//! The scenarios. Each has engines of its own, begins with an empty queue, and says what it saw.

use std::{
    fmt,
    pin::Pin,
    time::{Duration, Instant},
};

use crate::subject::{Act, Event, How, LEASE, MAX_DELIVERIES, Subject, Work, now};

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The promise is kept; how.
    Kept(String),
    /// It is not; how.
    Broken(String),
    /// There is nothing that could be asked for it.
    NoApi,
    /// By a debug build, whose figures say nothing.
    NotMeasured,
    /// A figure, which no promise is about.
    Figure(String, f64),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(how) => write!(f, "yes: {how}"),
            Self::Broken(how) => write!(f, "**no**: {how}"),
            Self::NoApi => f.write_str("**no**: there is no setting for it"),
            Self::NotMeasured => f.write_str("not measured by a debug build"),
            Self::Figure(text, _) => f.write_str(text),
        }
    }
}

type Run = for<'a> fn(&'a mut Subject) -> Pin<Box<dyn Future<Output = anyhow::Result<Outcome>> + 'a>>;

macro_rules! scenarios {
    ($($name:literal => $run:ident,)*) => {
        /// All of them, by the promise that each is about.
        pub(crate) fn all() -> Vec<(&'static str, Run)> {
            vec![$(($name, |subject| Box::pin($run(subject)))),*]
        }
    };
}

scenarios! {
    "a job runs again within 10 s of the `kill -9` of its worker" => killed,
    "a living worker keeps a job of five leases" => long,
    "a job that hogs every thread of its worker keeps its lease" => hog,
    "a delayed job runs when it is due" => delay,
    "an urgent job goes before those that waited longer" => priority,
    "a queue keeps its order" => order,
    "no more run at a time than a limit over all workers says" => limit,
    "a job waits for one turn of another client, not for its backlog" => turns,
    "a failed job runs again" => failure,
    "a job that takes its workers down ends as a dead letter" => poison,
    "what waits runs although the broker lost its data" => loss,
    "a worker works on after the broker lost its data" => loss_at_work,
    "a worker works on after its engine was started again" => restart,
    "a backlog of 20,000 jobs is worked off" => backlog,
    "no-op jobs a second, two workers of 256" => throughput,
    "from a push to the start, in an idle queue" => latency,
}

fn sleeping(jobs: u32, millis: u64) -> Vec<Work> {
    (0..jobs).map(|n| Work { n, act: Act::Sleep(millis) }).collect()
}

fn one(act: Act) -> Vec<Work> {
    vec![Work { n: 0, act }]
}

/// The starts of jobs, in their order.
fn starts(events: &[Event]) -> Vec<u32> {
    events.iter().filter(|event| event.begins).map(|event| event.n).collect()
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn judged(kept: bool, how: String) -> Outcome {
    if kept { Outcome::Kept(how) } else { Outcome::Broken(how) }
}

async fn killed(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(one(Act::SleepOnce(600_000)), How::default()).await?;
    let first = subject.work(8)?;
    if !subject.begun(1, Duration::from_secs(60)).await? {
        return Ok(Outcome::Broken("it did not run at all within 60 s".into()));
    }
    subject.work(8)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    subject.kill(first)?;
    let killed = now();
    if !subject.begun(2, Duration::from_secs(60)).await? {
        return Ok(Outcome::Broken("not within 60 s".into()));
    }
    let after =
        seconds(subject.events()?.iter().filter(|event| event.begins).nth(1).map_or(0, |event| event.at) - killed);
    Ok(judged(after < 10.0, format!("after {after:.1} s")))
}

async fn long(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(one(Act::Sleep(LEASE.as_millis() as u64 * 5)), How::default()).await?;
    subject.work(8)?;
    subject.work(8)?;
    let ended = |subject: &Subject| Ok(subject.events()?.iter().any(|event| !event.begins));
    let ended = subject.until(LEASE * 25, ended).await?;
    let runs = subject.runs()?.values().sum::<usize>();
    Ok(judged(ended && runs == 1, format!("{runs} run{}", if runs == 1 { "" } else { "s" })))
}

async fn hog(subject: &mut Subject) -> anyhow::Result<Outcome> {
    let jobs: Vec<Work> = (0..4).map(|n| Work { n, act: Act::Hog(LEASE.as_millis() as u64 * 4) }).collect();
    subject.push(jobs, How::default()).await?;
    subject.work(8)?;
    subject.begun(2, Duration::from_secs(60)).await?;
    subject.work(8)?;
    let all = |subject: &Subject| {
        let events = subject.events()?;
        Ok((0..4).all(|n| events.iter().any(|event| !event.begins && event.n == n)))
    };
    let ended = subject.until(LEASE * 25, all).await?;
    let most = subject.runs()?.into_values().max().unwrap_or(0);
    Ok(judged(ended && most == 1, format!("each ran {most}× at most")))
}

async fn delay(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.work(8)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let due = now() + 5_000_000;
    subject.push(one(Act::Sleep(0)), How { delay: Some(Duration::from_secs(5)), ..How::default() }).await?;
    if !subject.begun(1, Duration::from_secs(60)).await? {
        return Ok(Outcome::Broken("not within 60 s".into()));
    }
    let at = subject.events()?[0].at;
    let late = at as f64 / 1e6 - due as f64 / 1e6;
    Ok(judged((-0.1..1.0).contains(&late), format!("{late:+.2} s")))
}

async fn priority(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(sleeping(100, 0), How { priority: Some(9), ..How::default() }).await?;
    let urgent = vec![Work { n: 1_000, act: Act::Sleep(0) }];
    subject.push(urgent, How { priority: Some(0), ..How::default() }).await?;
    subject.work(1)?;
    if !subject.begun(101, Duration::from_secs(120)).await? {
        return Ok(Outcome::Broken("not all ran within two minutes".into()));
    }
    let place = starts(&subject.events()?).iter().position(|n| *n == 1_000).unwrap_or(usize::MAX) + 1;
    Ok(judged(place <= 3, format!("it was number {place} of 101")))
}

async fn order(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(sleeping(200, 0), How::default()).await?;
    subject.work(1)?;
    if !subject.begun(200, Duration::from_secs(120)).await? {
        return Ok(Outcome::Broken("not all ran within two minutes".into()));
    }
    let starts = starts(&subject.events()?);
    let early = starts.windows(2).filter(|pair| pair[1] < pair[0]).count();
    Ok(judged(early == 0, format!("{early} of 200 began before one that was pushed earlier")))
}

async fn limit(subject: &mut Subject) -> anyhow::Result<Outcome> {
    if !subject.limit(3).await? {
        return Ok(Outcome::NoApi);
    }
    subject.push(sleeping(90, 50), How::default()).await?;
    subject.work(8)?;
    subject.work(8)?;
    subject.until(Duration::from_secs(60), |subject| Ok(subject.events()?.len() == 180)).await?;
    let (mut running, mut most) = (0_i32, 0);
    for event in subject.events()? {
        running += if event.begins { 1 } else { -1 };
        most = most.max(running);
    }
    Ok(judged(most == 3, format!("{most} of at most 3")))
}

async fn turns(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(sleeping(500, 0), How { key: Some("large"), ..How::default() }).await?;
    let small = vec![Work { n: 1_000, act: Act::Sleep(0) }];
    subject.push(small, How { key: Some("small"), ..How::default() }).await?;
    subject.work(1)?;
    if !subject.begun(501, Duration::from_secs(180)).await? {
        return Ok(Outcome::Broken("not all ran within three minutes".into()));
    }
    let place = starts(&subject.events()?).iter().position(|n| *n == 1_000).unwrap_or(usize::MAX) + 1;
    Ok(judged(place <= 3, format!("it was number {place} of 501")))
}

async fn failure(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.work(8)?;
    subject.push(one(Act::FailOnce), How::default()).await?;
    if !subject.begun(2, Duration::from_secs(60)).await? {
        return Ok(Outcome::Broken("not within 60 s".into()));
    }
    let events = subject.events()?;
    Ok(Outcome::Kept(format!("{:.1} s after it began", seconds(events[1].at - events[0].at))))
}

async fn poison(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(one(Act::Abort), How::default()).await?;
    let mut worker = subject.work(8)?;
    // Many more than are allowed.
    for deaths in 0..u64::from(MAX_DELIVERIES) * 3 {
        let started = Instant::now();
        while !subject.has_ended(worker)? {
            if started.elapsed() > LEASE * 8 {
                return Ok(judged(
                    deaths == u64::from(MAX_DELIVERIES),
                    format!("{deaths} workers were lost, as many as its setting allows: {MAX_DELIVERIES}"),
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        worker = subject.work(8)?;
    }
    Ok(Outcome::Broken(format!("it took down {} workers and went on", MAX_DELIVERIES * 3)))
}

async fn loss(subject: &mut Subject) -> anyhow::Result<Outcome> {
    subject.push(sleeping(100, 0), How::default()).await?;
    subject.lose_data().await?;
    subject.work(8)?;
    subject.begun(100, Duration::from_secs(20)).await?;
    let ran = subject.runs()?.len();
    Ok(judged(ran == 100, format!("{ran} of 100")))
}

async fn loss_at_work(subject: &mut Subject) -> anyhow::Result<Outcome> {
    let worker = busy(subject).await?;
    subject.lose_data().await?;
    goes_on(subject, worker).await
}

async fn restart(subject: &mut Subject) -> anyhow::Result<Outcome> {
    let worker = busy(subject).await?;
    subject.restart_engine().await?;
    goes_on(subject, worker).await
}

/// A worker that has done something.
async fn busy(subject: &mut Subject) -> anyhow::Result<usize> {
    let worker = subject.work(8)?;
    subject.push(sleeping(1, 0), How::default()).await?;
    subject.begun(1, Duration::from_secs(60)).await?;
    Ok(worker)
}

async fn goes_on(subject: &mut Subject, worker: usize) -> anyhow::Result<Outcome> {
    tokio::time::sleep(LEASE).await;
    let pushed = now();
    let jobs = (1..=20).map(|n| Work { n, act: Act::Sleep(0) }).collect();
    subject.push(jobs, How::default()).await?;
    let done = subject.begun(21, Duration::from_secs(30)).await?;
    let last = subject.events()?.iter().map(|event| event.at).max().unwrap_or(0);
    let ended = if subject.has_ended(worker)? { "its process had ended" } else { "its process lived, and took none" };
    Ok(match done {
        true => {
            Outcome::Kept(format!("20 jobs were done {:.1} s after their push", seconds(last.saturating_sub(pushed))))
        }
        false => Outcome::Broken(format!("{} of 20 jobs ran: {ended}", subject.runs()?.len().saturating_sub(1))),
    })
}

async fn backlog(subject: &mut Subject) -> anyhow::Result<Outcome> {
    const JOBS: u32 = 20_000;
    let done = no_op_jobs(subject, JOBS).await?.len();
    Ok(judged(done == JOBS as usize, format!("{done} of {JOBS}")))
}

async fn throughput(subject: &mut Subject) -> anyhow::Result<Outcome> {
    if cfg!(debug_assertions) {
        return Ok(Outcome::NotMeasured);
    }
    // Fewer than the backlog that ends a worker of apalis-redis.
    let events = no_op_jobs(subject, 5_000).await?;
    let (first, last) = (events.iter().map(|event| event.at).min(), events.iter().map(|event| event.at).max());
    let took = seconds(last.unwrap_or(0) - first.unwrap_or(0)).max(0.001);
    let rate = events.len() as f64 / took;
    Ok(Outcome::Figure(format!("{rate:.0}/s"), rate))
}

/// The ends of so many jobs, all of which wait when two workers start. Some may be missing after two minutes.
async fn no_op_jobs(subject: &mut Subject, jobs: u32) -> anyhow::Result<Vec<Event>> {
    for first in (0..jobs).step_by(1_000) {
        let some = (first..first + 1_000).map(|n| Work { n, act: Act::Sleep(0) }).collect();
        subject.push(some, How::default()).await?;
    }
    subject.work(256)?;
    subject.work(256)?;
    // Two lines of each, of which to read them all would take the time that is measured.
    let bytes: usize =
        (0..jobs).map(|n| "begins  ends  ".len() + 2 * (n.to_string().len() + " 1700000000000000\n".len()) - 2).sum();
    let done = |subject: &Subject| Ok(std::fs::metadata(&subject.place.log)?.len() >= bytes as u64);
    subject.until(Duration::from_secs(120), done).await?;
    let ends = subject.events()?.into_iter().filter(|event| !event.begins);
    Ok(ends.collect())
}

async fn latency(subject: &mut Subject) -> anyhow::Result<Outcome> {
    if cfg!(debug_assertions) {
        return Ok(Outcome::NotMeasured);
    }
    subject.work(8)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut pushed = Vec::new();
    for n in 0..60_u32 {
        pushed.push(now());
        subject.push(vec![Work { n, act: Act::Sleep(0) }], How::default()).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if !subject.begun(60, Duration::from_secs(120)).await? {
        return Ok(Outcome::Broken("not all ran within two minutes".into()));
    }
    let events = subject.events()?;
    let mut waits: Vec<f64> = events
        .iter()
        .filter(|event| event.begins)
        .map(|event| seconds(event.at.saturating_sub(pushed[event.n as usize])) * 1_000.0)
        .collect();
    waits.sort_by(f64::total_cmp);
    let (half, most) = (waits[waits.len() / 2], waits[waits.len() * 95 / 100]);
    Ok(Outcome::Figure(format!("p50 {half:.1} ms, p95 {most:.1} ms"), half))
}
