//! One claim of an upload, taken back by itself.

use gristmill_claims::{claims, void};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::state;

/// Voids a claim, with the caller's commit: it does not count any more, and what was posted for it is taken back. One that
/// is void stays so. False: the client has no such claim.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn void_claim(conn: &mut PgConnection, client_id: i32, id: Uuid) -> Result<bool, sqlx::Error> {
    let Some(found) = claims::find(&mut *conn, client_id, id).await? else { return Ok(false) };
    if let Some(upload_id) = found.upload_id {
        // Against an undoing of its upload at this moment: one of the two comes first, and the other sees that.
        state::lock(&mut *conn, upload_id).await?;
        if claims::find(&mut *conn, client_id, id).await?.is_none() {
            return Ok(false);
        }
    }
    void::one(conn, id).await?;
    Ok(true)
}
