//! Groups of jobs: listed, looked at, cancelled, their failed members run again.

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use gristmill_queue::{GroupState, GroupView, StageView};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    api::Api,
    confirm::confirm,
    human::{age, count, short, table},
    jobs::{Job, job_table},
    newest::Newest,
    server::Server,
};

/// List groups of jobs, look at one, cancel it or run its failed members again
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill groups list --state open
  gristmill groups retry 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55")]
pub(crate) struct Groups {
    #[command(subcommand)]
    what: GroupsCommand,
}

#[derive(Subcommand, Debug)]
enum GroupsCommand {
    /// List groups, the newest first
    List {
        /// Only in these states: open, failing, completed, failed, cancelled
        #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
        states: Vec<GroupState>,
        /// Only on behalf of this client
        #[arg(long)]
        client: Option<String>,
        /// Only directly inside this group
        #[arg(long, value_name = "ID")]
        parent: Option<Uuid>,
        #[command(flatten)]
        newest: Newest,
    },
    /// Show one, with what is inside it
    Show(One),
    /// Cancel a group and everything inside it
    Cancel {
        #[command(flatten)]
        one: One,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Run its failed members again
    Retry(One),
}

#[derive(Args, Debug)]
struct One {
    /// The group
    #[arg(value_parser = super::human::id)]
    id: Uuid,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// A group as the API shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    #[serde(flatten)]
    group: GroupView,
    client: Option<String>,
}

/// GroupsCommand only one group shows.
#[derive(Deserialize)]
struct Detail {
    #[serde(flatten)]
    group: Group,
    parent: Option<Group>,
    children: Vec<Group>,
    #[serde(default)]
    stages: Vec<StageView>,
    failed_members: Vec<Job>,
    #[serde(default)]
    more_failed_members: bool,
}

impl Groups {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            GroupsCommand::List { states, client, parent, newest } => {
                let states = states.iter().map(<&str>::from).collect::<Vec<_>>().join(",");
                let given = [
                    ("state", (!states.is_empty()).then_some(states)),
                    ("client", client),
                    ("parent", parent.map(|parent| parent.to_string())),
                ];
                let query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                let table = |groups: &[Value]| {
                    let groups: Vec<Group> = groups.iter().map(Group::deserialize).collect::<Result<_, _>>()?;
                    Ok(group_table(&groups))
                };
                newest.show("v1/groups", &query, "no such groups", table).await?;
            }
            GroupsCommand::Show(one) => {
                let group = Api::open(one.server)?.get(&format!("v1/groups/{}", one.id), &[]).await?;
                show(&group, one.json)?;
            }
            GroupsCommand::Cancel { one, yes } => {
                let (api, path) = (Api::open(one.server)?, format!("v1/groups/{}", one.id));
                let group: Group = api.get(&path, &[]).await?;
                let view = &group.group;
                let left = view.total.saturating_sub(view.completed + view.failed + view.cancelled);
                let what = format!("the group is {}, and {} of its members have not ended", view.state, count(left));
                if !yes && !confirm(&what, "Cancel it?")? {
                    eprintln!("left as it is");
                    return Ok(ExitCode::FAILURE);
                }
                show(&api.change(Method::POST, &format!("{path}/cancel"), None).await?, one.json)?;
            }
            GroupsCommand::Retry(one) => {
                let path = format!("v1/groups/{}/retry", one.id);
                show(&Api::open(one.server)?.change(Method::POST, &path, None).await?, one.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Group {
    /// On one line.
    pub(super) fn line(&self) -> String {
        let GroupView { id, name, state, completed, failed, cancelled, total, .. } = &self.group;
        let name = name.as_deref().map(|name| format!("{name} ")).unwrap_or_default();
        let counts = format!("{} of {} done", count(*completed), count(*total));
        format!("{name}{id}, {state}: {counts}, {} failed, {} cancelled", count(*failed), count(*cancelled))
    }
}

fn group_table(groups: &[Group]) -> String {
    let rows: Vec<[String; 6]> = groups
        .iter()
        .map(|Group { group, .. }| {
            [
                group.id.to_string(),
                group.state.to_string(),
                short(group.name.as_deref().unwrap_or("-"), 8),
                format!("{}/{}", group.completed, group.total),
                group.failed.to_string(),
                age(group.created_at),
            ]
        })
        .collect();
    table(["ID", "STATE", "NAME", "DONE", "FAILED", "AGE"], [false, false, false, true, true, true], &rows)
}

fn show(value: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{value}");
        return Ok(());
    }
    let detail = Detail::deserialize(value)?;
    let view = &detail.group.group;
    let mut text = format!("group      {}\n", detail.group.line());
    let _ = writeln!(text, "policy     {}{}", view.policy, if view.sealed { ", sealed" } else { ", may grow" });
    if let Some(client) = &detail.group.client {
        let _ = writeln!(text, "client     {client}");
    }
    let _ = writeln!(text, "ended      {} times", view.completions);
    if let Some(parent) = &detail.parent {
        let _ = writeln!(text, "inside     {}", parent.line());
    }
    if !detail.stages.is_empty() {
        let _ = write!(text, "\nstages of the flow:\n{}", stage_table(&detail.stages));
    } else if !detail.children.is_empty() {
        let _ = write!(text, "\ngroups inside it:\n{}", group_table(&detail.children));
    }
    if !detail.failed_members.is_empty() {
        let _ = write!(text, "\nfailed members:\n{}", job_table(&detail.failed_members));
    }
    if detail.more_failed_members {
        let _ = writeln!(text, "more of them: gristmill jobs list --group {} --state dead", detail.group.group.id);
    }
    print!("{text}");
    Ok(())
}

fn stage_table(stages: &[StageView]) -> String {
    let rows: Vec<[String; 4]> = stages
        .iter()
        .map(|stage| {
            let stands = if stage.held { "waits".to_owned() } else { stage.state.to_string() };
            let done = format!("{}/{}", count(stage.completed), count(stage.total));
            [short(&stage.name, 24), stands, done, short(&stage.after.join(", "), 30)]
        })
        .collect();
    table(["STAGE", "STATE", "DONE", "WAITS FOR"], [false, false, true, false], &rows)
}
