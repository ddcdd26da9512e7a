//! Rows that an upload has replaced (`on_duplicate=replace`), when that upload does not count any more.
//!
//! They are kept as they were, with the segment that they were in. Of a key that several uploads have replaced, one after the other, each has
//! its row here but the last one, whose row counts.

use gristmill_core::ClientId;
use gristmill_pipelines::{Kind, Table};
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::UploadId;

/// The uploads whose rows come back when this one ceases to count.
pub(crate) async fn owners(on: impl PgExecutor<'_>, upload_id: UploadId) -> Result<Vec<UploadId>, sqlx::Error> {
    sqlx::query_scalar("select distinct upload_id from replaced_rows where replaced_by = $1")
        .bind(upload_id)
        .fetch_all(on)
        .await
}

/// Whether a debt would come back whose upload was billed since, up to a day behind the debt's: no run would bill it any more. Or one whose upload
/// is being billed at this moment.
pub(crate) async fn are_billed(on: impl PgExecutor<'_>, upload_id: UploadId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (
             select from debts_replaced o join uploads u on u.id = o.upload_id left join billing_runs r on r.id = u.billed_by
             where o.replaced_by = $1
               and not exists (select from debts_replaced later where later.upload_id = $1 and later.debt_id = o.debt_id)
               and (u.billed_through >= o.due_date or r.finished_at is null and r.state in ('queued', 'running')))",
    )
    .bind(upload_id)
    .fetch_one(on)
    .await
}

#[derive(FromRow)]
struct Segment {
    id: i32,
    /// Its rows count. Else they were kept for long enough.
    is_there: bool,
}

/// Gives the rows back that an upload has replaced, in the transaction in which it ceases to count, or does not begin to: its own rows of these keys
/// go, wherever the others are to be. Behind the client's lock ([`crate::segments::lock_client`]), held alone.
///
/// A row that was replaced by this upload's, which a later one has replaced, was then replaced by that one.
///
/// # Errors
/// When Postgres cannot be reached or refuses a statement.
pub async fn give_back(
    conn: &mut PgConnection,
    table: &Table,
    client_id: ClientId,
    upload_id: UploadId,
) -> Result<(), sqlx::Error> {
    let (replaced, key, columns) = (table.replaced(), table.key, table.columns.join(", "));
    let later = format!(
        "update {replaced} o set replaced_by = later.replaced_by, by_line = later.by_line, replaced_at = later.replaced_at
         from {replaced} later where o.replaced_by = $1 and later.upload_id = $1 and later.{key} = o.{key}"
    );
    sqlx::query(&later).bind(upload_id).execute(&mut *conn).await?;
    let own = format!("delete from {replaced} where upload_id = $1");
    sqlx::query(&own).bind(upload_id).execute(&mut *conn).await?;
    // In their order: so does who drops them.
    let segments: Vec<Segment> = sqlx::query_as(
        "select s.id, s.state <> 'dropping' as is_there from row_segments s
         where s.id in (select segment from replaced_rows where replaced_by = $1) order by s.id for update",
    )
    .bind(upload_id)
    .fetch_all(&mut *conn)
    .await?;
    for Segment { id, .. } in segments.into_iter().filter(|segment| segment.is_there) {
        let name = format!("{}_{id}", table.name);
        // Beside its own those of uploads that have ended, and are not purged yet.
        let stale = format!(
            "delete from {name} s using {replaced} o, uploads u
             where o.replaced_by = $1 and o.segment = $2 and s.client_id = $3 and s.{key} = o.{key}
               and u.id = s.upload_id and (u.id = $1 or u.state <> 'completed')"
        );
        sqlx::query(&stale).bind(upload_id).bind(id).bind(client_id).execute(&mut *conn).await?;
        let back = format!(
            "insert into {name} ({columns}) select {columns} from {replaced} where replaced_by = $1 and segment = $2"
        );
        sqlx::query(&back).bind(upload_id).bind(id).execute(&mut *conn).await?;
        sqlx::query("select reopen_segment($1)").bind(id).execute(&mut *conn).await?;
    }
    if table.name == Kind::Debts.table().name {
        // The runs that have billed their uploads since did not see them.
        sqlx::query(
            "update uploads u set next_due = least(u.next_due, o.due)
             from (select upload_id, min(due_date) as due from debts_replaced where replaced_by = $1 group by upload_id) o
             where u.id = o.upload_id and u.billed_through is not null",
        )
        .bind(upload_id)
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query(
        "update upload_progress p set superseded = p.superseded - o.n
         from (select upload_id, count(*) as n from replaced_rows where replaced_by = $1 group by upload_id) o
         where p.upload_id = o.upload_id",
    )
    .bind(upload_id)
    .execute(&mut *conn)
    .await?;
    let gone = format!("delete from {replaced} where replaced_by = $1");
    sqlx::query(&gone).bind(upload_id).execute(&mut *conn).await?;
    sqlx::query("update upload_progress set replaced = 0 where upload_id = $1").bind(upload_id).execute(conn).await?;
    Ok(())
}

/// Forgets what was replaced of uploads whose rows are dropped, as they were kept for long enough.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn forget(on: impl PgExecutor<'_>, table: &Table, uploads: &[UploadId]) -> Result<(), sqlx::Error> {
    let forget = format!("delete from {} where upload_id = any($1)", table.replaced());
    sqlx::query(&forget).bind(uploads).execute(on).await.map(drop)
}
