//! Clients' own rules, as they are kept.

use gristmill_core::ClientId;
use gristmill_pipelines::merchants::{BadRule, MAX_RULES, Rule, Test};
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

/// A rule of a client.
#[derive(Debug, Clone, FromRow)]
pub struct RuleRow {
    /// Which one.
    pub id: Uuid,
    /// How it looks at a descriptor: `contains` or `regex`.
    pub test: String,
    /// What it looks for.
    pub pattern: String,
    /// The merchant it means.
    pub name: String,
    /// When it was made.
    pub created_at: jiff_sqlx::Timestamp,
    /// When it was last changed.
    pub updated_at: jiff_sqlx::Timestamp,
}

/// Why a rule is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It cannot be.
    #[error(transparent)]
    Bad(#[from] BadRule),
    /// There are enough.
    #[error("there are {MAX_RULES} rules already: delete one first")]
    TooMany,
    /// When Postgres cannot be reached or refuses the statement.
    #[error("the rules cannot be reached")]
    Database(#[from] sqlx::Error),
}

impl RuleRow {
    /// Compiled.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn compile(&self) -> Result<Rule, BadRule> {
        Rule::new(self.id, test(&self.test), &self.pattern, &self.name)
    }
}

fn test(word: &str) -> Test {
    if word == "regex" { Test::Regex } else { Test::Contains }
}

fn word(test: Test) -> &'static str {
    match test {
        Test::Contains => "contains",
        Test::Regex => "regex",
    }
}

/// All of a client's, in the order in which they are asked.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(on: impl PgExecutor<'_>, client_id: ClientId) -> Result<Vec<RuleRow>, sqlx::Error> {
    sqlx::query_as(
        "select id, test, pattern, name, created_at, updated_at from normalization_rules where client_id = $1 order by id",
    )
    .bind(client_id)
    .fetch_all(on)
    .await
}

/// One of a client's.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, client_id: ClientId, id: Uuid) -> Result<Option<RuleRow>, sqlx::Error> {
    sqlx::query_as(
        "select id, test, pattern, name, created_at, updated_at from normalization_rules where client_id = $1 and id = $2",
    )
    .bind(client_id)
    .bind(id)
    .fetch_optional(on)
    .await
}

/// Adds a rule behind the others.
///
/// # Errors
/// When it cannot be, or there are enough.
pub async fn create(
    conn: &mut PgConnection,
    client_id: ClientId,
    test: Test,
    pattern: &str,
    name: &str,
) -> Result<Uuid, RuleError> {
    let id = Uuid::now_v7();
    Rule::new(id, test, pattern, name)?;
    // Holds the client's version until the commit: of two at a time the second one counts the first.
    changed(&mut *conn, client_id).await?;
    let rules: i64 = sqlx::query_scalar("select count(*) from normalization_rules where client_id = $1")
        .bind(client_id)
        .fetch_one(&mut *conn)
        .await?;
    if usize::try_from(rules).is_ok_and(|rules| rules >= MAX_RULES) {
        return Err(RuleError::TooMany);
    }
    sqlx::query("insert into normalization_rules (id, client_id, test, pattern, name) values ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(client_id)
        .bind(word(test))
        .bind(pattern)
        .bind(name)
        .execute(conn)
        .await?;
    Ok(id)
}

/// Changes a rule, which keeps its place. `false`: the client has none of this id.
///
/// # Errors
/// When it cannot be.
pub async fn update(
    conn: &mut PgConnection,
    client_id: ClientId,
    id: Uuid,
    test: Test,
    pattern: &str,
    name: &str,
) -> Result<bool, RuleError> {
    Rule::new(id, test, pattern, name)?;
    changed(&mut *conn, client_id).await?;
    let updated = sqlx::query(
        "update normalization_rules set test = $3, pattern = $4, name = $5, updated_at = now()
         where client_id = $1 and id = $2",
    )
    .bind(client_id)
    .bind(id)
    .bind(word(test))
    .bind(pattern)
    .bind(name)
    .execute(conn)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Deletes a rule. `false`: the client has none of this id.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn delete(conn: &mut PgConnection, client_id: ClientId, id: Uuid) -> Result<bool, sqlx::Error> {
    changed(&mut *conn, client_id).await?;
    let deleted = sqlx::query("delete from normalization_rules where client_id = $1 and id = $2")
        .bind(client_id)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// The version of a client's rules.
pub(crate) async fn version(on: impl PgExecutor<'_>, client_id: ClientId) -> Result<i64, sqlx::Error> {
    let version = sqlx::query_scalar("select version from normalization_versions where client_id = $1");
    Ok(version.bind(client_id).fetch_optional(on).await?.unwrap_or(0))
}

async fn changed(conn: &mut PgConnection, client_id: ClientId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into normalization_versions (client_id, version) values ($1, 1)
         on conflict (client_id) do update set version = normalization_versions.version + 1",
    )
    .bind(client_id)
    .execute(conn)
    .await
    .map(drop)
}
