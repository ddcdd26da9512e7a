//! Bills, as they are read.

use gristmill_core::{ClientId, string_enum};
use jiff::civil::Date;
use jiff_sqlx::{Date as SqlDate, ToSqlx as _};
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::BillId;

string_enum! {
    /// How a bill stands.
    #[derive(utoipa::ToSchema)]
    #[schema(as = BillStatus)]
    pub enum Status {
        /// To be paid.
        Open,
        /// Paid in full.
        Paid,
        /// To be paid, and due before today.
        Overdue,
        /// Not to be paid.
        Cancelled,
    }
}

/// A bill with its payer.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Bill {
    /// Whose it is.
    pub client_id: ClientId,
    /// Its number, of its client.
    pub number: i64,
    /// What it is for.
    pub debt_id: Uuid,
    /// The file that the debt came with.
    pub upload_id: Uuid,
    /// The run that made it.
    pub run_id: Uuid,
    /// The first day of the period it is of.
    pub period: SqlDate,
    /// When it was made, by its client's calendar.
    pub issued_on: SqlDate,
    /// When it is to be paid.
    pub due_on: SqlDate,
    /// In the currency's minor unit.
    pub amount_minor: i64,
    /// What was paid of it.
    pub paid_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// How it stands today.
    pub status: Status,
    /// The payer.
    pub name: String,
    /// The payer's number with the state, as the debt has it.
    pub government_id: String,
    /// Where the payer gets mail.
    pub email: String,
}

impl Bill {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> BillId {
        BillId { client_id: self.client_id, number: self.number }
    }
}

/// Which bills of a client.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// That stand like this.
    pub status: Option<Status>,
    /// For this debt.
    pub debt_id: Option<Uuid>,
    /// For debts of this file.
    pub upload_id: Option<Uuid>,
    /// Made by this run.
    pub run_id: Option<Uuid>,
    /// With this number.
    pub number: Option<i64>,
    /// Due on this day or later.
    pub due_from: Option<Date>,
    /// Due on this day or earlier.
    pub due_to: Option<Date>,
    /// Whose payer has this in the name, in any capitals, or in the government id. No index serves it.
    pub payer: Option<String>,
}

impl Filter {
    /// Whether the debts must be joined.
    pub(crate) fn asks_debts(&self) -> bool {
        self.payer.is_some()
    }

    pub(crate) fn add(&self, sql: &mut QueryBuilder<Postgres>, client_id: ClientId, today: Date) {
        match self.debt_id {
            None => drop(sql.push(" where b.client_id = ").push_bind(client_id)),
            // No index serves the client, so that the one on the debt does, whatever is believed of how many bills it has.
            Some(debt_id) => {
                sql.push(" where b.debt_id = ").push_bind(debt_id);
                sql.push(" and b.client_id is not distinct from ").push_bind(client_id);
            }
        }
        if let Some(upload_id) = self.upload_id {
            // Only some runs have looked at the file, and most of them at no other one: all their bills are of it, which is
            // so said without a look at each bill's debt.
            sql.push(" and b.run_id in (select run_id from billing_run_uploads where upload_id = ")
                .push_bind(upload_id)
                .push(
                    ") and (b.run_id not in (
                         select other.run_id from billing_run_uploads mine
                         join billing_run_uploads other on other.run_id = mine.run_id and other.upload_id <> mine.upload_id
                         where mine.upload_id = ",
                )
                .push_bind(upload_id)
                .push(") or exists (select from debts m where m.segment = b.segment and m.debt_id = b.debt_id and m.client_id = b.client_id and m.upload_id = ")
                .push_bind(upload_id)
                .push(" offset 0))");
        }
        if let Some(run_id) = self.run_id {
            sql.push(" and b.run_id = ").push_bind(run_id);
        }
        if let Some(number) = self.number {
            sql.push(" and b.number = ").push_bind(number);
        }
        if let Some(from) = self.due_from {
            sql.push(" and b.due_on >= ").push_bind(from.to_sqlx());
        }
        if let Some(to) = self.due_to {
            sql.push(" and b.due_on <= ").push_bind(to.to_sqlx());
        }
        if let Some(payer) = &self.payer {
            sql.push(" and (strpos(lower(d.name), lower(").push_bind(payer.clone());
            sql.push(")) > 0 or strpos(d.government_id, ").push_bind(payer.clone()).push(") > 0)");
        }
        match self.status {
            None => {}
            Some(Status::Paid) => drop(sql.push(" and b.state = 'paid'")),
            Some(Status::Cancelled) => drop(sql.push(" and b.state = 'cancelled'")),
            Some(Status::Open) => {
                sql.push(" and b.state = 'open' and b.due_on >= ").push_bind(today.to_sqlx());
            }
            Some(Status::Overdue) => {
                sql.push(" and b.state = 'open' and b.due_on < ").push_bind(today.to_sqlx());
            }
        }
    }
}

