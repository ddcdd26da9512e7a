//! What Postgres' planner knows of tables that were filled a moment ago.
//!
//! Autovacuum looks at a table anew when a tenth of it has changed: a client's twenty thousand rows behind another's million
//! are none of its business, and plans are made as if they were not there. Billing runs, files and their mails all fill tables,
//! so who fills them does not ask for it: one that has changed by a bulk is looked at within half a minute, beside every job.

use sqlx::PgPool;

/// The tables of which the statistics miss at least 20,000 rows and a hundredth of all, and that nobody looked at within the
/// last minute; the worst first. Names are quoted.
const STALE: &str = "
    select format('%I.%I', s.schemaname, s.relname), s.n_mod_since_analyze
    from pg_stat_user_tables s join pg_class c on c.oid = s.relid
    where s.schemaname = any(current_schemas(false) || 'gristmill'::name) and c.relkind = 'r'
      and s.n_mod_since_analyze >= greatest(20000, c.reltuples / 100)
      and coalesce(greatest(s.last_analyze, s.last_autoanalyze) < pg_catalog.clock_timestamp() - interval '1 minute', true)
    order by s.n_mod_since_analyze desc";

/// Has Postgres look at them, one after the other, as gently as autovacuum does. A table that is in other hands, autovacuum's or a
/// migration's, is left to them until the next time.
pub(crate) async fn refresh(pool: &PgPool) -> anyhow::Result<()> {
    let stale: Vec<(String, i64)> = sqlx::query_as(STALE).fetch_all(pool).await?;
    for (table, changed) in stale {
        let mut tx = pool.begin().await?;
        // One scheduler is enough.
        let alone: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtext('gristmill statistics'))")
            .fetch_one(&mut *tx)
            .await?;
        if !alone {
            return Ok(());
        }
        sqlx::query("set local vacuum_cost_delay = '2ms'").execute(&mut *tx).await?;
        sqlx::query(&format!("analyze (skip_locked) {table}")).execute(&mut *tx).await?;
        tx.commit().await?;
        tracing::debug!(table, changed, "the planner knows of the table's new rows");
    }
    Ok(())
}
