//! Groups: found and looked at.

mod view;

pub use view::{GroupDetail, GroupFilter, GroupPage, GroupState, GroupView, StageView};

use std::time::{Duration, Instant};

use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use super::jobs;
use crate::{GroupId, JobFilter, JobPage, JobState, Queue, QueueError, Schema};
use view::{DetailRow, GroupRow, StageRow};

/// The ledger's groups: see [`Queue::groups`].
#[derive(Clone)]
pub struct Groups {
    queue: Queue,
}

const MAX_PAGE_SIZE: u16 = 200;
/// Groups that one statement of a page looks at.
const BATCH_SIZE: i64 = 2_000;
/// After this long a page is shown as it is.
const PAGE_DEADLINE: Duration = Duration::from_millis(25);
/// Failed members that are shown, and how long a large group is searched for them.
const MAX_FAILED_JOBS: u16 = 50;
const FAILED_JOBS_DEADLINE: Duration = Duration::from_millis(500);

macro_rules! group_columns {
    () => {
        "g.id, g.name, g.state, g.policy, g.client_id, g.parent_id, g.total, g.completed, g.failed, g.cancelled,
         g.sealed, g.completions, g.created_at, g.finished_at"
    };
}

impl Queue {
    /// The ledger's groups.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups { queue: self.clone() }
    }
}

