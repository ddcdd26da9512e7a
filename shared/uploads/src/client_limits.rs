//! What one client may take: as the process is set, unless an operator has said otherwise of the client.

use gristmill_core::ClientId;
use gristmill_platform::config::LimitsConfig;
use sqlx::{FromRow, PgExecutor};

use crate::UploadId;

/// What holds for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Rejects kept of one upload; those beyond are counted.
    pub max_rejects: u64,
    /// To how many times its size a compressed body may unpack; 0: to any.
    pub max_ratio: u64,
    /// Bytes of the client's files that arrive or are worked on, decompressed, together.
    pub max_bytes_under_way: u64,
}

/// What an operator has said of a client; `None`: as the setting says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct OwnLimits {
    /// As [`ClientLimits::max_rejects`].
    pub max_rejects: Option<i64>,
    /// As [`ClientLimits::max_ratio`].
    pub max_ratio: Option<i64>,
    /// As [`ClientLimits::max_bytes_under_way`].
    pub max_bytes_under_way: Option<i64>,
}

impl OwnLimits {
    /// What holds, with the process' settings for what nobody said.
    #[must_use]
    pub fn over(self, settings: &LimitsConfig) -> ClientLimits {
        let or = |own: Option<i64>, setting: u64| own.map_or(setting, i64::unsigned_abs);
        ClientLimits {
            max_rejects: or(self.max_rejects, settings.max_rejects),
            max_ratio: or(self.max_ratio, settings.max_ratio),
            max_bytes_under_way: or(self.max_bytes_under_way, settings.max_bytes_under_way),
        }
    }
}

/// What was said of a client.
pub async fn find(db: impl PgExecutor<'_>, client_id: ClientId) -> Result<OwnLimits, sqlx::Error> {
    let said =
        sqlx::query_as("select max_rejects, max_ratio, max_bytes_under_way from client_limits where client_id = $1");
    Ok(said.bind(client_id).fetch_optional(db).await?.unwrap_or_default())
}

/// Says it. All of it: what is `None` is as the setting says from now on.
pub async fn put(db: impl PgExecutor<'_>, client_id: ClientId, limits: &OwnLimits) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into client_limits (client_id, max_rejects, max_ratio, max_bytes_under_way) values ($1, $2, $3, $4)
         on conflict (client_id) do update
         set max_rejects = excluded.max_rejects, max_ratio = excluded.max_ratio,
             max_bytes_under_way = excluded.max_bytes_under_way",
    )
    .bind(client_id)
    .bind(limits.max_rejects)
    .bind(limits.max_ratio)
    .bind(limits.max_bytes_under_way)
    .execute(db)
    .await
    .map(drop)
}

/// Bytes of a client's other files that are not closed yet.
pub(crate) async fn under_way(db: impl PgExecutor<'_>, client_id: ClientId, but: UploadId) -> Result<u64, sqlx::Error> {
    let bytes: i64 = sqlx::query_scalar(
        "select coalesce(sum(coalesce(u.text_bytes, u.bytes, (select sum(c.bytes) from chunks c where c.upload_id = u.id))), 0)::bigint
         from uploads u where u.client_id = $1 and u.state in ('receiving', 'processing') and u.id <> $2",
    )
    .bind(client_id)
    .bind(but)
    .fetch_one(db)
    .await?;
    Ok(bytes.unsigned_abs())
}
