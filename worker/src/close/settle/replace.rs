//! Rows that count instead of those of earlier uploads which have their keys: `on_duplicate=replace`. The earlier ones go to a table of their
//! own, from which they come back when the upload is undone. One that is billed stays, as its bill was made of what it says.

use std::{collections::HashSet, time::Duration};

use gristmill_pipelines::Kind;
use gristmill_queue::JobError;
use gristmill_uploads::{UploadId, state};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    close::records::Loaded,
    load::{Chunk, Winner},
    segments::{self, Segment},
};

/// How long a close waits before it looks again whether earlier uploads are still being billed or undone.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// A record that is to replace a row.
pub(super) struct Replacing {
    pub(super) line: i64,
    key: Uuid,
    /// Whose the row is.
    of: UploadId,
}

impl Replacing {
    /// `None`: the row says the same, or is of the same file, of which the first line counts.
    pub(super) fn of(chunk: &Chunk, new: &Loaded, old: &Winner) -> Option<Self> {
        let replaces = old.differs.is_some() && old.upload_id != chunk.upload_id;
        replaces.then(|| Self { line: new.line, key: new.record.loser().key, of: old.upload_id })
    }
}

/// Takes the rows away that have these keys, but for those that are billed, and returns the lines that replace them.
///
/// From here to the end of the transaction no other upload of the client's is completed, and those whose rows these are cannot be undone, or
/// taken on by a billing run. Who does that at this moment is not waited for, as it may wait for this.
pub(super) async fn replace(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    rows: &[Replacing],
) -> Result<HashSet<i64>, JobError> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let uploads: HashSet<UploadId> = rows.iter().map(|row| row.of).collect();
    let uploads: Vec<UploadId> = uploads.into_iter().collect();
    if !state::try_lock_alone(&mut *conn, &uploads).await? || are_being_billed(&mut *conn, &uploads).await? {
        return Err(JobError::Snooze(RETRY_DELAY));
    }
    let (keys, lines): (Vec<Uuid>, Vec<i64>) = rows.iter().map(|row| (row.key, row.line)).unzip();
    let done: Vec<i64> = sqlx::query_scalar(&statement(conn, segment).await?)
        .bind(keys)
        .bind(chunk.owner.client_id)
        .bind(lines)
        .bind(chunk.upload_id)
        .bind(segment.id)
        .fetch_one(&mut *conn)
        .await?;
    Ok(done.into_iter().collect())
}

/// A run that has not ended reads the rows of its uploads at any moment.
async fn are_being_billed(conn: &mut PgConnection, uploads: &[UploadId]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from uploads u join billing_runs r on r.id = u.billed_by
                        where u.id = any($1) and r.finished_at is null and r.state in ('queued', 'running'))",
    )
    .bind(uploads)
    .fetch_one(conn)
    .await
}

/// One statement, so that a row is in one of the two tables at every moment.
async fn statement(conn: &mut PgConnection, segment: Segment) -> Result<String, sqlx::Error> {
    let (table, name) = (segment.table, segment.name());
    let columns = table.columns.join(", ");
    let of_row: Vec<String> = table.columns.iter().map(|column| format!("s.{column}")).collect();
    Ok(format!(
        "with gone as (
             delete from {name} s using (
                 select d.at, ($3::bigint[])[k.place] as by_line {} and exists (select from uploads u where u.id = d.upload_id and u.state = 'completed')
             ) o
             where s.ctid = o.at {} returning {}, o.by_line
         ), kept as (
             insert into {} ({columns}, segment, replaced_by, by_line) select {columns}, $5, $4, by_line from gone order by {}
         ), theirs as (
             update upload_progress p set superseded = p.superseded + g.n
             from (select upload_id, count(*) as n from gone group by upload_id) g where p.upload_id = g.upload_id
         ), ours as (
             update upload_progress set replaced = replaced + (select count(*) from gone) where upload_id = $4
         )
         select coalesce(array_agg(by_line), '{{}}') from gone",
        segments::look_up(segment, "ctid as at, upload_id"),
        unbilled(conn, segment).await?,
        of_row.join(", "),
        table.replaced(),
        table.key,
    ))
}

/// Of the row `s`. Bills are in the segments of their debts, in a table that may not be a part of theirs yet.
async fn unbilled(conn: &mut PgConnection, segment: Segment) -> Result<String, sqlx::Error> {
    if segment.table.name != Kind::Debts.table().name {
        return Ok(String::new());
    }
    let bills = format!("bills_{}", segment.id);
    let are_there: bool = sqlx::query_scalar("select to_regclass($1) is not null").bind(&bills).fetch_one(conn).await?;
    Ok(match are_there {
        true => {
            format!("and not exists (select from {bills} b where b.debt_id = s.debt_id and b.client_id = s.client_id)")
        }
        false => String::new(),
    })
}
