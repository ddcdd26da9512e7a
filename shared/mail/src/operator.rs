//! Who is told of a client's uploads.

use sqlx::PgConnection;

use gristmill_bills::Language;

/// A client's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Where mails go.
    pub address: String,
    /// What language they are written in.
    pub language: Language,
}

/// The operator of a client, where its settings name one.
///
/// # Errors
/// The database's.
pub async fn find(on: &mut PgConnection, client_id: i32) -> Result<Option<Operator>, sqlx::Error> {
    let found: Option<(String, String)> = sqlx::query_as(
        "select operator_email, language from client_settings where client_id = $1 and operator_email is not null",
    )
    .bind(client_id)
    .fetch_optional(on)
    .await?;
    let Some((address, language)) = found else { return Ok(None) };
    let language = language.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Some(Operator { address, language }))
}
