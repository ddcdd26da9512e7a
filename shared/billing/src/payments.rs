//! Notices of payment: what was paid of which debt, told once or more often.

use gristmill_core::ClientId;
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// A notice, checked.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What was paid.
    pub debt_id: Uuid,
    /// Which payment of it; without one the notice's own content tells.
    pub payment_id: Option<String>,
    /// In the currency's minor unit.
    pub amount_minor: i64,
    /// When.
    pub paid_at: Timestamp,
    /// By whom.
    pub paid_by: String,
}

/// What the payments of a debt come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Less than the debt.
    Underpaid,
    /// The debt, exactly.
    Settled,
    /// More than the debt.
    Overpaid,
}

/// What became of a notice.
#[derive(Debug, Clone)]
pub struct RecordedPayment {
    /// The payment's id.
    pub payment_id: String,
    /// It was told before: nothing changed.
    pub repeated: bool,
    /// The debt, in the currency's minor unit.
    pub debt_minor: i64,
    /// What was paid of it in all.
    pub paid_minor: i64,
    /// The bill that this payment settled, by its number.
    pub settled_bill: Option<i64>,
}

impl RecordedPayment {
    /// What the payments come to.
    #[must_use]
    pub fn balance(&self) -> Balance {
        match self.paid_minor.cmp(&self.debt_minor) {
            std::cmp::Ordering::Less => Balance::Underpaid,
            std::cmp::Ordering::Equal => Balance::Settled,
            std::cmp::Ordering::Greater => Balance::Overpaid,
        }
    }
}

/// A bill that a new payment went to, and of which something is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditedBill {
    /// Its number.
    pub bill: i64,
    /// Whether that settled it; else something is still to be paid.
    pub settled: bool,
    /// The payment's id.
    pub payment_id: String,
}

/// Why a notice is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// The client has no such debt.
    #[error("there is no debt {0}")]
    NoDebt(Uuid),
    /// A payment with this id was told with another content.
    #[error("payment {payment_id} of debt {debt_id} was reported before with another amount, time or payer")]
    Other {
        /// The debt.
        debt_id: Uuid,
        /// The payment.
        payment_id: String,
    },
    /// With it more was paid of the debt than 64 bits hold, in the currency's minor unit.
    #[error(
        "with this one, the payments of debt {0} come to more than 92233720368547758.07: more than can be recorded"
    )]
    TooMuch(Uuid),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[derive(FromRow)]
struct ReportedPayment {
    amount_minor: i64,
    paid_at: SqlTimestamp,
    paid_by: String,
}

