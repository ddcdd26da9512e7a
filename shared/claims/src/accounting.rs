//! Double-entry books: what a claim comes to moves from its plans' accounts to its provider's. A posting adds up to zero, is
//! made once a claim and purpose, and is never changed: the database sees to all three.

use gristmill_core::ClientId;
use gristmill_pipelines::{Sum, claims::line_ids};
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

/// What came of a wish to pay a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// It is in the books now.
    Posted,
    /// There is nothing to pay: it is paid, void, or gone with its upload.
    Nothing,
    /// A plan's account is frozen.
    Frozen {
        /// The plan's group.
        plan: String,
        /// Why.
        reason: Option<String>,
    },
}

#[derive(FromRow)]
struct Payable {
    client_id: ClientId,
    provider_npi: String,
}

#[derive(FromRow)]
struct Held {
    id: i64,
    kind: String,
    reference: String,
    frozen: bool,
    reason: Option<String>,
}

/// Posts the payment of a claim, unless it is posted. The caller's transaction holds the claim from here on.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn pay(conn: &mut PgConnection, claim_id: Uuid) -> Result<PaymentOutcome, sqlx::Error> {
    let payable: Option<Payable> = sqlx::query_as(
        "select c.client_id, c.provider_npi from claims c
         where c.id = $1 and c.state = 'pending'
           and (c.upload_id is null or exists (select from uploads u where u.id = c.upload_id and u.state = 'completed'))
         for update of c",
    )
    .bind(claim_id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(Payable { client_id, provider_npi }) = payable else { return Ok(PaymentOutcome::Nothing) };
    let plans = by_plan(&mut *conn, claim_id).await?;
    let held = accounts(&mut *conn, client_id, &plans, &provider_npi).await?;
    if let Some(account) = held.iter().find(|account| account.kind == "plan" && account.frozen) {
        return Ok(PaymentOutcome::Frozen { plan: account.reference.clone(), reason: account.reason.clone() });
    }
    // All of it is the claim's net fee, an amount too.
    let total: i64 = plans.iter().map(|(_, net_fee)| net_fee).sum();
    let (ids, amounts): (Vec<i64>, Vec<i64>) = held
        .iter()
        .map(|account| match account.kind.as_str() {
            "provider" => (account.id, total),
            _ => (account.id, plans.iter().filter(|(plan, _)| *plan == account.reference).map(|(_, net)| -net).sum()),
        })
        .unzip();
    let posted = sqlx::query(
        "with posting as (
             insert into ledger_postings (claim_id, purpose, client_id) values ($1, 'payment', $2)
             on conflict do nothing returning claim_id
         ), entries as (
             insert into ledger_entries (claim_id, purpose, account_id, amount_minor)
             select p.claim_id, 'payment', e.account_id, e.amount
             from posting p, unnest($3::bigint[], $4::bigint[]) as e (account_id, amount) where e.amount <> 0
         )
         update claims c set state = 'posted', detail = null from posting p where c.id = p.claim_id",
    )
    .bind(claim_id)
    .bind(client_id)
    .bind(&ids)
    .bind(&amounts)
    .execute(conn)
    .await?;
    Ok(if posted.rows_affected() == 1 { PaymentOutcome::Posted } else { PaymentOutcome::Nothing })
}

/// What each plan has to pay of a claim: an amount, as `enter` sees to.
async fn by_plan(conn: &mut PgConnection, claim_id: Uuid) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let (first, last) = line_ids(claim_id);
    sqlx::query_as(
        "select plan_group, sum(net_fee_minor)::bigint from claim_lines
         where client_id = (select client_id from claims where id = $3) and line_id between $1 and $2 and claim_id = $3
         group by plan_group order by plan_group",
    )
    .bind(first)
    .bind(last)
    .bind(claim_id)
    .fetch_all(conn)
    .await
}

/// The accounts, opened where there are none yet, and held: nobody freezes one while it is posted to.
async fn accounts(
    conn: &mut PgConnection,
    client_id: ClientId,
    plans: &[(String, i64)],
    provider_npi: &str,
) -> Result<Vec<Held>, sqlx::Error> {
    let plan_groups: Vec<&str> = plans.iter().map(|(plan, _)| plan.as_str()).collect();
    loop {
        let held: Vec<Held> = sqlx::query_as(
            "select id, kind, reference, frozen, reason from ledger_accounts
             where client_id = $1 and ((kind = 'plan' and reference = any($2)) or (kind = 'provider' and reference = $3))
             order by id for share",
        )
        .bind(client_id)
        .bind(&plan_groups)
        .bind(provider_npi)
        .fetch_all(&mut *conn)
        .await?;
        if held.len() == plans.len() + 1 {
            return Ok(held);
        }
        sqlx::query(
            "insert into ledger_accounts (client_id, kind, reference)
             select $1, kind, reference
             from (select 'plan' as kind, unnest($2::text[]) as reference union all select 'provider', $3) as wanted
             order by kind, reference on conflict do nothing",
        )
        .bind(client_id)
        .bind(&plan_groups)
        .bind(provider_npi)
        .execute(&mut *conn)
        .await?;
    }
}

