//! Jobs by the clock: listed, made, paused, run by hand.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_platform::config::parse_duration;
use gristmill_queue::{CatchUp, Overlap, ScheduleView, TickView};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    all::All,
    api::{Api, segment},
    confirm::confirm,
    human::{count, short, table},
    newest::Newest,
    server::Server,
};
use crate::report::Advice;

/// Run jobs by the clock: list, create, pause and run schedules (with an operator's key)
#[derive(Args, Debug)]
#[command(after_help = r#"Examples:
  gristmill schedules list
  gristmill schedules put again --cron '*/10 * * * *' --job gristmill.redrive --queue gristmill \
      --payload '{"filter": {"name": "uploads.close"}, "per_second": 5}'
  gristmill schedules put report --cron '0 7 * * MON-FRI' --time-zone America/Sao_Paulo --overlap skip --job reports.daily
  gristmill schedules put launch --at 2026-01-31T07:00:00Z --job site.launch
  gristmill schedules run again"#)]
pub(crate) struct Schedules {
    #[command(subcommand)]
    what: SchedulesCommand,
}

#[derive(Subcommand, Debug)]
enum SchedulesCommand {
    /// List schedules by name
    List(All),
    /// Show one, with its next ticks
    Show(One),
    /// List its ticks that fired or were missed, newest first
    Ticks {
        /// The schedule
        name: String,
        #[command(flatten)]
        newest: Newest,
    },
    /// Create a schedule, or replace the one of this name
    Put(Box<Put>),
    /// Stop it from firing
    Pause(One),
    /// Let it fire again; ticks missed meanwhile do not fire
    Resume(One),
    /// Run its job now
    Run(One),
    /// Remove it; jobs that it has enqueued stay
    Delete {
        #[command(flatten)]
        one: One,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
struct One {
    /// The schedule
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
struct Put {
    #[command(flatten)]
    one: One,
    /// `minute hour day month weekday`, with seconds before them if wanted, or @daily and the like
    #[arg(long, required_unless_present = "at", conflicts_with = "at")]
    cron: Option<String>,
    /// Fire once, at this time, as in 2026-01-31T07:00:00Z, or 2026-01-31T07:00 by the clocks of the zone
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Whose clocks count, such as America/Sao_Paulo
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    time_zone: String,
    /// Which ticks that no scheduler was there for run late: all, the latest, or none (skip)
    #[arg(long, default_value_t = CatchUp::Latest)]
    catch_up: CatchUp,
    /// What a tick does while the job of the one before has not ended: allow (both run) or skip
    #[arg(long, default_value_t = Overlap::Allow)]
    overlap: Overlap,
    /// No tick before this time
    #[arg(long, value_name = "TIME")]
    starts_at: Option<Timestamp>,
    /// No tick after this time: then the schedule is over
    #[arg(long, value_name = "TIME")]
    ends_at: Option<Timestamp>,
    /// Jobs start up to this much later than the tick
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "TIME")]
    jitter: Duration,
    /// The name of the job
    #[arg(long, value_name = "NAME")]
    job: String,
    /// The queue of the job
    #[arg(long, default_value = "default")]
    queue: String,
    /// The payload of the job
    #[arg(long, default_value = "{}", value_name = "JSON")]
    payload: String,
}

impl Schedules {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            SchedulesCommand::List(all) => {
                let none = Some("no schedules: `gristmill schedules put NAME` makes one");
                all.show("v1/schedules", none, schedule_table).await?;
            }
            SchedulesCommand::Show(one) => one.ask(Method::GET, "", None).await?,
            SchedulesCommand::Ticks { name, newest } => {
                let path = format!("v1/schedules/{}/ticks", segment(&name));
                newest.show(&path, &[], "no ticks yet", tick_table).await?;
            }
            SchedulesCommand::Put(put) => {
                let body = put.body()?;
                put.one.ask(Method::PUT, "", Some(body)).await?;
            }
            SchedulesCommand::Pause(one) => one.ask(Method::POST, "/pause", None).await?,
            SchedulesCommand::Resume(one) => one.ask(Method::POST, "/resume", None).await?,
            SchedulesCommand::Run(one) => {
                let tick: Value = one.open()?.change(Method::POST, &one.path("/run"), None).await?;
                if one.json {
                    println!("{tick}");
                } else {
                    println!("enqueued as job {}", tick["job_id"].as_str().unwrap_or("?"));
                }
            }
            SchedulesCommand::Delete { one, yes } => {
                let api = one.open()?;
                let there: ScheduleView = api.get(&one.path(""), &[]).await?;
                let what = format!("the schedule {} ({}) and the record of its ticks go", there.name, there.cron);
                if !yes && !confirm(&what, "Remove it?")? {
                    eprintln!("left as it is");
                    return Ok(ExitCode::FAILURE);
                }
                api.send(api.request(Method::DELETE, &one.path(""), &[])).await?;
                println!("removed");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    fn open(&self) -> anyhow::Result<Api> {
        Api::open(self.server.clone())
    }

    fn path(&self, rest: &str) -> String {
        format!("v1/schedules/{}{rest}", segment(&self.name))
    }

    async fn ask(&self, method: Method, rest: &str, body: Option<Value>) -> anyhow::Result<()> {
        let schedule: Value = self.open()?.change(method, &self.path(rest), body.as_ref()).await?;
        if self.json {
            println!("{schedule}");
        } else {
            print!("{}", detail(&ScheduleView::deserialize(&schedule)?)?);
        }
        Ok(())
    }
}

impl Put {
    fn body(&self) -> anyhow::Result<Value> {
        let todo = r#"give one JSON object, in quotes: --payload '{"per_second": 5}'"#;
        let payload: Value = serde_json::from_str(&self.payload)
            .with_context(|| Advice::new(format!("the --payload {} is not JSON", short(&self.payload, 60)), todo))?;
        let once = self.at.as_ref().map(|at| format!("@at {at}"));
        Ok(json!({
            "cron": self.cron.as_ref().or(once.as_ref()), "time_zone": self.time_zone, "catch_up": self.catch_up,
            "overlap": self.overlap, "starts_at": self.starts_at, "ends_at": self.ends_at, "jitter_seconds": self.jitter.as_secs(),
            "job": { "name": self.job, "queue": self.queue, "payload": payload },
        }))
    }
}

fn tick_table(ticks: &[Value]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for tick in ticks {
        let tick = TickView::deserialize(tick)?;
        let job = tick.job_id.map_or("-".to_owned(), |id| id.to_string());
        let state = tick.job_state.unwrap_or("-".to_owned());
        rows.push([tick.fire_at.strftime("%Y-%m-%d %H:%M:%S").to_string(), tick.cause.to_string(), job, state]);
    }
    Ok(table(["TICK (UTC)", "CAUSE", "JOB", "STATE"], [false; 4], &rows))
}

fn schedule_table(schedules: &[Value]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for schedule in schedules {
        let job = schedule["job"]["name"].as_str().unwrap_or("?").to_owned();
        let schedule = ScheduleView::deserialize(schedule)?;
        let time = |at: jiff::Timestamp| at.strftime("%m-%d %H:%M:%S").to_string();
        let next = match (schedule.paused, schedule.ended) {
            (true, _) => Some("paused".to_owned()),
            (_, true) => Some("ended".to_owned()),
            _ => schedule.next.first().copied().map(time),
        };
        rows.push([
            short(&schedule.name, 32),
            short(&schedule.cron, 20),
            short(&job, 32),
            next.unwrap_or("-".to_owned()),
            schedule.last.map_or("-".to_owned(), |last| last.fire_at.strftime("%m-%d %H:%M").to_string()),
        ]);
    }
    Ok(table(["NAME", "CRON", "JOB", "NEXT (UTC)", "LAST"], [false; 5], &rows))
}

fn detail(schedule: &ScheduleView) -> anyhow::Result<String> {
    let ScheduleView { name, cron, time_zone, jitter_seconds, missed, paused, ended, .. } = schedule;
    let stands = if *paused {
        ", paused"
    } else if *ended {
        ", ended"
    } else {
        ""
    };
    let mut text = format!("schedule   {name}{stands}\n");
    let _ = writeln!(text, "fires      {cron} in {time_zone}, up to {jitter_seconds} s later");
    let _ = writeln!(text, "catches up {}; {} missed", schedule.catch_up, count(*missed));
    if schedule.overlap == Overlap::Skip {
        let _ = writeln!(text, "overlaps   skip: no tick fires while the job of the one before has not ended");
    }
    for (word, at) in [("starts", schedule.starts_at), ("ends", schedule.ends_at)] {
        if let Some(at) = at {
            let _ = writeln!(text, "{word:<10} {at}");
        }
    }
    let _ = writeln!(text, "job        {}", serde_json::to_string(&schedule.job)?);
    if let Some(last) = &schedule.last {
        let _ = writeln!(text, "last       {} ({})", last.fire_at, last.job_state.as_deref().unwrap_or("forgotten"));
    }
    for next in &schedule.next {
        let _ = writeln!(text, "next       {next}");
    }
    Ok(text)
}
