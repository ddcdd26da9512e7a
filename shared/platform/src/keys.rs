//! Clients and their API keys. A key is 256 random bits; only its SHA-256 is stored, so it is shown once.

use gristmill_core::ClientId;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use gristmill_core::human;

/// A tenant, as a key proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its number.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// Whether the key is an operator's: it sees and steers everybody's jobs, and the queues.
    pub operator: bool,
}

/// A key that was just made: the only time its secret is known.
#[derive(Debug)]
pub struct NewKey {
    /// The key's id.
    pub id: Uuid,
    /// Whose it is.
    pub client: Client,
    /// `gm_…`, to be sent as `Authorization: Bearer gm_…`.
    pub secret: SecretString,
}

/// A key as a list shows it.
#[derive(Clone, Debug, sqlx::FromRow, serde::Serialize)]
pub struct Key {
    /// The key's id.
    pub id: Uuid,
    /// The first characters of the secret.
    pub prefix: String,
    /// The client's name.
    pub client: String,
    /// Whether it is an operator's.
    pub operator: bool,
    /// Whether it is for looking at the dashboard, and nothing else.
    pub viewer: bool,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was revoked, RFC 3339.
    pub revoked_at: Option<String>,
}

impl Key {
    /// Whose it is: `client`, `viewer` or `operator`.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match (self.operator, self.viewer) {
            (true, _) => "operator",
            (_, true) => "viewer",
            _ => "client",
        }
    }
}

/// Somebody who may come to the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The key that says so.
    pub key_id: Uuid,
    /// The name of the client that the key is of.
    pub client: String,
    /// May steer; else only look.
    pub operator: bool,
}

/// Characters that the name of a client may have.
const MAX_NAME: usize = 100;

/// What is wrong with the name of a new client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing, or blanks alone.
    #[error("it is empty")]
    Empty,
    /// More than 100 characters.
    #[error("it has {0} characters, and {MAX_NAME} are the most")]
    Long(usize),
    /// A control or format character, which a terminal obeys and people do not see.
    #[error("it has a character that cannot be seen, U+{:04X}", u32::from(*.0))]
    Unseen(char),
    /// It would look like another name.
    #[error("it begins or ends with a blank")]
    Blank,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// No client can be called so.
    #[error("no client can have this name: {0}")]
    Name(#[from] BadName),
    /// When Postgres cannot be reached or refuses the statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whether a client may be called so. Those that are called otherwise from before stay as they are.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), BadName> {
    if name.trim().is_empty() {
        return Err(BadName::Empty);
    }
    let letters = name.chars().count();
    if letters > MAX_NAME {
        return Err(BadName::Long(letters));
    }
    if let Some(unseen) = name.chars().find(|c| human::is_unseen(*c)) {
        return Err(BadName::Unseen(unseen));
    }
    if name.trim() != name {
        return Err(BadName::Blank);
    }
    Ok(())
}

/// Makes a key for the client of this name, and the client if there is none.
pub async fn create(pool: &PgPool, client: &str) -> Result<NewKey, MakeError> {
    make(pool, client, Role::Client).await
}

/// As [`create`], for an operator: the key also sees and steers the jobs of every client, and the queues.
pub async fn create_operator(pool: &PgPool, client: &str) -> Result<NewKey, MakeError> {
    make(pool, client, Role::Operator).await
}

/// As [`create`], for somebody who looks at the dashboard: the API refuses the key.
pub async fn create_viewer(pool: &PgPool, client: &str) -> Result<NewKey, MakeError> {
    make(pool, client, Role::Viewer).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Viewer,
    Operator,
}

