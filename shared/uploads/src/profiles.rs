//! What clients have saved of how their files are written.

use std::collections::BTreeMap;

use gristmill_core::ClientId;
use gristmill_pipelines::{Kind, Profile, Said, UseProfile, header_fingerprint};
use jiff_sqlx::Timestamp;
use sqlx::{FromRow, PgExecutor, types::Json};

/// How many a client may have.
pub const MAX_PROFILES: i64 = 1_000;
/// Characters of a name.
pub const MAX_NAME: usize = 100;

/// What a profile says, by the names of the parameters of an upload, each of them one of [`Said::PARAMETERS`].
pub type Words = BTreeMap<String, String>;

/// A client's profile.
#[derive(Debug, Clone)]
pub struct SavedProfile {
    /// What it is called.
    pub name: String,
    /// Of which files.
    pub kind: Kind,
    /// What it says.
    pub words: Words,
    /// The names of the columns in the header that chooses it; `None`: it holds where it is named.
    pub header: Option<Vec<String>>,
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// When it was put last.
    pub updated_at: jiff::Timestamp,
}

#[derive(FromRow)]
struct Row {
    name: String,
    kind: String,
    said: Json<Words>,
    header: Option<Vec<String>>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for SavedProfile {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let Row { name, kind, said: Json(words), header, created_at, updated_at } = row;
        let kind = kind.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self { name, kind, words, header, created_at: created_at.to_jiff(), updated_at: updated_at.to_jiff() })
    }
}

/// Reads what a profile is to say.
///
/// # Errors
/// A word is no parameter, or cannot be said of the kind; with its name, and what can.
pub fn read(kind: Kind, words: &Words) -> Result<Said, (String, String)> {
    let mut said = Said::default();
    for (parameter, text) in words {
        said.say(Some(kind), parameter, text).map_err(|why| (parameter.clone(), why))?;
    }
    Ok(said)
}

impl SavedProfile {
    /// For who reads a file.
    ///
    /// # Errors
    /// When what was saved cannot be said any more.
    pub fn profile(&self) -> Result<Profile, sqlx::Error> {
        let said = read(self.kind, &self.words).map_err(|(parameter, why)| {
            sqlx::Error::Decode(format!("profile '{}' says what cannot be said: {parameter}: {why}", self.name).into())
        })?;
        Ok(Profile { name: self.name.clone(), header: self.header.as_deref().map(header_fingerprint), said })
    }
}

/// A client's profiles by name, those behind `after` (empty: from the first on).
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    after: &str,
    limit: i64,
) -> Result<Vec<SavedProfile>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select name, kind, said, header, created_at, updated_at from profiles
         where client_id = $1 and name > $2 order by name limit $3",
    )
    .bind(client_id)
    .bind(after)
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.into_iter().map(SavedProfile::try_from).collect()
}

/// A client's profile of this name.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    name: &str,
) -> Result<Option<SavedProfile>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select name, kind, said, header, created_at, updated_at from profiles where client_id = $1 and name = $2",
    )
    .bind(client_id)
    .bind(name)
    .fetch_optional(on)
    .await?;
    row.map(SavedProfile::try_from).transpose()
}

/// Those of a client's profiles of a kind that the header of a file may choose, of which this is said: none where one is named, or none is
/// to hold.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn by_header(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    kind: Kind,
    said: &Said,
) -> Result<Vec<Profile>, sqlx::Error> {
    if said.profile != UseProfile::ByHeader {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select name, kind, said, header, created_at, updated_at from profiles
         where client_id = $1 and kind = $2 and fingerprint is not null order by name",
    )
    .bind(client_id)
    .bind(kind.to_string())
    .fetch_all(on)
    .await?;
    rows.into_iter().map(|row| SavedProfile::try_from(row)?.profile()).collect()
}

/// Why a profile cannot be put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Another one of the kind is chosen by the same header.
    #[error("the profile '{0}' is chosen by the same header already: one header chooses one profile")]
    HeaderTaken(String),
    /// There are as many as there may be.
    #[error("there are {MAX_PROFILES} profiles already: delete one first")]
    TooMany,
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes a profile, or puts it in place of the one of its name.
///
/// # Errors
/// See [`PutError`].
pub async fn put(
    conn: &mut sqlx::PgConnection,
    client_id: ClientId,
    name: &str,
    kind: Kind,
    words: &Words,
    header: Option<&[String]>,
) -> Result<(), PutError> {
    let fingerprint = header.map(header_fingerprint);
    // Two that are put at once are counted one after the other.
    sqlx::query("select pg_advisory_xact_lock(hashtext('profiles'), $1)").bind(client_id).execute(&mut *conn).await?;
    let (others, taken): (i64, Option<String>) = sqlx::query_as(
        "select count(*), min(name) filter (where kind = $3 and fingerprint = $4)
         from profiles where client_id = $1 and name <> $2",
    )
    .bind(client_id)
    .bind(name)
    .bind(kind.to_string())
    .bind(fingerprint.as_ref().map(<[u8; 32]>::as_slice))
    .fetch_one(&mut *conn)
    .await?;
    if let Some(taken) = taken {
        return Err(PutError::HeaderTaken(taken));
    }
    if others >= MAX_PROFILES {
        return Err(PutError::TooMany);
    }
    sqlx::query(
        "insert into profiles (client_id, name, kind, said, header, fingerprint) values ($1, $2, $3, $4, $5, $6)
         on conflict (client_id, name) do update
         set kind = excluded.kind, said = excluded.said, header = excluded.header, fingerprint = excluded.fingerprint,
             updated_at = now()",
    )
    .bind(client_id)
    .bind(name)
    .bind(kind.to_string())
    .bind(Json(words))
    .bind(header)
    .bind(fingerprint.as_ref().map(<[u8; 32]>::as_slice))
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a profile. `false`: there was none.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn delete(on: impl PgExecutor<'_>, client_id: ClientId, name: &str) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("delete from profiles where client_id = $1 and name = $2")
        .bind(client_id)
        .bind(name)
        .execute(on)
        .await?;
    Ok(deleted.rows_affected() > 0)
}