/// Records a notice, once, with the caller's commit, and settles the debt's bill when it is paid. What is said of a bill
/// that it went to is to be done in the same transaction.
///
/// # Errors
/// When the notice cannot be, or the database's.
pub async fn record(
    conn: &mut PgConnection,
    client_id: ClientId,
    notice: &Notice,
) -> Result<(RecordedPayment, Option<CreditedBill>), PaymentError> {
    let payment_id = notice.payment_id.clone().unwrap_or_else(|| content_id(notice));
    let debt_minor: i64 = sqlx::query_scalar(
        "select d.amount_minor from debts d join uploads u on u.id = d.upload_id
         where d.debt_id = $1 and d.client_id = $2 and u.state = 'completed' and u.rows_dropped_at is null",
    )
    .bind(notice.debt_id)
    .bind(client_id)
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(PaymentError::NoDebt(notice.debt_id))?;
    let inserted = sqlx::query(
        "insert into payments (client_id, debt_id, payment_id, amount_minor, paid_at, paid_by)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(client_id)
    .bind(notice.debt_id)
    .bind(&payment_id)
    .bind(notice.amount_minor)
    .bind(notice.paid_at.to_sqlx())
    .bind(&notice.paid_by)
    .execute(&mut *conn)
    .await?;
    let repeated = inserted.rows_affected() == 0;
    if repeated {
        let told: ReportedPayment = sqlx::query_as(
            "select amount_minor, paid_at, paid_by from payments where client_id = $1 and debt_id = $2 and payment_id = $3",
        )
        .bind(client_id)
        .bind(notice.debt_id)
        .bind(&payment_id)
        .fetch_one(&mut *conn)
        .await?;
        let same = told.amount_minor == notice.amount_minor
            && told.paid_by == notice.paid_by
            && told.paid_at.to_jiff() == notice.paid_at;
        if !same {
            return Err(PaymentError::Other { debt_id: notice.debt_id, payment_id });
        }
    }
    let added = if repeated { 0 } else { notice.amount_minor };
    let paid_minor: i64 = sqlx::query_scalar(
        "insert into debt_payments as p (debt_id, client_id, paid_minor) values ($1, $2, $3)
         on conflict (client_id, debt_id) do update set paid_minor = p.paid_minor + excluded.paid_minor
         where p.paid_minor <= 9223372036854775807 - excluded.paid_minor returning paid_minor",
    )
    .bind(notice.debt_id)
    .bind(client_id)
    .bind(added)
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(PaymentError::TooMuch(notice.debt_id))?;
    sqlx::query("select pg_advisory_xact_lock_shared(hashtext('payments'), $1)")
        .bind(client_id)
        .execute(&mut *conn)
        .await?;
    let credited = settle(conn, client_id, notice.debt_id, paid_minor).await?;
    let settled_bill = credited.and_then(|(number, settled)| settled.then_some(number));
    let credited = credited.filter(|(_, settled)| *settled || !repeated);
    let credited = credited.map(|(bill, settled)| CreditedBill { bill, settled, payment_id: payment_id.clone() });
    Ok((RecordedPayment { payment_id, repeated, debt_minor, paid_minor, settled_bill }, credited))
}

/// Waits for the payments that are being recorded and may have found no bill. Those that come after it find what is there now.
///
/// # Errors
/// The database's.
pub async fn wait_for_recorded(pool: &PgPool, client_id: ClientId) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock(hashtext('payments'), $1)").bind(client_id).execute(pool).await.map(drop)
}

/// The debt's bill shows what was paid, and is paid when that is enough. Returns its number unless it was paid before,
/// and whether it is now.
async fn settle(
    conn: &mut PgConnection,
    client_id: ClientId,
    debt_id: Uuid,
    paid_minor: i64,
) -> Result<Option<(i64, bool)>, sqlx::Error> {
    // The keys come as data: of a client that the planner's statistics do not know yet it expects one bill, and would go
    // through all of them, for each of them.
    let credited: Vec<(i64, bool, bool)> = sqlx::query_as(
        "with debt as materialized (select $1::int as client_id, $2::uuid as debt_id),
              o as materialized (
             select b.client_id, b.number, b.state from debt d join bills b on b.client_id = d.client_id and b.debt_id = d.debt_id
             where b.state <> 'cancelled' order by b.number for update of b)
         update bills b set paid_minor = $3, state = case when $3 >= b.amount_minor then 'paid' else b.state end
         from o where b.client_id = o.client_id and b.number = o.number
         returning b.number, b.state = 'paid', o.state = 'paid'",
    )
    .bind(client_id)
    .bind(debt_id)
    .bind(paid_minor)
    .fetch_all(conn)
    .await?;
    Ok(credited.into_iter().find(|(_, _, before)| !before).map(|(number, paid, _)| (number, paid)))
}

/// Two notices with the same content are the same payment.
fn content_id(notice: &Notice) -> String {
    let mut hash = Sha256::new();
    hash.update(notice.debt_id.as_bytes());
    hash.update(notice.amount_minor.to_be_bytes());
    hash.update(notice.paid_at.as_microsecond().to_be_bytes());
    hash.update(notice.paid_by.as_bytes());
    let digest = hash.finalize();
    format!("sha256:{}", digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
