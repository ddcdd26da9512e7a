//! Stopping groups: from the outside in. The callers hold the row of the outermost group.

use crate::Schema;
use sqlx::PgConnection;

use super::group_completion::Counts;
use crate::GroupId;

/// Of groups in which a member has failed for good, those that fail fast take no more members and run none.
pub(super) async fn fail_fast(schema: Schema, conn: &mut PgConnection, groups: &[GroupId]) -> Result<(), sqlx::Error> {
    if groups.is_empty() {
        return Ok(());
    }
    let failing: Vec<GroupId> = sqlx::query_scalar(schema.sql(
        "update gristmill.groups set sealed = true, state = 'failing'
         where id = any($1) and state = 'open' and policy = 'fail_fast' returning id",
    ))
    .bind(groups)
    .fetch_all(&mut *conn)
    .await?;
    if !failing.is_empty() {
        members(schema, conn, &failing).await?;
    }
    Ok(())
}

/// Cancels what is still to be done in these groups and in all inside them, and says how many jobs that were.
pub(super) async fn members(schema: Schema, conn: &mut PgConnection, groups: &[GroupId]) -> Result<u64, sqlx::Error> {
    let inner: Vec<(GroupId, GroupId)> = sqlx::query_as(schema.sql("with recursive inside as (
            select id from gristmill.groups where parent_id = any($1) and finished_at is null
            union all
            select g.id from gristmill.groups g join inside i on g.parent_id = i.id where g.finished_at is null
         )
         update gristmill.groups g set sealed = true, state = 'cancelled', finished_at = now(), completions = completions + 1
         from inside where g.id = inside.id returning g.id, g.parent_id"))
    .bind(groups)
    .fetch_all(&mut *conn)
    .await?;
    let mut all = groups.to_vec();
    if !inner.is_empty() {
        let mut counts = Counts::default();
        for (id, parent) in inner {
            counts.add(parent, "cancelled", 1);
            all.push(id);
        }
        counts.apply(schema, conn).await?;
    }
    cancel_jobs(schema, conn, &all).await
}

/// Cancels and counts the members that are still to be done. A member that is locked is about to finish by itself: it is
/// passed over rather than waited for, so that taking job rows after groups rows cannot end in a deadlock.
async fn cancel_jobs(schema: Schema, conn: &mut PgConnection, groups: &[GroupId]) -> Result<u64, sqlx::Error> {
    let counts: Vec<i64> = sqlx::query_scalar(schema.sql("with victims as (
            select id from gristmill.jobs where group_id = any($1) and state in ('available', 'scheduled', 'parked')
            for update skip locked
         ), stopped as (
            update gristmill.jobs set state = 'cancelled', finished_at = now() from victims where jobs.id = victims.id returning group_id
         ), members as (
            select group_id as id, count(*) as n from stopped group by group_id
         )
         update gristmill.groups g set cancelled = g.cancelled + m.n from members m where g.id = m.id returning m.n"))
    .bind(groups)
    .fetch_all(conn)
    .await?;
    Ok(counts.into_iter().map(i64::unsigned_abs).sum())
}