/// Takes back the payments of these claims by counter-entries, where there are any and it was not done before.
pub(crate) async fn reverse(conn: &mut PgConnection, claims: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with posting as (
             insert into ledger_postings (claim_id, purpose, client_id)
             select claim_id, 'reversal', client_id from ledger_postings
             where claim_id = any($1) and purpose = 'payment' order by claim_id
             on conflict do nothing returning claim_id
         )
         insert into ledger_entries (claim_id, purpose, account_id, amount_minor)
         select e.claim_id, 'reversal', e.account_id, -e.amount_minor
         from posting p join ledger_entries e on e.claim_id = p.claim_id and e.purpose = 'payment'",
    )
    .bind(claims)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes why a claim waits to be paid.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn put_off(on: impl PgExecutor<'_>, claim_id: Uuid, detail: &str) -> Result<(), sqlx::Error> {
    sqlx::query("update claims set detail = $2 where id = $1 and state = 'pending' and detail is distinct from $2")
        .bind(claim_id)
        .bind(detail)
        .execute(on)
        .await?;
    Ok(())
}

/// A plan's account.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PlanAccount {
    /// Grows with each account.
    pub id: i64,
    /// The plan's group.
    #[sqlx(rename = "reference")]
    pub plan_group: String,
    /// Whether nothing is paid from it.
    pub frozen: bool,
    /// Why.
    pub reason: Option<String>,
    /// What is owed to it, in cents; below zero: what it has paid to providers.
    #[sqlx(try_from = "String")]
    pub balance_minor: Sum,
}

// A range of one account: by equality the planner takes one that is new for as large as those that it knows, and reads the entries
// of all.
const PLAN: &str = "select a.id, a.reference, a.frozen, a.reason,
    coalesce((select sum(e.amount_minor) from ledger_entries e where e.account_id between a.id and a.id), 0)::text as balance_minor
    from ledger_accounts a where a.client_id = $1 and a.kind = 'plan'";

/// A client's plan accounts that were opened after this one, in that order.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn plans(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    after: i64,
    limit: i64,
) -> Result<Vec<PlanAccount>, sqlx::Error> {
    let sql = format!("{PLAN} and a.id > $2 order by a.id limit $3");
    sqlx::query_as(&sql).bind(client_id).bind(after).bind(limit).fetch_all(on).await
}

/// One of them.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn plan(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    plan_group: &str,
) -> Result<Option<PlanAccount>, sqlx::Error> {
    let sql = format!("{PLAN} and a.reference = $2");
    sqlx::query_as(&sql).bind(client_id).bind(plan_group).fetch_optional(on).await
}

/// Freezes a plan's account or frees it, opening it where there is none yet. Waits for those who post to it; once this is
/// committed, nobody pays from a frozen one.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn freeze(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    plan_group: &str,
    frozen: bool,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger_accounts (client_id, kind, reference, frozen, reason) values ($1, 'plan', $2, $3, $4)
         on conflict (client_id, kind, reference) do update set frozen = excluded.frozen, reason = excluded.reason, updated_at = now()",
    )
    .bind(client_id)
    .bind(plan_group)
    .bind(frozen)
    .bind(reason)
    .execute(on)
    .await?;
    Ok(())
}

/// A claim that the books and the claims' table do not agree about.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Disagreement {
    /// The claim.
    pub claim_id: Uuid,
    /// How it stands; none: it is gone.
    pub state: Option<String>,
    /// What the books say that its provider is owed for it.
    #[sqlx(try_from = "String")]
    pub owed_minor: Sum,
    /// What all its entries add up to.
    #[sqlx(try_from = "String")]
    pub balance_minor: Sum,
}

/// Claims posted within the last ten minutes whose entries do not add up to zero, or whose provider is not owed what the claim's state says: the
/// net fee when it is posted, nothing when it is void or gone. At most a hundred.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn disagreements(on: impl PgExecutor<'_>) -> Result<Vec<Disagreement>, sqlx::Error> {
    sqlx::query_as(
        "with lately as (
             select distinct claim_id from ledger_postings where posted_at > now() - interval '10 minutes'
         ), sums as (
             select l.claim_id, coalesce(sum(e.amount_minor), 0) as balance_minor,
                    coalesce(sum(e.amount_minor) filter (where a.kind = 'provider'), 0) as owed_minor
             from lately l
             left join ledger_entries e on e.claim_id = l.claim_id
             left join ledger_accounts a on a.id = e.account_id
             group by l.claim_id
         )
         select s.claim_id, c.state, s.owed_minor::text as owed_minor, s.balance_minor::text as balance_minor
         from sums s left join claims c on c.id = s.claim_id
         left join uploads u on u.id = c.upload_id
         where s.balance_minor <> 0
            or (s.owed_minor <> case when c.state = 'posted' then c.net_fee_minor else 0 end
                -- a slice of an upload that is being undone comes later
                and (u.id is null or u.state = 'completed'))
         limit 100",
    )
    .fetch_all(on)
    .await
}
