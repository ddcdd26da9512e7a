//! What bills come to.

use gristmill_core::ClientId;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgExecutor, QueryBuilder};

use crate::{
    Sum,
    bills::{DEBT, Filter},
};

/// What the bills of one currency come to, in its minor unit.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Total {
    /// ISO 4217.
    pub currency: String,
    /// How many there are, cancelled ones too.
    pub bills: i64,
    /// How many of them are cancelled.
    pub cancelled: i64,
    /// What all ask for that are not cancelled.
    #[sqlx(try_from = "String")]
    pub billed: Sum,
    /// What was paid of them, also where that was more than was asked for.
    #[sqlx(try_from = "String")]
    pub paid: Sum,
    /// What is still to be paid, overdue or not.
    #[sqlx(try_from = "String")]
    pub open: Sum,
    /// What is still to be paid and was due before today.
    #[sqlx(try_from = "String")]
    pub overdue: Sum,
}

/// What a client's bills come to, a row a currency. It looks at each of them: 0.3 s for a million.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    filter: &Filter,
    today: Date,
) -> Result<Vec<Total>, sqlx::Error> {
    // Runs are looked up once each (`offset 0`): a planner that knows nothing of them would join them with all bills.
    let mut sql = QueryBuilder::new(
        "select r.currency, sum(s.bills)::bigint as bills, sum(s.cancelled)::bigint as cancelled,
                sum(s.billed)::text as billed, sum(s.paid)::text as paid, sum(s.open)::text as open, sum(s.overdue)::text as overdue
         from (
             select b.run_id, count(*) as bills, count(*) filter (where b.state = 'cancelled') as cancelled,
                    coalesce(sum(b.amount_minor) filter (where b.state <> 'cancelled'), 0) as billed,
                    coalesce(sum(b.paid_minor) filter (where b.state <> 'cancelled'), 0) as paid,
                    coalesce(sum(greatest(b.amount_minor - b.paid_minor, 0)) filter (where b.state = 'open'), 0) as open,
                    coalesce(sum(greatest(b.amount_minor - b.paid_minor, 0)) filter (where b.state = 'open' and b.due_on < ",
    );
    sql.push_bind(today.to_sqlx()).push("), 0) as overdue from bills b");
    if filter.asks_debts() {
        sql.push(DEBT);
    }
    filter.add(&mut sql, client_id, today);
    sql.push(
        " group by b.run_id
         ) s cross join lateral (select currency from billing_runs where id = s.run_id offset 0) r
         group by r.currency order by r.currency",
    );
    sql.build_query_as().fetch_all(on).await
}
