//! Files that arrive in as many requests as it takes.
//!
//! What has come is kept as pieces, each an object `resumable/<id>/<number>`, and how far they reach stands in the ledger: whichever
//! process has the next request goes on from there. The last request that began to write is the only one that may: one that was
//! written off, and is still alive, cannot add to what came after it. Whole files are read in as any other by
//! [`UploadService::receive`](crate::UploadService::receive), by whoever has the lease.

mod pieces;
mod retention;

use std::time::Duration;

use gristmill_core::ClientId;
use gristmill_platform::config::LimitsConfig;
use jiff_sqlx::Timestamp;
use serde_json::Value;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

use crate::{UploadId, client_limits};

pub use pieces::{PIECE_BYTES, Piece, content, drop_objects, store_piece};
pub use retention::prune;

gristmill_core::id! {
    /// A file that arrives in several requests. Of version 7: sorted by time of creation.
    pub struct ResumableId(uuid::Uuid);
}

/// How long who reads a whole file in may be silent before another one does.
const LEASE: Duration = Duration::from_secs(20);
/// How long a part outlives the files that it is put into, at least.
const PART_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where such a file stands.
#[derive(Debug, Clone, FromRow)]
pub struct Resumable {
    /// Which.
    pub id: ResumableId,
    /// Whose.
    pub client_id: ClientId,
    /// Bytes that it will have, if that is known yet.
    pub length: Option<i64>,
    /// Bytes that are kept.
    pub received: i64,
    /// As the client sent it.
    pub metadata: Option<String>,
    /// What was said of the file, as a query. `None`: it is a part of files.
    pub parameters: Option<String>,
    /// The parts that it is put together of.
    pub parts: Option<Vec<ResumableId>>,
    /// The upload that it became.
    pub upload_id: Option<UploadId>,
    /// Why it did not become one.
    pub problem: Option<Json<Value>>,
    /// When it goes, unless something arrives before.
    pub expires_at: Timestamp,
    /// That time is over.
    pub expired: bool,
}

impl Resumable {
    /// Every byte is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.length == Some(self.received)
    }

    /// It is no file by itself.
    #[must_use]
    pub const fn is_part(&self) -> bool {
        self.parameters.is_none()
    }

    /// By this key the upload is known that it becomes, so that it becomes one only.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("tus:{}", self.id)
    }
}

/// What is known of a file before it arrives.
#[derive(Debug, Clone)]
pub struct NewResumable {
    /// Whose.
    pub client_id: ClientId,
    /// As in [`Resumable`].
    pub length: Option<i64>,
    /// As in [`Resumable`].
    pub metadata: Option<String>,
    /// As in [`Resumable`].
    pub parameters: Option<String>,
}

/// Why such a file cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The client has as many of them as it may.
    #[error("{limit} resumable uploads of the client have not ended")]
    TooMany {
        /// How many it may have.
        limit: u64,
    },
    /// The client's files that are not closed yet have more bytes together than they may.
    #[error(
        "the client's files that arrive or are worked on may have {limit} bytes together, and the others have {others}"
    )]
    TooMuch {
        /// Bytes that all may have.
        limit: u64,
        /// Bytes that the others have.
        others: u64,
    },
    /// The client has no such part.
    #[error("there is no partial upload '{0}'")]
    NoPart(ResumableId),
    /// A part has not arrived whole.
    #[error("the partial upload '{0}' is not whole")]
    UnfinishedPart(ResumableId),
    /// The parts have more bytes together than a file may.
    #[error("the parts have {bytes} bytes together, and a file may have {limit}")]
    TooLarge {
        /// Bytes of the parts.
        bytes: i64,
        /// Bytes that a file may have.
        limit: u64,
    },
    /// The database did not take it.
    #[error("the ledger did not take it")]
    Database(#[from] sqlx::Error),
}

