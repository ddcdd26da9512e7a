//! Strict order: of the jobs of one order key one is let in at a time.

use sqlx::{PgConnection, PgPool};

use crate::Schema;

/// Of the advisory locks, those of order keys.
const LOCK_NAMESPACE: i64 = 0x7475_726e;

/// Lets in the next job of keys of which one has come or ended, of at most `limit` such events. It is scheduled for its time then.
/// Returns how many events those were. Several sweepers share the work.
pub(crate) async fn give_turns(schema: Schema, pool: &PgPool, limit: i64) -> Result<u64, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let events: Vec<String> = sqlx::query_scalar(schema.sql(
        "delete from gristmill.order_turns where id in (
            select id from gristmill.order_turns order by id limit $1 for update skip locked)
         returning key",
    ))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    if events.is_empty() {
        return Ok(0);
    }
    let (count, mut keys) = (events.len() as u64, events);
    keys.sort_unstable();
    keys.dedup();
    let_in(schema, &mut tx, &keys).await?;
    tx.commit().await?;
    Ok(count)
}

async fn let_in(schema: Schema, conn: &mut PgConnection, keys: &[String]) -> Result<(), sqlx::Error> {
    // One sweeper at a time looks at a key: each in the same order.
    sqlx::query(
        "select pg_advisory_xact_lock(lock) from (
            select distinct hashtextextended(key, $2) as lock from unnest($1::text[]) as key order by 1) locks",
    )
    .bind(keys)
    .bind(LOCK_NAMESPACE)
    .execute(&mut *conn)
    .await?;
    // A statement of its own: it sees what was committed while we waited for the locks.
    sqlx::query(schema.sql(
        "with next as (
            select n.id from unnest($1::text[]) as k (key) cross join lateral (
                select j.id from gristmill.jobs j where j.order_key = k.key and j.gate = 'turn' and j.state = 'scheduled'
                order by j.order_seq limit 1) n
            where not exists (
                select from gristmill.jobs o where o.order_key = k.key and o.order_key is not null
                  and o.state in ('available', 'scheduled', 'parked') and o.gate is distinct from 'turn')
         ), held as (
            select j.id from gristmill.jobs j where j.id in (select id from next) and j.gate = 'turn' and j.state = 'scheduled'
            order by j.id for update
         )
         update gristmill.jobs j set run_at = greatest(j.due_at, now()), due_at = null, gate = null from held where j.id = held.id",
    ))
    .bind(keys)
    .execute(conn)
    .await
    .map(drop)
}
