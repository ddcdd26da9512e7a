//! Claims, as they are read.

use gristmill_core::{ClientId, string_enum};
use gristmill_pipelines::claims::{ids_of_upload, line_ids};
use gristmill_uploads::UploadId;
use jiff::civil::Date;
use jiff_sqlx::{Date as SqlDate, Timestamp, ToSqlx as _};
use sqlx::{FromRow, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

string_enum! {
    /// How a claim's payment stands.
    #[derive(utoipa::ToSchema)]
    #[schema(as = ClaimState)]
    pub enum State {
        /// It will be posted.
        Pending,
        /// It is in the books.
        Posted,
        /// It does not count; what was posted is taken back.
        Void,
    }
}

/// A claim.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Claim {
    /// Begins with the time at which it, or its upload, came.
    pub id: Uuid,
    /// The upload it came with.
    pub upload_id: Option<UploadId>,
    /// The member.
    pub subscriber: String,
    /// Who did it.
    pub provider_npi: String,
    /// When.
    pub service_date: SqlDate,
    /// How many lines it has.
    pub lines: i64,
    /// In cents; may be negative.
    pub net_fee_minor: i64,
    /// How its payment stands.
    pub state: State,
    /// Why it is not posted yet, when that was tried.
    pub detail: Option<String>,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// A line of a claim; amounts in cents.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Line {
    /// In its file, or in the claim that came by itself.
    pub line: i64,
    /// What was done.
    pub procedure_code: String,
    /// Where.
    pub quadrant: Option<String>,
    /// The plan that pays.
    pub plan_group: String,
    /// What the provider asks.
    pub provider_fees_minor: i64,
    /// What the plan allows.
    pub allowed_fees_minor: i64,
    /// The member's share.
    pub coinsurance_minor: i64,
    /// The member's fixed part.
    pub copay_minor: i64,
    /// Provider's fees + coinsurance + copay − allowed fees.
    pub net_fee_minor: i64,
}

/// Which claims.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// That came with this upload.
    pub upload_id: Option<UploadId>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this member.
    pub subscriber: Option<String>,
    /// Of this day or later.
    pub from: Option<Date>,
    /// Of this day or earlier.
    pub to: Option<Date>,
    /// That stand like this.
    pub state: Option<State>,
}

/// The claims that count: those of an upload that is being undone do not.
fn select<'q>() -> QueryBuilder<'q, Postgres> {
    QueryBuilder::new(
        "select c.id, c.upload_id, c.subscriber, c.provider_npi, c.service_date, c.lines, c.net_fee_minor, c.state, c.detail,
                c.created_at
         from claims c where (c.upload_id is null or exists (select from uploads u where u.id = c.upload_id and u.state = 'completed'))",
    )
}

/// A client's claims before this one, the newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Claim>, sqlx::Error> {
    let mut sql = select();
    sql.push(" and c.client_id = ").push_bind(client_id);
    if let Some(upload_id) = filter.upload_id {
        // They stand together in the index on ids, which begin with the time of their upload.
        let (first, last) = ids_of_upload(upload_id.get());
        sql.push(" and c.id between ").push_bind(first).push(" and ").push_bind(last);
        sql.push(" and c.upload_id = ").push_bind(upload_id);
    }
    if let Some(provider) = &filter.provider {
        sql.push(" and c.provider_npi = ").push_bind(provider.as_str());
    }
    if let Some(subscriber) = &filter.subscriber {
        sql.push(" and c.subscriber = ").push_bind(subscriber.as_str());
    }
    if let Some(from) = filter.from {
        sql.push(" and c.service_date >= ").push_bind(from.to_sqlx());
    }
    if let Some(to) = filter.to {
        sql.push(" and c.service_date <= ").push_bind(to.to_sqlx());
    }
    if let Some(state) = filter.state {
        // Not bound, so that the planner sees whether the index on those that are not posted serves.
        sql.push(" and c.state = '").push(state).push("'");
    }
    if let Some(before) = before {
        sql.push(" and c.id < ").push_bind(before);
    }
    sql.push(" order by c.id desc limit ").push_bind(i64::from(limit));
    sql.build_query_as().fetch_all(on).await
}

/// A client's claim.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, client_id: ClientId, id: Uuid) -> Result<Option<Claim>, sqlx::Error> {
    let mut sql = select();
    // No index serves the client: the key does, whatever is believed of how many claims it has.
    sql.push(" and c.id = ").push_bind(id).push(" and c.client_id is not distinct from ").push_bind(client_id);
    sql.build_query_as().fetch_optional(on).await
}

/// The lines of a claim, in their order.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn lines(on: impl PgExecutor<'_>, claim_id: Uuid) -> Result<Vec<Line>, sqlx::Error> {
    let (first, last) = line_ids(claim_id);
    sqlx::query_as(
        "select line, procedure_code, quadrant, plan_group, provider_fees_minor, allowed_fees_minor, coinsurance_minor, copay_minor,
                net_fee_minor
         from claim_lines
         where client_id = (select client_id from claims where id = $3) and line_id between $1 and $2 and claim_id = $3 order by line",
    )
    .bind(first)
    .bind(last)
    .bind(claim_id)
    .fetch_all(on)
    .await
}