/// Begins a file, of which nothing is there yet.
///
/// # Errors
/// See [`BeginError`].
pub async fn begin(pool: &PgPool, limits: &LimitsConfig, new: &NewResumable) -> Result<Resumable, BeginError> {
    let id = ResumableId::from(Uuid::now_v7());
    let mut tx = pool.begin().await?;
    may_begin(&mut tx, limits, new.client_id, new.length.unwrap_or_default()).await?;
    sqlx::query(
        "insert into resumable_uploads (id, client_id, length, metadata, parameters, expires_at)
         values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
    )
    .bind(id)
    .bind(new.client_id)
    .bind(new.length)
    .bind(&new.metadata)
    .bind(&new.parameters)
    .bind(limits.keep_resumable.as_secs_f64())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(find(pool, new.client_id, id).await?.ok_or(sqlx::Error::RowNotFound)?)
}

/// Puts a file together of parts that are whole. Asked for again in the same words it is the same file: the answer to the first
/// request may have been lost.
///
/// # Errors
/// See [`BeginError`].
pub async fn concatenate(
    pool: &PgPool,
    limits: &LimitsConfig,
    new: &NewResumable,
    parts: &[ResumableId],
) -> Result<Resumable, BeginError> {
    let id = ResumableId::from(Uuid::now_v7());
    let mut tx = pool.begin().await?;
    lock_client(&mut tx, new.client_id).await?;
    let earlier: Option<ResumableId> = sqlx::query_scalar(
        "select id from resumable_uploads where client_id = $1 and parts = $2 and parameters = $3 and expires_at > now()",
    )
    .bind(new.client_id)
    .bind(parts)
    .bind(&new.parameters)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(earlier) = earlier {
        tx.commit().await?;
        return Ok(find(pool, new.client_id, earlier).await?.ok_or(sqlx::Error::RowNotFound)?);
    }
    let mut bytes = 0_i64;
    for part in parts {
        let found: Option<(i64, bool)> = sqlx::query_as(
            "update resumable_uploads set expires_at = greatest(expires_at, now() + make_interval(secs => $3))
             where id = $1 and client_id = $2 and parameters is null and expires_at > now()
             returning received, length is not null and received = length",
        )
        .bind(part)
        .bind(new.client_id)
        .bind((limits.keep_resumable + PART_GRACE).as_secs_f64())
        .fetch_optional(&mut *tx)
        .await?;
        match found {
            None => return Err(BeginError::NoPart(*part)),
            Some((_, false)) => return Err(BeginError::UnfinishedPart(*part)),
            Some((received, true)) => bytes = bytes.saturating_add(received),
        }
    }
    if bytes.unsigned_abs() > limits.max_file_bytes {
        return Err(BeginError::TooLarge { bytes, limit: limits.max_file_bytes });
    }
    sqlx::query(
        "insert into resumable_uploads (id, client_id, length, received, metadata, parameters, parts, expires_at)
         values ($1, $2, $3, $3, $4, $5, $6, now() + make_interval(secs => $7))",
    )
    .bind(id)
    .bind(new.client_id)
    .bind(bytes)
    .bind(&new.metadata)
    .bind(&new.parameters)
    .bind(parts)
    .bind(limits.keep_resumable.as_secs_f64())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(find(pool, new.client_id, id).await?.ok_or(sqlx::Error::RowNotFound)?)
}

/// Two beginnings of one client come after each other, so that they see each other.
async fn lock_client(conn: &mut sqlx::PgConnection, client_id: ClientId) -> Result<(), sqlx::Error> {
    let lock = sqlx::query("select pg_advisory_xact_lock(hashtext('resumable'), $1)");
    lock.bind(client_id).execute(conn).await.map(drop)
}

async fn may_begin(
    conn: &mut sqlx::PgConnection,
    limits: &LimitsConfig,
    client_id: ClientId,
    length: i64,
) -> Result<(), BeginError> {
    lock_client(conn, client_id).await?;
    let (open, bytes): (i64, i64) = sqlx::query_as(
        "select count(*), coalesce(sum(coalesce(length, received)), 0)::bigint from resumable_uploads
         where client_id = $1 and parts is null and upload_id is null and problem is null and expires_at > now()",
    )
    .bind(client_id)
    .fetch_one(&mut *conn)
    .await?;
    if open.unsigned_abs() >= limits.max_resumable {
        return Err(BeginError::TooMany { limit: limits.max_resumable });
    }
    let limit = client_limits::find(&mut *conn, client_id).await?.over(limits).max_bytes_under_way;
    let under_way = client_limits::under_way(&mut *conn, client_id, UploadId::from(Uuid::nil())).await?;
    let others = under_way.saturating_add(bytes.unsigned_abs());
    if others.saturating_add(length.unsigned_abs()) > limit {
        return Err(BeginError::TooMuch { limit, others });
    }
    Ok(())
}

