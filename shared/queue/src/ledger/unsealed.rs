//! Groups that nobody seals: who created them died between two transactions.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{group_completion, millis, stop};
use crate::{Enqueued, GroupId, QueueError, Schema};

/// A group that takes members and in which nothing happens.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct UnsealedGroup {
    /// The group.
    pub id: GroupId,
    /// For people.
    pub name: Option<String>,
    /// Members so far.
    pub total: i64,
    /// Seconds since a member came or ended, in it or in a group inside it.
    pub quiet_seconds: f64,
}

macro_rules! quiet {
    ($groups:literal) => {
        concat!(
            "select g.id, g.name, g.total, extract(epoch from now() - l.last)::float8 as quiet_seconds
             from gristmill.groups g cross join lateral (
                with recursive inside as (
                    select g.id, g.created_at, g.finished_at
                    union all
                    select i.id, i.created_at, i.finished_at from inside join gristmill.groups i on i.parent_id = inside.id
                )
                select greatest(max(inside.created_at), max(inside.finished_at), max(m.last)) as last
                from inside cross join lateral (
                    select greatest(max(j.created_at), max(j.finished_at), max(j.run_at) filter (where j.state = 'available')) as last
                    from gristmill.jobs j where j.group_id = inside.id) m
             ) l
             where g.finished_at is null and not g.sealed and g.created_at <= now() - $1 * interval '1 millisecond'
               and l.last <= now() - $1 * interval '1 millisecond' and ",
            $groups
        )
    };
}

/// Those in which nothing has happened for `age`, the oldest first.
pub(crate) async fn find(
    schema: Schema,
    pool: &PgPool,
    age: Duration,
    limit: i64,
) -> Result<Vec<UnsealedGroup>, QueueError> {
    Ok(sqlx::query_as(schema.sql(quiet!("true order by g.id limit $2")))
        .bind(millis(age))
        .bind(limit)
        .fetch_all(pool)
        .await?)
}

/// Fails it, unless something has happened in it meanwhile: nothing. Who still adds members waits for the group's row, and
/// is refused.
pub(crate) async fn end(
    schema: Schema,
    conn: &mut PgConnection,
    group: GroupId,
    age: Duration,
) -> Result<Option<Enqueued>, QueueError> {
    group_completion::lock(schema, conn, &[group]).await?;
    let quiet: Option<UnsealedGroup> = sqlx::query_as(schema.sql(quiet!("g.id = $2")))
        .bind(millis(age))
        .bind(group)
        .fetch_optional(&mut *conn)
        .await?;
    if quiet.is_none() {
        return Ok(None);
    }
    sqlx::query(
        schema.sql("update gristmill.groups set sealed = true, state = 'failing' where id = $1 and state = 'open'"),
    )
    .bind(group)
    .execute(&mut *conn)
    .await?;
    stop::members(schema, conn, &[group]).await?;
    group_completion::close_sealed(schema, conn, group).await.map(Some)
}