/// The debt of each bill `b`, and its run. Both are looked up for each bill (`offset 0`): a planner that knows nothing of them goes
/// through all of a client's debts for each bill, or through all bills for each run.
pub(crate) const DEBT: &str = " cross join lateral (select * from debts where segment = b.segment and debt_id = b.debt_id and client_id = b.client_id offset 0) d";
const RUN: &str = " cross join lateral (select issued_on, currency from billing_runs where id = b.run_id offset 0) r";

/// Selects bills with their payers. `today` is the client's.
fn select<'q>(today: Date) -> QueryBuilder<'q, Postgres> {
    let mut sql = QueryBuilder::new(
        "select b.client_id, b.number, b.debt_id, d.upload_id, b.run_id, b.period, r.issued_on, b.due_on, b.amount_minor,
                b.paid_minor, r.currency, d.name, d.government_id, d.email,
                case when b.state = 'open' and b.due_on < ",
    );
    sql.push_bind(today.to_sqlx()).push(" then 'overdue' else b.state end as status from bills b");
    sql.push(DEBT).push(RUN);
    sql
}

/// A client's bills with a number below `before`, the newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    filter: &Filter,
    today: Date,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Bill>, sqlx::Error> {
    let mut sql = select(today);
    filter.add(&mut sql, client_id, today);
    if let Some(before) = before {
        sql.push(" and b.number < ").push_bind(before);
    }
    sql.push(" order by b.number desc limit ").push_bind(i64::from(limit));
    sql.build_query_as().fetch_all(on).await
}

/// How many bills of a client there are; none where they are more than `most`: a million are not counted for one page.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn count(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    filter: &Filter,
    today: Date,
    most: u32,
) -> Result<Option<i64>, sqlx::Error> {
    // A join with a million debts takes longer than the counting.
    let mut sql = QueryBuilder::new("select count(*) from (select from bills b");
    if filter.asks_debts() {
        sql.push(DEBT);
    }
    filter.add(&mut sql, client_id, today);
    sql.push(" limit ").push_bind(i64::from(most) + 1).push(") as found");
    let found: i64 = sql.build_query_scalar().fetch_one(on).await?;
    Ok(Some(found).filter(|found| *found <= i64::from(most)))
}

/// One bill.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, id: BillId, today: Date) -> Result<Option<Bill>, sqlx::Error> {
    let filter = Filter { number: Some(id.number), ..Filter::default() };
    let mut sql = select(today);
    filter.add(&mut sql, id.client_id, today);
    sql.build_query_as().fetch_optional(on).await
}

/// Withdraws an open bill of which nothing was paid; `false` when it is no such bill. Nobody is mailed about it any more,
/// and what is paid of its debt later counts for the debt alone.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn cancel(on: impl PgExecutor<'_>, id: BillId) -> Result<bool, sqlx::Error> {
    // A bill of a run that is not closed yet may not know of its payments.
    let cancelled = sqlx::query(
        "update bills b set state = 'cancelled'
         where b.client_id = $1 and b.number = $2 and b.state = 'open' and b.paid_minor = 0
           and not exists (select from debt_payments p
                           where p.debt_id = b.debt_id and p.client_id = b.client_id and p.paid_minor > 0 offset 0)",
    )
    .bind(id.client_id)
    .bind(id.number)
    .execute(on)
    .await?;
    Ok(cancelled.rows_affected() > 0)
}

/// The bills of a client with these numbers, both inclusive, in their order; with `payable_on` those that are payable on
/// that day (see [`crate::dunning`]), paid or not.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn numbered(
    pool: &PgPool,
    client_id: ClientId,
    from: i64,
    to: i64,
    payable_on: Option<Date>,
    today: Date,
) -> Result<Vec<Bill>, sqlx::Error> {
    let mut sql = select(today);
    Filter::default().add(&mut sql, client_id, today);
    sql.push(" and b.number between ").push_bind(from).push(" and ").push_bind(to);
    if let Some(day) = payable_on {
        sql.push(" and greatest(b.due_on, r.issued_on) = ").push_bind(day.to_sqlx());
    }
    sql.push(" order by b.number");
    sql.build_query_as().fetch_all(pool).await
}
