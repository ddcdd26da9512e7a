//! The rows of an upload, wherever they are.

use gristmill_pipelines::{Table, claims::ids_of_upload};
use gristmill_uploads::{UploadId, segments::Segments};
use sqlx::{Executor as _, PgConnection};

use crate::segments::{Segment, inbox, loaded};

/// Of a table without segments: its rows' keys begin with the time of their upload.
macro_rules! by_key {
    () => {
        "{from} where client_id = (select client_id from uploads where id = $1) and {key} between $2 and $3 and upload_id = $1"
    };
}

/// How many rows of the upload count, once it is completed.
pub(crate) async fn count(
    conn: &mut PgConnection,
    table: &'static Table,
    upload_id: UploadId,
) -> Result<i64, sqlx::Error> {
    if !table.segments {
        let (first, last) = ids_of_upload(upload_id.get());
        let count = format!(by_key!(), from = format_args!("select count(*) from {}", table.name), key = table.key);
        return sqlx::query_scalar(&count).bind(upload_id).bind(first).bind(last).fetch_one(conn).await;
    }
    match Segments::of_upload(&mut *conn, table.name, upload_id).await? {
        Segments::Shared(id) => {
            let shared = Segment { table, id, is_own: false };
            let count = format!("select count(*) from {} where upload_id = $1", shared.name());
            sqlx::query_scalar(&count).bind(upload_id).fetch_one(conn).await
        }
        Segments::Own(_) => of_own(conn, table, upload_id).await,
    }
}

/// They were counted when they were indexed, unless a worker of an earlier version did that.
async fn of_own(conn: &mut PgConnection, table: &'static Table, upload_id: UploadId) -> Result<i64, sqlx::Error> {
    let counted: Vec<(i32, Option<i64>)> = sqlx::query_as("select id, rows from row_segments where upload_id = $1")
        .bind(upload_id)
        .fetch_all(&mut *conn)
        .await?;
    let mut all = 0;
    for (id, rows) in counted {
        let count = format!("select count(*) from {}", Segment { table, id, is_own: true }.name());
        all += match rows {
            Some(rows) => rows,
            None => sqlx::query_scalar(&count).fetch_one(&mut *conn).await?,
        };
    }
    Ok(all)
}

/// Removes the rows of the upload, and its own segments with them.
pub(crate) async fn delete(
    conn: &mut PgConnection,
    table: &'static Table,
    upload_id: UploadId,
) -> Result<(), sqlx::Error> {
    if !table.segments {
        let (first, last) = ids_of_upload(upload_id.get());
        let delete = format!(by_key!(), from = format_args!("delete from {}", table.name), key = table.key);
        return sqlx::query(&delete).bind(upload_id).bind(first).bind(last).execute(conn).await.map(drop);
    }
    sqlx::query(&format!("delete from {} where upload_id = $1", inbox(table)))
        .bind(upload_id)
        .execute(&mut *conn)
        .await?;
    loaded::forget(&mut *conn, upload_id).await?;
    let ids = match Segments::of_upload(&mut *conn, table.name, upload_id).await? {
        Segments::Shared(id) => {
            // It may have been dropped since, with the rows of all its uploads.
            let is_there: bool = sqlx::query_scalar("select exists (select from row_segments where id = $1)")
                .bind(id)
                .fetch_one(&mut *conn)
                .await?;
            if !is_there {
                return Ok(());
            }
            let shared = Segment { table, id, is_own: false };
            let delete = format!("delete from {} where upload_id = $1", shared.name());
            return sqlx::query(&delete).bind(upload_id).execute(conn).await.map(drop);
        }
        Segments::Own(ids) => ids,
    };
    // A segment of the table is dropped while nobody reads the table: who does is waited for, but not for long, as others
    // wait behind this. The job is then tried again.
    conn.execute("set local lock_timeout = '1s'").await?;
    for id in ids {
        sqlx::query("select drop_segment($1)").bind(id).execute(&mut *conn).await?;
    }
    Ok(())
}
