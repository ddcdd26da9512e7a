//! Counting ended members in their groups, and the end of groups: from the inside out, at any depth.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{flows, stop};
use crate::{Enqueued, GroupId, JobId, QueueError, Schema, envelope::JobRow};

/// A row of `functions/close_groups.sql`.
#[derive(sqlx::FromRow)]
pub(super) struct JoinRow {
    pub(super) kind: String,
    #[sqlx(flatten)]
    pub(super) job: JobRow,
}

impl JoinRow {
    pub(super) fn take(self, joins: &mut Enqueued, parents: &mut Counts) {
        match self.kind.as_str() {
            "join" => {
                joins.ids.push(self.job.id);
                joins.messages.push(self.job.into_message());
            }
            "waits" => joins.ids.push(self.job.id),
            _ => parents.add(GroupId::from(self.job.id.get()), &self.job.name, 1),
        }
    }
}

/// Members that ended, by group.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<GroupId, Ends>);

#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    completed: i64,
    failed: i64,
    cancelled: i64,
}

impl Counts {
    /// `state` is that of a job or of a nested group; one that is no end is not counted.
    pub(super) fn add(&mut self, group: GroupId, state: &str, n: i64) {
        let ends = self.0.entry(group).or_default();
        match state {
            "completed" => ends.completed += n,
            "dead" | "failed" => ends.failed += n,
            "cancelled" => ends.cancelled += n,
            _ => {}
        }
    }

    /// Looks at a group once more, though nothing has ended in it.
    pub(super) fn look_at(&mut self, group: GroupId) {
        self.0.entry(group).or_default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn groups(&self) -> Vec<GroupId> {
        self.0.keys().copied().collect()
    }

    /// Adds these numbers to the groups' counters, whatever else is to come of it.
    pub(super) async fn apply(&self, schema: Schema, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(schema.sql(
            "update gristmill.groups g set completed = g.completed + c.completed, failed = g.failed + c.failed,
                                 cancelled = g.cancelled + c.cancelled
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) as c (id, completed, failed, cancelled)
             where g.id = c.id",
        ))
        .bind(self.groups())
        .bind(self.0.values().map(|ends| ends.completed).collect::<Vec<_>>())
        .bind(self.0.values().map(|ends| ends.failed).collect::<Vec<_>>())
        .bind(self.0.values().map(|ends| ends.cancelled).collect::<Vec<_>>())
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// Counts, stops what fails fast, closes what is complete, and goes on with the groups around it.
pub(super) async fn count(schema: Schema, conn: &mut PgConnection, mut counts: Counts) -> Result<Enqueued, QueueError> {
    let mut joins = Enqueued::default();
    while !counts.is_empty() {
        let groups = counts.groups();
        let flows = lock(schema, conn, &groups).await?;
        counts.apply(schema, conn).await?;
        let failed: Vec<GroupId> = counts.0.iter().filter(|(_, ends)| ends.failed > 0).map(|(id, _)| *id).collect();
        stop::fail_fast(schema, conn, &failed).await?;
        if !flows.is_empty() {
            flows::advance(schema, conn, &flows).await?;
        }
        let closed = close(schema, conn, &groups).await?;
        joins.merge(closed.0);
        counts = closed.1;
    }
    Ok(joins)
}

/// Locks groups, and before them the outermost ones around them. Returns those of the groups that are flows.
pub(super) async fn lock(
    schema: Schema,
    conn: &mut PgConnection,
    groups: &[GroupId],
) -> Result<Vec<GroupId>, sqlx::Error> {
    let locked: Vec<(GroupId, bool)> = sqlx::query_as(schema.sql(
        "select id, is_flow and id = any($1) from gristmill.groups
         where id = any($1 || array(select root_id from gristmill.groups where id = any($1) and root_id is not null))
         order by root_id is not null, id for no key update",
    ))
    .bind(groups)
    .fetch_all(conn)
    .await?;
    Ok(locked.into_iter().filter(|(_, is_flow)| *is_flow).map(|(id, _)| id).collect())
}

/// Closes those that are sealed and whose members have all ended. Returns their joins, and what their parents must count.
async fn close(schema: Schema, conn: &mut PgConnection, groups: &[GroupId]) -> Result<(Enqueued, Counts), QueueError> {
    let rows: Vec<JoinRow> = sqlx::query_as(schema.sql("select * from gristmill.close_groups($1, $2)"))
        .bind(groups)
        .bind(fresh_ids(groups.len()))
        .fetch_all(conn)
        .await?;
    let (mut joins, mut parents) = (Enqueued::default(), Counts::default());
    for row in rows {
        row.take(&mut joins, &mut parents);
    }
    Ok((joins, parents))
}

/// Closes a group that was just sealed, if nothing is left to do in it.
pub(super) async fn close_sealed(
    schema: Schema,
    conn: &mut PgConnection,
    group: GroupId,
) -> Result<Enqueued, QueueError> {
    let (mut joins, parents) = close(schema, conn, &[group]).await?;
    joins.merge(count(schema, conn, parents).await?);
    Ok(joins)
}

pub(super) fn fresh_ids(n: usize) -> Vec<JobId> {
    std::iter::repeat_with(|| JobId::from(Uuid::now_v7())).take(n).collect()
}

/// Goes on with flows that an older version has left behind: see [`flows::overdue`]. Returns joins that became due.
pub(crate) async fn advance_overdue(
    schema: Schema,
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Enqueued, QueueError> {
    let mut counts = Counts::default();
    for flow in flows::overdue(schema, conn, limit).await? {
        counts.look_at(flow);
    }
    count(schema, conn, counts).await
}

/// Closes groups whose last member was completed by SQL (`complete` of migration 2). Returns how many were looked at, and
/// their joins.
pub(crate) async fn close_waiting(
    schema: Schema,
    conn: &mut PgConnection,
    limit: i64,
) -> Result<(usize, Enqueued), QueueError> {
    let groups: Vec<GroupId> = sqlx::query_scalar(schema.sql(
        "delete from gristmill.groups_to_close where group_id in (
             select group_id from gristmill.groups_to_close order by group_id limit $1 for update skip locked)
         returning group_id",
    ))
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    if groups.is_empty() {
        return Ok((0, Enqueued::default()));
    }
    lock(schema, conn, &groups).await?;
    let (mut joins, parents) = close(schema, conn, &groups).await?;
    joins.merge(count(schema, conn, parents).await?);
    Ok((groups.len(), joins))
}
