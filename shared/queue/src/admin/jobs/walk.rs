//! Finding jobs without an index for each question: the newest first, a slice of the ledger after the other.
//!
//! An index on every job is paid for by every job, so there are few. Where one fits, a slice is read from it; where none
//! does, a slice is a run of the primary key, and those of it that do not meet the filter are passed over. A slice is
//! bounded, so a caller that has looked for long enough stops in between, and goes on later from there.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::JobFilter;
use crate::{JobId, JobState, QueueError, Schema};

/// Rows that the first slice looks at, and that one does at most.
const FIRST_SCANNED_ROWS: usize = 500;
const MAX_SCANNED_ROWS: usize = 16_000;
/// Slices grow while they take less than this.
const FAST_SCAN: Duration = Duration::from_millis(8);
/// Up to so many members, or scheduled jobs, are taken from their index, which knows nothing of ids, and sorted.
const MAX_SORTED_ROWS: i64 = 5_000;
/// What clocks may differ by.
const MAX_CLOCK_SKEW_MS: i64 = 60_000;

/// What the conditions are on.
const COLUMNS: &str = "id, state, queue, name, client_id, group_id, last_error, redriven, tags";

/// Where a slice comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Table,
    Ids,
    /// A group of few members.
    Members,
    /// A tag.
    Tagged,
    /// States that have an index.
    States,
}

/// Jobs that meet a filter, the newest first.
pub(super) struct Walk {
    schema: Schema,
    filter: JobFilter,
    source: Source,
    /// From here, inclusive.
    lowest: JobId,
    /// What is left is older than this one.
    below: JobId,
    slice: usize,
    over: bool,
}

#[derive(sqlx::FromRow)]
struct Slice {
    seen: i64,
    last: Option<JobId>,
    found: Vec<JobId>,
}

impl Walk {
    /// From the newest one, or from behind the job that an earlier walk came to.
    pub(super) async fn new(
        schema: Schema,
        conn: &mut PgConnection,
        filter: &JobFilter,
        after: Option<JobId>,
    ) -> Result<Self, QueueError> {
        let mut walk = Self {
            schema,
            filter: filter.clone(),
            source: Source::Table,
            lowest: filter.created_after.map_or(JobId::from(Uuid::nil()), first_of),
            below: filter.created_before.map_or(JobId::from(Uuid::max()), first_of),
            slice: FIRST_SCANNED_ROWS,
            over: false,
        };
        if let Some(after) = after {
            walk.below = walk.below.min(after);
        }
        walk.choose_source(conn).await?;
        Ok(walk)
    }

    /// Whether there is nothing more to be found.
    pub(super) fn is_over(&self) -> bool {
        self.over || self.below <= self.lowest
    }

    /// The last one looked at: where another walk may go on.
    pub(super) fn place(&self) -> Option<JobId> {
        (!self.is_over()).then_some(self.below)
    }

