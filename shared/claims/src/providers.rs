//! What each provider's claims add up to: kept by whoever enters or takes back claims, in the same transaction.
//!
//! Every statement that changes it goes through its rows in the order of the key, so changes wait for each other and never in
//! a circle.

use gristmill_core::ClientId;
use gristmill_pipelines::Sum;
use gristmill_uploads::UploadId;
use jiff::civil::Date;
use sqlx::{Executor, FromRow, PgConnection, PgExecutor};

use crate::spans::{self, HIGHEST};

/// A provider and what its claims add up to.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Provider {
    /// Its number.
    pub provider_npi: String,
    /// Claims that are not void.
    pub claims: i64,
    /// Their lines.
    pub lines: i64,
    /// In cents; may be negative.
    #[sqlx(try_from = "String")]
    pub net_fee_minor: Sum,
}

/// How rows that are there already take a change.
const ADD: &str = "do update set claims = s.claims + excluded.claims, lines = s.lines + excluded.lines,
    net_fee_minor = s.net_fee_minor + excluded.net_fee_minor";

/// What one claim changes.
pub(crate) struct Change<'a> {
    pub(crate) client_id: ClientId,
    pub(crate) provider_npi: &'a str,
    pub(crate) service_date: Date,
    pub(crate) claims: i64,
    pub(crate) lines: i64,
    pub(crate) net_fee_minor: i64,
}

/// Changes the sums by one claim.
pub(crate) async fn add(conn: &mut PgConnection, change: &Change<'_>) -> Result<(), sqlx::Error> {
    let (levels, spans): (Vec<i16>, Vec<i32>) = spans::around(days(change.service_date)).unzip();
    let sql = format!(
        "insert into provider_spans as s (client_id, level, span, provider_npi, claims, lines, net_fee_minor)
         select $1, level, span, $2, $3, $4, $5 from unnest($6::smallint[], $7::int[]) as t (level, span) order by 2, 3
         on conflict (client_id, level, span, provider_npi) {ADD}"
    );
    sqlx::query(&sql)
        .bind(change.client_id)
        .bind(change.provider_npi)
        .bind(change.claims)
        .bind(change.lines)
        .bind(change.net_fee_minor)
        .bind(&levels)
        .bind(&spans)
        .execute(&mut *conn)
        .await?;
    let sql = format!(
        "insert into provider_totals as s (client_id, provider_npi, claims, lines, net_fee_minor) values ($1, $2, $3, $4, $5)
         on conflict (client_id, provider_npi) {ADD}"
    );
    sqlx::query(&sql)
        .bind(change.client_id)
        .bind(change.provider_npi)
        .bind(change.claims)
        .bind(change.lines)
        .bind(change.net_fee_minor)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether an upload's claims begin or cease to count.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    Begin,
    Cease,
}

/// Changes the sums by all claims of an upload that are not void. The levels are made one from the other, each half as
/// long, beside the table, so that its rows are locked by the last statement only.
pub(crate) async fn add_upload(conn: &mut PgConnection, upload_id: UploadId, turn: Turn) -> Result<(), sqlx::Error> {
    let sign = match turn {
        Turn::Begin => 1_i64,
        Turn::Cease => -1,
    };
    let (first, last) = gristmill_pipelines::claims::ids_of_upload(upload_id.get());
    conn.execute(
        "create temporary table if not exists stage_provider_spans (like provider_spans) on commit delete rows;
         truncate stage_provider_spans",
    )
    .await?;
    sqlx::query(
        "insert into stage_provider_spans
         select client_id, 0, service_date - date '2000-01-01', provider_npi, $4 * count(*), $4 * sum(lines), $4 * sum(net_fee_minor)
         from claims where id between $1 and $2 and upload_id = $3 and state <> 'void'
         group by client_id, service_date, provider_npi",
    )
    .bind(first)
    .bind(last)
    .bind(upload_id)
    .bind(sign)
    .execute(&mut *conn)
    .await?;
    for level in 0..HIGHEST {
        sqlx::query(
            "insert into stage_provider_spans
             select client_id, $1 + 1, span >> 1, provider_npi, sum(claims), sum(lines), sum(net_fee_minor)
             from stage_provider_spans where level = $1 group by 1, 3, 4",
        )
        .bind(level)
        .execute(&mut *conn)
        .await?;
    }
    let spans = format!(
        "insert into provider_spans as s select * from stage_provider_spans order by client_id, level, span, provider_npi
         on conflict (client_id, level, span, provider_npi) {ADD}"
    );
    let totals = format!(
        "insert into provider_totals as s
         select client_id, provider_npi, sum(claims), sum(lines), sum(net_fee_minor)
         from stage_provider_spans where level = {HIGHEST} group by 1, 2 order by 1, 2
         on conflict (client_id, provider_npi) {ADD}"
    );
    for sql in [spans, totals] {
        sqlx::query(&sql).execute(&mut *conn).await?;
    }
    conn.execute("truncate stage_provider_spans").await?;
    Ok(())
}