async fn make(pool: &PgPool, client: &str, role: Role) -> Result<NewKey, MakeError> {
    // A client that is there may have a further key, whatever it is called.
    if client_id(pool, client).await?.is_none() {
        check_name(client)?;
    }
    let secret = format!("gm_{}", hex(&rand::random::<[u8; 32]>()));
    let mut transaction = pool.begin().await?;
    // an update that changes nothing, so that the row is returned when the name is known
    let upsert =
        "insert into clients (name) values ($1) on conflict (name) do update set name = excluded.name returning id";
    let client_id: ClientId = sqlx::query_scalar(upsert).bind(client).fetch_one(&mut *transaction).await?;
    let id = Uuid::now_v7();
    sqlx::query("insert into api_keys (id, client_id, prefix, hash, operator, viewer) values ($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(client_id)
        .bind(&secret[..PREFIX])
        .bind(hash(&secret))
        .bind(role == Role::Operator)
        .bind(role == Role::Viewer)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let operator = role == Role::Operator;
    Ok(NewKey { id, client: Client { id: client_id, name: client.to_owned(), operator }, secret: secret.into() })
}

/// Whether a text is what a key looks like: what is none need not be looked up.
fn is_key(presented: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    presented.strip_prefix("gm_").is_some_and(|rest| rest.len() == 64 && rest.bytes().all(hex))
}

/// Whose key this is; `None` when it is nobody's or revoked. The look-up is by hash, so its time tells nothing.
pub async fn authenticate(pool: &PgPool, presented: &str) -> Result<Option<Client>, sqlx::Error> {
    if !is_key(presented) {
        return Ok(None);
    }
    let found: Option<(ClientId, String, bool)> = sqlx::query_as(
        "select clients.id, clients.name, api_keys.operator from api_keys join clients on clients.id = api_keys.client_id
         where api_keys.hash = $1 and api_keys.revoked_at is null and not api_keys.viewer",
    )
    .bind(hash(presented))
    .fetch_optional(pool)
    .await?;
    Ok(found.map(|(id, name, operator)| Client { id, name, operator }))
}

/// Those of these keys, by their SHA-256, that do not work any more: revoked, or gone with their client.
pub async fn revoked(pool: &PgPool, hashes: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar(
        "select asked.hash from unnest($1::bytea[]) asked (hash)
         where not exists (select from api_keys k where k.hash = asked.hash and k.revoked_at is null)",
    )
    .bind(hashes)
    .fetch_all(pool)
    .await
}

/// Who comes to the dashboard with this key; `None` when it is a client's, nobody's or revoked.
pub async fn visitor(pool: &PgPool, presented: &str) -> Result<Option<Visitor>, sqlx::Error> {
    if !is_key(presented) {
        return Ok(None);
    }
    let found: Option<(Uuid, String, bool)> = sqlx::query_as(
        "select api_keys.id, clients.name, api_keys.operator from api_keys join clients on clients.id = api_keys.client_id
         where api_keys.hash = $1 and api_keys.revoked_at is null and (api_keys.operator or api_keys.viewer)",
    )
    .bind(hash(presented))
    .fetch_optional(pool)
    .await?;
    Ok(found.map(|(key_id, client, operator)| Visitor { key_id, client, operator }))
}

/// Every client: its number and its name, by name.
pub async fn clients(pool: &PgPool) -> Result<Vec<(ClientId, String)>, sqlx::Error> {
    sqlx::query_as("select id, name from clients order by name").fetch_all(pool).await
}

/// The names of these clients, with their numbers.
pub async fn client_names(db: impl PgExecutor<'_>, ids: &[ClientId]) -> Result<Vec<(ClientId, String)>, sqlx::Error> {
    sqlx::query_as("select id, name from clients where id = any($1)").bind(ids).fetch_all(db).await
}

/// The number of the client of this name.
pub async fn client_id(pool: &PgPool, name: &str) -> Result<Option<ClientId>, sqlx::Error> {
    sqlx::query_scalar("select id from clients where name = $1").bind(name).fetch_optional(pool).await
}

/// Every key, newest first.
pub async fn list(pool: &PgPool) -> Result<Vec<Key>, sqlx::Error> {
    sqlx::query_as(
        r#"select api_keys.id, prefix, clients.name as client, operator, viewer,
                  to_char(api_keys.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as created_at,
                  to_char(revoked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as revoked_at
           from api_keys join clients on clients.id = api_keys.client_id order by api_keys.id desc"#,
    )
    .fetch_all(pool)
    .await
}

/// Ends a key, named by its id or its prefix. The number of keys this ended.
pub async fn revoke(pool: &PgPool, id_or_prefix: &str) -> Result<u64, sqlx::Error> {
    let revoked = sqlx::query(
        "update api_keys set revoked_at = now() where (id::text = $1 or prefix = $1) and revoked_at is null",
    );
    Ok(revoked.bind(id_or_prefix).execute(pool).await?.rows_affected())
}

const PREFIX: usize = "gm_".len() + 8;

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
