//! Compares the counters of open groups with their members.

use std::time::Duration;

use sqlx::PgPool;

use super::millis;
use crate::{GroupId, QueueError, Schema};

/// A group whose counters do not say what its members say.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct GroupMismatch {
    /// The group.
    pub id: GroupId,
    /// Members counted by the group, and members there are.
    pub total: i64,
    /// See `total`.
    pub members: i64,
    /// Finished members counted by the group.
    pub counted: i64,
    /// Finished members there are.
    pub finished: i64,
}

/// Open groups older than `age` whose counters are wrong, or that should have closed. A nested group is a member. Of a
/// group that was open before, members may be pruned: there only the unfinished ones must agree.
pub(crate) async fn miscounted(
    schema: Schema,
    pool: &PgPool,
    age: Duration,
    limit: i64,
) -> Result<Vec<GroupMismatch>, QueueError> {
    Ok(sqlx::query_as(schema.sql("select * from (
            select g.id, g.total, j.members + n.members as members, g.completed + g.failed + g.cancelled as counted,
                   j.finished + n.finished as finished, g.sealed, g.completions
            from (select * from gristmill.groups where finished_at is null and created_at < now() - $1 * interval '1 millisecond'
                  order by id limit $2) g,
            lateral (select count(*) as members, count(*) filter (where state in ('completed', 'dead', 'cancelled')) as finished
                     from gristmill.jobs where group_id = g.id) j,
            lateral (select count(*) as members, count(finished_at) as finished from gristmill.groups where parent_id = g.id) n
         ) c
         where (completions = 0 and total <> members) or total - counted <> members - finished
            or (sealed and counted = total)"))
    .bind(millis(age))
    .bind(limit)
    .fetch_all(pool)
    .await?)
}