/// The client's file; another client's is not there.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(pool: &PgPool, client_id: ClientId, id: ResumableId) -> Result<Option<Resumable>, sqlx::Error> {
    sqlx::query_as(
        "select id, client_id, length, received, metadata, parameters, parts, upload_id, problem, expires_at,
                expires_at <= now() as expired
         from resumable_uploads where id = $1 and client_id = $2",
    )
    .bind(id)
    .bind(client_id)
    .fetch_optional(pool)
    .await
}

/// The right to add to a file, until another request takes it.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    id: ResumableId,
    token: Uuid,
}

/// Takes the right to add to a file at `offset`, from whoever has it. `None`: it ends elsewhere by now, or is not there any more.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn write_at(
    pool: &PgPool,
    id: ResumableId,
    offset: i64,
    length: Option<i64>,
) -> Result<Option<Writer>, sqlx::Error> {
    let token = Uuid::new_v4();
    let taken = sqlx::query(
        "update resumable_uploads set writer = $2, length = coalesce(length, $4)
         where id = $1 and received = $3 and parts is null and upload_id is null and problem is null and expires_at > now()
           and ($4::bigint is null or length is null or length = $4)",
    )
    .bind(id)
    .bind(token)
    .bind(offset)
    .bind(length)
    .execute(pool)
    .await?;
    Ok((taken.rows_affected() == 1).then_some(Writer { id, token }))
}

impl Writer {
    /// Which file it adds to.
    #[must_use]
    pub const fn of(&self) -> ResumableId {
        self.id
    }

    /// Whether it still may: no other request has begun to write, and the file is there.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn may_write(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        let asked = sqlx::query_scalar(
            "select exists (select from resumable_uploads
                            where id = $1 and writer = $2 and upload_id is null and problem is null)",
        );
        asked.bind(self.id).bind(self.token).fetch_one(pool).await
    }

    /// The right to read the file in, of who has entered its last piece.
    #[must_use]
    pub const fn reader(self) -> Reader {
        Reader(self)
    }

    /// Enters pieces that are stored, which begin at `offset`: all of them or, when another request writes by now, none. With the last
    /// piece of a file goes the right to read it in.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement: then they may have been entered.
    pub async fn enter(
        &self,
        pool: &PgPool,
        offset: i64,
        pieces: &[Piece],
        keep: Duration,
    ) -> Result<bool, sqlx::Error> {
        let (mut starts, mut next) = (Vec::with_capacity(pieces.len()), offset);
        for piece in pieces {
            starts.push(next);
            next += piece.bytes;
        }
        let entered = sqlx::query(
            "with moved as (
                 update resumable_uploads
                 set received = $4, expires_at = now() + make_interval(secs => $5),
                     leased_until = case when $4 = length and parameters is not null then now() + make_interval(secs => $9) end
                 where id = $1 and writer = $2 and received = $3 and upload_id is null and problem is null
                 returning id)
             insert into resumable_pieces (resumable_id, first_byte, bytes, object)
             select moved.id, p.* from moved, unnest($6::bigint[], $7::bigint[], $8::uuid[]) p",
        )
        .bind(self.id)
        .bind(self.token)
        .bind(offset)
        .bind(next)
        .bind(keep.as_secs_f64())
        .bind(&starts)
        .bind(pieces.iter().map(|piece| piece.bytes).collect::<Vec<_>>())
        .bind(pieces.iter().map(|piece| piece.object).collect::<Vec<_>>())
        .bind(LEASE.as_secs_f64())
        .execute(pool)
        .await?;
        Ok(entered.rows_affected() > 0 || pieces.is_empty())
    }
}

