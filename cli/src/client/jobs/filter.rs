//! Which jobs: the same flags for a list and for what is done to many.

use std::time::Duration;

use clap::Args;
use gristmill_platform::config::parse_duration;
use gristmill_queue::JobState;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Each argument says it by itself: a heading of the whole struct would stand above what comes after it, too.
const HEADING: &str = "Which jobs";

/// Jobs that meet all of these conditions.
#[derive(Args, Debug, Default)]
pub(super) struct Filter {
    /// Only in these states: available (also those that run), scheduled, completed, dead, cancelled, parked
    #[arg(long = "state", help_heading = HEADING, value_name = "STATE", value_delimiter = ',')]
    states: Vec<JobState>,

    /// Only of this queue
    #[arg(long, help_heading = HEADING)]
    queue: Option<String>,

    /// Only of this name, such as uploads.load_chunk
    #[arg(long, help_heading = HEADING)]
    name: Option<String>,

    /// Only on behalf of this client
    #[arg(long, help_heading = HEADING)]
    client: Option<String>,

    /// Only members of this group
    #[arg(long, help_heading = HEADING, value_name = "ID")]
    group: Option<Uuid>,

    /// Only with this tag
    #[arg(long, help_heading = HEADING, value_name = "WORD")]
    tag: Option<String>,

    /// Only those enqueued longer ago than this, such as 30m, 12h or 7d
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = parse_duration)]
    older: Option<Duration>,

    /// Only those enqueued since this long ago
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = parse_duration)]
    newer: Option<Duration>,

    /// Only those with this text in their last error, in capitals or not
    #[arg(long, help_heading = HEADING, value_name = "TEXT")]
    error: Option<String>,
}

impl Filter {
    pub(super) fn is_empty(&self) -> bool {
        self.conditions().is_empty()
    }

    /// As the API's list takes it.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query: Vec<(&'static str, String)> = self.conditions();
        if !self.states.is_empty() {
            query.retain(|(name, _)| *name != "states");
            query.push(("state", self.words()));
        }
        query
    }

    /// As the API's actions take it.
    pub(super) fn body(&self) -> Map<String, Value> {
        let conditions = self.conditions().into_iter();
        let mut body: Map<String, Value> = conditions.map(|(name, value)| (name.to_owned(), value.into())).collect();
        if !self.states.is_empty() {
            body.insert("states".to_owned(), json!(self.states));
        }
        body
    }

    /// In words, for the question before something is done.
    pub(super) fn words_for_people(&self) -> String {
        let conditions = self.conditions().into_iter();
        let words: Vec<String> =
            conditions.map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
        words.join(", ")
    }

    fn words(&self) -> String {
        self.states.iter().map(<&str>::from).collect::<Vec<_>>().join(",")
    }

    fn conditions(&self) -> Vec<(&'static str, String)> {
        let ago = |time: Duration| {
            let time = Timestamp::now().checked_sub(time).unwrap_or(Timestamp::UNIX_EPOCH);
            time.max(Timestamp::UNIX_EPOCH).to_string()
        };
        let conditions = [
            ("states", (!self.states.is_empty()).then(|| self.words())),
            ("queue", self.queue.clone()),
            ("name", self.name.clone()),
            ("client", self.client.clone()),
            ("group", self.group.map(|group| group.to_string())),
            ("tag", self.tag.clone()),
            ("created_before", self.older.map(ago)),
            ("created_after", self.newer.map(ago)),
            ("error", self.error.clone()),
        ];
        conditions.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
