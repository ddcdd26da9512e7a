//! Is it still to be done?

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::Fence;

/// What the ledger says about a job that is about to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Still to be done; this many attempts have failed. Nested: its group is inside another one.
    Due { attempt: i32, max_attempts: i32, nested: bool },
    /// Still to be done, but nobody wants it any more: it is to be cancelled, or its group has stopped.
    Stopped,
    /// Finished, waiting for its next attempt, or unknown.
    Done,
}

/// Locks the job's row until the end of the transaction, when it is still to be done.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Fence, sqlx::Error> {
    let row: Option<(Uuid,)> = sqlx::query_as("select id from jobs where id = $1 and state = 'available' for update")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    Ok(if row.is_some() { Fence::Held } else { Fence::AlreadyDone })
}

/// Asks for many at once, without locks.
pub(crate) async fn standings(pool: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, Standing>, sqlx::Error> {
    let rows: Vec<(Uuid, i32, i32, bool, bool)> = sqlx::query_as(
        "select j.id, j.attempt, j.max_attempts, g.root_id is not null,
                j.cancel_requested_at is not null or coalesce(g.state, 'open') <> 'open'
         from jobs j left join groups g on g.id = j.group_id
         where j.id = any($1) and j.state = 'available'",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, attempt, max_attempts, nested, stopped)| {
            (id, if stopped { Standing::Stopped } else { Standing::Due { attempt, max_attempts, nested } })
        })
        .collect())
}