/// The right to read a whole file in, until `leased_until`.
#[derive(Debug, Clone, Copy)]
pub struct Reader(Writer);

/// Files that are whole and that nobody reads in.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn unread(pool: &PgPool) -> Result<Vec<Resumable>, sqlx::Error> {
    sqlx::query_as(
        "select id, client_id, length, received, metadata, parameters, parts, upload_id, problem, expires_at,
                expires_at <= now() as expired
         from resumable_uploads
         where received = length and parameters is not null and upload_id is null and problem is null
           and (leased_until is null or leased_until < now())
         order by id limit 16",
    )
    .fetch_all(pool)
    .await
}

/// Takes the right to read a whole file in. `None`: somebody has it, or the file was read in.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn read_in(pool: &PgPool, id: ResumableId) -> Result<Option<Reader>, sqlx::Error> {
    let token = Uuid::new_v4();
    let taken = sqlx::query(
        "update resumable_uploads set writer = $2, leased_until = now() + make_interval(secs => $3)
         where id = $1 and received = length and parameters is not null and upload_id is null and problem is null
           and (leased_until is null or leased_until < now())",
    )
    .bind(id)
    .bind(token)
    .bind(LEASE.as_secs_f64())
    .execute(pool)
    .await?;
    Ok((taken.rows_affected() == 1).then_some(Reader(Writer { id, token })))
}

impl Reader {
    /// Keeps the lease for as long as it runs, which is until somebody else has it.
    pub async fn renew(self, pool: PgPool) {
        loop {
            tokio::time::sleep(LEASE / 4).await;
            let renewed = self.lease(&pool, LEASE).await;
            match renewed {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(resumable_id = %self.0.id, %error, "a lease could not be renewed"),
            }
        }
    }

    async fn lease(&self, pool: &PgPool, time: Duration) -> Result<bool, sqlx::Error> {
        let update = sqlx::query(
            "update resumable_uploads set leased_until = now() + make_interval(secs => $3)
             where id = $1 and writer = $2 and upload_id is null and problem is null",
        );
        let leased = update.bind(self.0.id).bind(self.0.token).bind(time.as_secs_f64()).execute(pool).await?;
        Ok(leased.rows_affected() == 1)
    }

    /// It could not be read in now: somebody may try again after this time.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement: the lease then runs out.
    pub async fn put_off(&self, pool: &PgPool, time: Duration) -> Result<(), sqlx::Error> {
        self.lease(pool, time).await.map(drop)
    }

    /// Says what it came to. What it came to first stays.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement: whoever reads it in again comes to the same.
    pub async fn end(&self, pool: &PgPool, became: Result<UploadId, Value>) -> Result<(), sqlx::Error> {
        let (upload_id, problem) = match became {
            Ok(id) => (Some(id), None),
            Err(problem) => (None, Some(Json(problem))),
        };
        sqlx::query(
            "update resumable_uploads set upload_id = $2, problem = $3, leased_until = null
             where id = $1 and upload_id is null and problem is null",
        )
        .bind(self.0.id)
        .bind(upload_id)
        .bind(problem)
        .execute(pool)
        .await?;
        // Its parts may be put together once more, but need not wait for that as long as what still arrives.
        let parts = sqlx::query(
            "update resumable_uploads set expires_at = least(expires_at, now() + interval '1 hour')
             where id in (select unnest(f.parts) from resumable_uploads f where f.id = $1)",
        );
        parts.bind(self.0.id).execute(pool).await.map(drop)
    }
}

/// Removes a file that has not become an upload, or what is known of one that has; its objects are to be dropped then. `false`: it is
/// being read in, or is a part of a file that is.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn remove(pool: &PgPool, client_id: ClientId, id: ResumableId) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query(
        "delete from resumable_uploads r where r.id = $1 and r.client_id = $2
           and (r.leased_until is null or r.leased_until < now())
           and not exists (
               select from resumable_uploads f where f.client_id = $2 and f.parts @> array[$1]
                 and f.upload_id is null and f.problem is null)",
    )
    .bind(id)
    .bind(client_id)
    .execute(pool)
    .await?;
    Ok(removed.rows_affected() == 1)
}