/// A client's providers with the highest net fees, of all days or of those from and to these, both inclusive.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn top(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    from: Option<Date>,
    to: Option<Date>,
    limit: i64,
) -> Result<Vec<Provider>, sqlx::Error> {
    if from.is_none() && to.is_none() {
        return sqlx::query_as(
            "select provider_npi, claims, lines, net_fee_minor::text as net_fee_minor from provider_totals t
             where client_id = $1 and claims > 0
             order by t.net_fee_minor desc, provider_npi limit $2",
        )
        .bind(client_id)
        .bind(limit)
        .fetch_all(on)
        .await;
    }
    let (levels, spans): (Vec<i16>, Vec<i32>) =
        spans::cover(days(from.unwrap_or(FIRST)), days(to.unwrap_or(Date::MAX))).into_iter().unzip();
    // The `offset` makes it one look into the key for each span, whatever the planner believes of their sizes.
    sqlx::query_as(
        "select p.provider_npi, sum(p.claims)::bigint as claims, sum(p.lines)::bigint as lines,
                sum(p.net_fee_minor)::text as net_fee_minor
         from unnest($2::smallint[], $3::int[]) as t (level, span)
         cross join lateral (
             select provider_npi, claims, lines, net_fee_minor from provider_spans s
             where s.client_id = $1 and s.level = t.level and s.span = t.span offset 0
         ) p
         group by p.provider_npi having sum(p.claims) > 0
         order by sum(p.net_fee_minor) desc, 1 limit $4",
    )
    .bind(client_id)
    .bind(&levels)
    .bind(&spans)
    .bind(limit)
    .fetch_all(on)
    .await
}

/// The first day that a file can name.
const FIRST: Date = jiff::civil::date(1, 1, 1);

fn days(date: Date) -> i32 {
    (date - jiff::civil::date(2000, 1, 1)).get_days()
}

/// A provider whose sum is not what its claims say.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ProviderMismatch {
    /// Whose.
    pub client_id: ClientId,
    /// The provider.
    pub provider_npi: String,
    /// In cents, as it is kept.
    #[sqlx(try_from = "String")]
    pub kept_minor: Sum,
    /// In cents, as its claims add up.
    #[sqlx(try_from = "String")]
    pub counted_minor: Sum,
}

/// Looks at so many providers, picked at random, and says whose sums are not what their claims say. One statement sees one
/// moment, so this holds while claims come and go.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn miscounted(on: impl PgExecutor<'_>, sample: i64) -> Result<Vec<ProviderMismatch>, sqlx::Error> {
    sqlx::query_as(
        "select s.client_id, s.provider_npi, s.net_fee_minor::text as kept_minor, c.net::text as counted_minor
         from (select * from provider_totals order by random() limit $1) s
         cross join lateral (
             select count(*) as claims, coalesce(sum(c.lines), 0)::bigint as lines, coalesce(sum(c.net_fee_minor), 0) as net
             from claims c left join uploads u on u.id = c.upload_id
             where c.client_id = s.client_id and c.provider_npi = s.provider_npi and c.state <> 'void'
               and (u.id is null or u.state = 'completed')
         ) c
         where (s.claims, s.lines, s.net_fee_minor) is distinct from (c.claims, c.lines, c.net)",
    )
    .bind(sample)
    .fetch_all(on)
    .await
}