impl Groups {
    /// Groups that meet the filter, the newest first: those older than `cursor`, at most 200 of them. As
    /// [`crate::Jobs::list`], a page may be short and not be the last.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn list(
        &self,
        filter: &GroupFilter,
        cursor: Option<GroupId>,
        limit: u16,
    ) -> Result<GroupPage, QueueError> {
        let limit = usize::from(limit.clamp(1, MAX_PAGE_SIZE));
        let started = Instant::now();
        let mut ids: Vec<GroupId> = Vec::new();
        let mut below = cursor.unwrap_or(GroupId::from(Uuid::max()));
        let mut over = false;
        // One more than are shown tells whether there is another page.
        while ids.len() <= limit && !over && started.elapsed() < PAGE_DEADLINE {
            let wanted = limit + 1 - ids.len();
            let (edge, found) = self.slice(filter, below, wanted).await?;
            match (found.last(), edge) {
                (Some(last), _) if found.len() == wanted => below = *last,
                (_, Some(edge)) => below = edge,
                (_, None) => over = true,
            }
            ids.extend(found);
        }
        let next = if ids.len() > limit { ids.get(limit - 1).copied() } else { (!over).then_some(below) };
        ids.truncate(limit);
        let rows: Vec<GroupRow> = sqlx::query_as(self.queue.schema().sql(concat!(
            "select ",
            group_columns!(),
            " from gristmill.groups g where g.id = any($1) order by g.id desc"
        )))
        .bind(&ids)
        .fetch_all(self.queue.pool())
        .await?;
        Ok(GroupPage { groups: rows.into_iter().map(GroupRow::into_view).collect(), next })
    }

    /// Everything about one group, if there is such a one.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn get(&self, id: GroupId) -> Result<Option<GroupDetail>, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        self.get_in(&mut conn, id).await
    }

    /// The same as the caller's transaction sees it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn get_in(&self, conn: &mut PgConnection, id: GroupId) -> Result<Option<GroupDetail>, QueueError> {
        let found: Option<DetailRow> = sqlx::query_as(self.queue.schema().sql(concat!(
            "select ",
            group_columns!(),
            ", g.on_complete, g.on_failure from gristmill.groups g where g.id = $1"
        )))
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
        let Some(DetailRow { group, on_complete, on_failure }) = found else { return Ok(None) };
        let group = group.into_view();
        let children: Vec<GroupRow> = sqlx::query_as(self.queue.schema().sql(concat!(
            "select ",
            group_columns!(),
            " from gristmill.groups g where g.parent_id = $1 order by g.id desc limit 100"
        )))
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
        let stages: Vec<StageRow> = sqlx::query_as(self.queue.schema().sql(
            "select s.group_id as id, s.name, s.after_failure, s.held, g.state, g.total, g.completed, g.failed, g.cancelled,
                    array(select b.name from gristmill.flow_stages b where b.group_id = any(s.after) order by b.group_id) as after
             from gristmill.flow_stages s join gristmill.groups g on g.id = s.group_id
             where s.flow_id = any($1) order by s.group_id",
        ))
        .bind(&[Some(id), group.parent_id][..])
        .fetch_all(&mut *conn)
        .await?;
        // A parked member is no failure yet, and stands in the same list.
        let failed = failed_members(self.queue.schema(), conn, id).await?;
        let parent = match group.parent_id {
            Some(parent) => view(self.queue.schema(), conn, parent).await?,
            None => None,
        };
        Ok(Some(GroupDetail {
            group,
            on_complete: on_complete.and_then(|spec| spec.0),
            on_failure: on_failure.and_then(|spec| spec.0),
            parent,
            children: children.into_iter().map(GroupRow::into_view).collect(),
            stages: stages.into_iter().map(StageRow::into_view).collect(),
            failed_members: failed.jobs,
            more_failed_members: failed.next.is_some(),
        }))
    }

    /// The next groups below an id, and the last one looked at when there may be more.
    async fn slice(
        &self,
        filter: &GroupFilter,
        below: GroupId,
        wanted: usize,
    ) -> Result<(Option<GroupId>, Vec<GroupId>), QueueError> {
        let unfinished = |state: &GroupState| matches!(state, GroupState::Open | GroupState::Failing);
        let mut query = QueryBuilder::new("with slice as materialized (select id, state, client_id from ");
        // Both have an index; so has the id alone.
        let schema = self.queue.schema();
        match filter.parent {
            Some(parent) => {
                query
                    .push(schema.sql("(select * from gristmill.groups where parent_id = "))
                    .push_bind(parent)
                    .push(" offset 0) g where ");
            }
            None if !filter.states.is_empty() && filter.states.iter().all(unfinished) => {
                query.push(schema.sql("gristmill.groups g where finished_at is null and "));
            }
            None => {
                query.push(schema.sql("gristmill.groups g where "));
            }
        }
        query.push("id < ").push_bind(below).push(" order by id desc limit ").push_bind(BATCH_SIZE);
        query.push(") select case when (select count(*) from slice) = ").push_bind(BATCH_SIZE);
        query.push(" then (select id from slice order by id limit 1) end, array(select id from slice where true");
        if !filter.states.is_empty() {
            let states: Vec<&str> = filter.states.iter().map(<&str>::from).collect();
            query.push(" and state = any(").push_bind(states).push(")");
        }
        if let Some(client_id) = filter.client_id {
            query.push(" and client_id = ").push_bind(client_id);
        }
        query.push(" order by id desc limit ").push_bind(i64::try_from(wanted).unwrap_or(i64::MAX)).push(")");
        Ok(query.build_query_as().fetch_one(self.queue.pool()).await?)
    }
}

/// The newest members that are dead or parked, and whether there may be more.
async fn failed_members(schema: Schema, conn: &mut PgConnection, id: GroupId) -> Result<JobPage, QueueError> {
    let states = vec![JobState::Dead, JobState::Parked];
    let filter = JobFilter { group: Some(id), states, ..JobFilter::default() };
    jobs::page(schema, conn, &filter, None, MAX_FAILED_JOBS, FAILED_JOBS_DEADLINE).await
}

/// What a list shows of one group.
pub(super) async fn view(
    schema: Schema,
    conn: &mut PgConnection,
    id: GroupId,
) -> Result<Option<GroupView>, QueueError> {
    let found: Option<GroupRow> =
        sqlx::query_as(schema.sql(concat!("select ", group_columns!(), " from gristmill.groups g where g.id = $1")))
            .bind(id)
            .fetch_optional(conn)
            .await?;
    Ok(found.map(GroupRow::into_view))
}
