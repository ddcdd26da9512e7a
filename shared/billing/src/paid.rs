//! Payments, as they are read.

use gristmill_core::ClientId;
use jiff_sqlx::Timestamp;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

/// A payment of a debt.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Payment {
    /// Which one of its debt's.
    pub payment_id: String,
    /// In the currency's minor unit.
    pub amount_minor: i64,
    /// When it was paid.
    pub paid_at: Timestamp,
    /// By whom.
    pub paid_by: String,
    /// When it was told.
    pub created_at: Timestamp,
}

/// The payments of a client's debt, the first one first, at most `limit`.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of_debt(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    debt_id: Uuid,
    limit: u32,
) -> Result<Vec<Payment>, sqlx::Error> {
    sqlx::query_as(
        "select payment_id, amount_minor, paid_at, paid_by, created_at from payments
         where client_id = $1 and debt_id = $2 order by paid_at, payment_id limit $3",
    )
    .bind(client_id)
    .bind(debt_id)
    .bind(i64::from(limit))
    .fetch_all(on)
    .await
}