    /// At most `most` of the next jobs; none does not mean that it is over.
    pub(super) async fn step(&mut self, conn: &mut PgConnection, most: usize) -> Result<Vec<JobId>, QueueError> {
        if self.is_over() || most == 0 {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::new("with slice as materialized (");
        let limit = if self.has_conditions() { self.slice.max(most) } else { most };
        self.push_slice(&mut query, limit);
        query.push(
            ") select (select count(*) from slice) as seen, (select id from slice order by id limit 1) as last,
                 array(select id from slice where true",
        );
        self.push_conditions(&mut query);
        query.push(" order by id desc limit ").push_bind(limit_of(most)).push(") as found");
        let started = Instant::now();
        let slice: Slice = query.build_query_as().fetch_one(conn).await?;
        let Slice { seen, last, found } = slice;
        if found.len() == most {
            self.below = found.last().copied().unwrap_or(self.below);
        } else {
            self.below = last.unwrap_or(self.below);
            self.over = seen < limit_of(limit);
        }
        if started.elapsed() < FAST_SCAN {
            self.slice = (self.slice * 2).min(MAX_SCANNED_ROWS);
        }
        Ok(found)
    }

    async fn choose_source(&mut self, conn: &mut PgConnection) -> Result<(), QueueError> {
        let indexed = |state: &JobState| *state != JobState::Completed;
        if !self.filter.ids.is_empty() {
            self.source = Source::Ids;
        } else if let Some(group) = self.filter.group {
            let found: Option<(i64, Option<jiff_sqlx::Timestamp>)> =
                sqlx::query_as(self.schema.sql("select total, finished_at from gristmill.groups where id = $1"))
                    .bind(group)
                    .fetch_optional(&mut *conn)
                    .await?;
            match found {
                None => self.over = true,
                Some((total, _)) if total <= MAX_SORTED_ROWS => self.source = Source::Members,
                // Its members were enqueued while it was open, and are most of what was enqueued then.
                Some((_, finished_at)) => {
                    let begun = (group.get().as_u128() >> 80) as i64 - MAX_CLOCK_SKEW_MS;
                    self.lowest = self.lowest.max(first_of_millis(begun));
                    if let Some(finished_at) = finished_at {
                        let ended = first_of_millis(finished_at.to_jiff().as_millisecond() + MAX_CLOCK_SKEW_MS);
                        self.below = self.below.min(ended);
                    }
                    if !self.filter.states.is_empty() && self.filter.states.iter().copied().all(is_unusual) {
                        self.source = Source::States;
                    }
                }
            }
        } else if self.filter.tag.is_some() {
            self.source = Source::Tagged;
        } else if !self.filter.states.is_empty() && self.filter.states.iter().all(indexed) {
            let few =
                !self.filter.states.contains(&JobState::Scheduled) || few_are_scheduled(self.schema, conn).await?;
            self.source = if few { Source::States } else { Source::Table };
        }
        Ok(())
    }

    /// `limit` rows of the source, the newest first.
    fn push_slice(&self, query: &mut QueryBuilder<Postgres>, limit: usize) {
        let run = |query: &mut QueryBuilder<Postgres>| {
            query.push("id < ").push_bind(self.below).push(" and id >= ").push_bind(self.lowest);
            query.push(" order by id desc limit ").push_bind(limit_of(limit));
        };
        match self.source {
            Source::Table => {
                query.push(self.schema.rewrite(&format!("select {COLUMNS} from gristmill.jobs where ")));
                run(query);
            }
            Source::Ids => {
                query.push(self.schema.rewrite(&format!("select {COLUMNS} from gristmill.jobs where id = any(")));
                query.push_bind(self.filter.ids.clone()).push(") and ");
                run(query);
            }
            // Without `offset 0` the primary key might be walked for them.
            Source::Members => {
                query.push(self.schema.rewrite(&format!(
                    "select {COLUMNS} from (select {COLUMNS} from gristmill.jobs where group_id = "
                )));
                query.push_bind(self.filter.group).push(" offset 0) m where ");
                run(query);
            }
            Source::Tagged => {
                query
                    .push(self.schema.rewrite(&format!(
                        "select {COLUMNS} from (select job_id from gristmill.job_tags where tag = "
                    )));
                query.push_bind(self.filter.tag.clone()).push(" and job_id < ").push_bind(self.below);
                query.push(" and job_id >= ").push_bind(self.lowest);
                query.push(" order by job_id desc limit ").push_bind(limit_of(limit));
                query.push(self.schema.sql(") t join gristmill.jobs on id = t.job_id order by id desc"));
            }
            Source::States => {
                query.push(format_args!("select {COLUMNS} from ("));
                for (n, state) in self.states().into_iter().enumerate() {
                    query.push(if n == 0 { "(" } else { " union all (" });
                    if is_unusual(state) {
                        self.push_unusual(query, state, limit);
                    } else {
                        self.push_state(query, state);
                        run(query);
                    }
                    query.push(")");
                }
                query.push(") merged order by id desc limit ").push_bind(limit_of(limit));
            }
        }
    }

    /// Jobs of a state that is in its index by its own condition.
    fn push_state(&self, query: &mut QueryBuilder<Postgres>, state: JobState) {
        // The state as a literal: by a parameter no partial index is found.
        query.push(
            self.schema.rewrite(&format!(
                "select {COLUMNS} from (select {COLUMNS} from gristmill.jobs where state = '{state}'"
            )),
        );
        if let Some(client_id) = self.filter.client_id {
            query.push(" and client_id = ").push_bind(client_id);
        }
        query.push(if state == JobState::Scheduled { " offset 0) s where " } else { ") s where " });
    }

    /// Jobs of a state in `jobs_unusual`, or of one client in `jobs_unusual_by_client`. Rows are compared whole and in the
    /// index's order, so no other index gives it: where statistics expect many of a state among all jobs, the planner would
    /// walk the primary key for it.
    fn push_unusual(&self, query: &mut QueryBuilder<Postgres>, state: JobState, limit: usize) {
        query.push(self.schema.rewrite(&format!(
            "select {COLUMNS} from gristmill.jobs where state in ('dead', 'cancelled', 'parked') and "
        )));
        match self.filter.client_id {
            None => {
                query.push(format_args!("(state, id) < ('{state}', ")).push_bind(self.below);
                query.push(format_args!(") and (state, id) >= ('{state}', ")).push_bind(self.lowest);
                query.push(") order by state desc, id desc limit ");
            }
            Some(client_id) => {
                query.push("client_id is not null and (client_id, state, id) < (").push_bind(client_id);
                query.push(format_args!(", '{state}', ")).push_bind(self.below);
                query.push(") and (client_id, state, id) >= (").push_bind(client_id);
                query.push(format_args!(", '{state}', ")).push_bind(self.lowest);
                query.push(") order by client_id desc, state desc, id desc limit ");
            }
        }
        query.push_bind(limit_of(limit));
    }

    fn states(&self) -> Vec<JobState> {
        let mut states = self.filter.states.clone();
        states.sort_unstable();
        states.dedup();
        states
    }

    fn has_conditions(&self) -> bool {
        let JobFilter { states, queue, name, excluded_names, client_id, group, tag, error, redriven_less_than, .. } =
            &self.filter;
        (self.source != Source::States && !states.is_empty())
            || (self.source != Source::Members && group.is_some())
            || (self.source != Source::Tagged && tag.is_some())
            || queue.is_some()
            || name.is_some()
            || !excluded_names.is_empty()
            || (self.source != Source::States && client_id.is_some())
            || error.is_some()
            || redriven_less_than.is_some()
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>) {
        let filter = &self.filter;
        if !filter.states.is_empty() {
            let states: Vec<&str> = filter.states.iter().map(<&str>::from).collect();
            query.push(" and state = any(").push_bind(states).push(")");
        }
        if let Some(queue) = filter.queue.clone() {
            query.push(" and queue <> '' and queue = ").push_bind(queue);
        }
        if let Some(name) = filter.name.clone() {
            query.push(" and name = ").push_bind(name);
        }
        if !filter.excluded_names.is_empty() {
            query.push(" and (name <> all(").push_bind(filter.excluded_names.clone());
            query.push(self.schema.sql(
                ") or exists (select from gristmill.groups g where g.id = group_id and g.finished_at is not null))",
            ));
        }
        if let Some(client_id) = filter.client_id {
            query.push(" and client_id = ").push_bind(client_id);
        }
        if let Some(group) = filter.group {
            query.push(" and group_id = ").push_bind(group);
        }
        if let Some(tag) = filter.tag.clone().filter(|_| self.source != Source::Tagged) {
            query.push(" and tags @> array[").push_bind(tag).push("]");
        }
        if let Some(error) = &filter.error {
            query.push(" and position(").push_bind(error.to_lowercase()).push(" in lower(last_error)) > 0");
        }
        if let Some(times) = filter.redriven_less_than {
            query.push(" and redriven < ").push_bind(i32::try_from(times).unwrap_or(i32::MAX));
        }
    }
}

/// Whether jobs of that state have an index by state and id.
fn is_unusual(state: JobState) -> bool {
    matches!(state, JobState::Dead | JobState::Cancelled | JobState::Parked)
}

async fn few_are_scheduled(schema: Schema, conn: &mut PgConnection) -> Result<bool, QueueError> {
    let scheduled: i64 = sqlx::query_scalar(
        schema.sql("select count(*) from (select from gristmill.jobs where state = 'scheduled' limit $1) s"),
    )
    .bind(MAX_SORTED_ROWS + 1)
    .fetch_one(conn)
    .await?;
    Ok(scheduled <= MAX_SORTED_ROWS)
}

/// The smallest id of a job enqueued at that time or later.
fn first_of(time: Timestamp) -> JobId {
    first_of_millis(time.as_millisecond())
}

fn first_of_millis(millis: i64) -> JobId {
    JobId::from(Uuid::from_u128(u128::from(u64::try_from(millis).unwrap_or(0)) << 80))
}

fn limit_of(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
