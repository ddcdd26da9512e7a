//! Claims that cease to count: one by request, or all of an upload that is undone. What they have in the books is taken back by
//! counter-entries.

use gristmill_core::ClientId;
use gristmill_pipelines::claims::ids_of_upload;
use gristmill_queue::{Enqueued, Queue, QueueError};
use gristmill_uploads::{UploadId, state};
use jiff_sqlx::Date as SqlDate;
use sqlx::{Executor, FromRow, PgConnection};
use uuid::Uuid;

use crate::{
    accounting,
    claims::{self, State},
    enter::of,
    jobs::VoidUpload,
    providers::{self, Change, Turn},
};

#[derive(FromRow)]
struct VoidedClaim {
    client_id: ClientId,
    state: State,
    provider_npi: String,
    service_date: SqlDate,
    lines: i64,
    net_fee_minor: i64,
}

/// Voids a claim; one that is void stays so. Whoever calls this holds the claim's upload, where it has one, so that it is not
/// undone meanwhile.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn one(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    let found: Option<VoidedClaim> = sqlx::query_as(
        "select client_id, state, provider_npi, service_date, lines, net_fee_minor from claims where id = $1 for update",
    )
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(claim) = found.filter(|claim| claim.state != State::Void) else { return Ok(()) };
    accounting::reverse(&mut *conn, &[id]).await?;
    sqlx::query("update claims set state = 'void', detail = null where id = $1").bind(id).execute(&mut *conn).await?;
    let change = Change {
        client_id: claim.client_id,
        provider_npi: &claim.provider_npi,
        service_date: claim.service_date.to_jiff(),
        claims: -1,
        lines: -claim.lines,
        net_fee_minor: -claim.net_fee_minor,
    };
    providers::add(conn, &change).await
}

/// Voids a client's claim, with the caller's commit: it does not count any more, and what was posted for it is taken back. One
/// that is void stays so. False: the client has no such claim.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of_client(conn: &mut PgConnection, client_id: ClientId, id: Uuid) -> Result<bool, sqlx::Error> {
    let Some(found) = claims::find(&mut *conn, client_id, id).await? else { return Ok(false) };
    if let Some(upload_id) = found.upload_id {
        // Against an undoing of its upload at this moment: one of the two comes first, and the other sees that.
        state::lock(&mut *conn, upload_id).await?;
        if claims::find(&mut *conn, client_id, id).await?.is_none() {
            return Ok(false);
        }
    }
    one(conn, id).await?;
    Ok(true)
}

/// The claims of an upload that is undone cease to count, in that very transaction; the books follow slice by slice.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn upload(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    upload_id: UploadId,
) -> Result<Enqueued, QueueError> {
    conn.execute("set local work_mem = '128MB'").await?;
    providers::add_upload(&mut *conn, upload_id, Turn::Cease).await?;
    queue.enqueue(conn, &VoidUpload { client_id, upload_id }, &of(client_id)).await
}

/// Claims that are taken back at a time.
const BATCH_SIZE: i64 = 2_000;

/// Takes back the next claims of an undone upload, and enqueues a successor where there are more. The claims go, as their
/// lines do; what was posted for them stays in the books with its reversal.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn next(conn: &mut PgConnection, queue: &Queue, job: &VoidUpload) -> Result<Enqueued, QueueError> {
    let (first, last) = ids_of_upload(job.upload_id.get());
    // Held, so that none is paid between here and the commit.
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from claims where id between $1 and $2 and upload_id = $3 order by id limit $4 for update",
    )
    .bind(first)
    .bind(last)
    .bind(job.upload_id)
    .bind(BATCH_SIZE)
    .fetch_all(&mut *conn)
    .await?;
    accounting::reverse(&mut *conn, &ids).await?;
    sqlx::query("delete from claims where id = any($1)").bind(&ids).execute(&mut *conn).await?;
    if (ids.len() as i64) < BATCH_SIZE {
        return Ok(Enqueued::default());
    }
    queue.enqueue(conn, job, &of(job.client_id)).await
}
