//! What a run bills, and its shards.

use std::{collections::BTreeSet, time::Duration};

use gristmill::Data;
use gristmill_billing::{
    issue,
    jobs::{BillShard, CloseRun, FailRun, PlanRun},
};
use gristmill_clients::{Settings, settings};
use gristmill_core::ClientId;
use gristmill_queue::{Completion, Context, Enqueued, Fence, GroupPolicy, JobError, JobSpec, NewGroup, Options};
use gristmill_uploads::{State, UploadId, state};
use jiff::civil::Date;
use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{close, preview::preview, shards};
use crate::Env;

/// How long a run waits before it looks again whether the client's earlier run has ended.
const RETRY_DELAY: Duration = Duration::from_millis(300);
/// Where the debts are of uploads of before there were segments.
const FIRST_SEGMENT: &str = "(select min(id) from row_segments where table_name = 'debts' and upload_id is null)";
/// A run of fewer bills is never held.
const HARMLESS: i64 = 1_000;

/// Of an upload `u`: its client has cancelled a run since it completed, and has not asked for one since.
pub(super) const LEFT_TO_A_REQUEST: &str = "exists (
    select from billing_runs c where c.client_id = u.client_id and c.state = 'cancelled' and not c.dry_run
      and c.created_at >= u.completed_at
      and not exists (select from billing_runs r where r.client_id = c.client_id and r.id > c.id and r.state = 'completed'
                      and r.cause = 'request' and not r.dry_run))";

#[derive(FromRow)]
pub(super) struct RunRow {
    pub(super) client_id: ClientId,
    cause: String,
    dry_run: bool,
    approved: bool,
}

impl RunRow {
    /// Somebody has asked for it, or let it go on.
    fn is_wanted(&self) -> bool {
        self.cause == "request" || self.approved
    }
}

/// An upload that a run may bill.
#[derive(FromRow)]
pub(super) struct Candidate {
    pub(super) id: UploadId,
    pub(super) rows: i64,
    after: Option<jiff_sqlx::Date>,
    /// Of its own, or else the one that it shares.
    pub(super) segments: Vec<i32>,
    pub(super) shares: bool,
}

impl Candidate {
    /// Postgres unnests an array of arrays whole.
    fn segments_as_text(&self) -> String {
        self.segments.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Plans a run; see the module.
pub(super) async fn plan(job: PlanRun, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    close::attach_cancelled(&env.pool, job.run_id).await?;
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let run: Option<RunRow> = sqlx::query_as(
        "select client_id, cause, dry_run, approved_at is not null as approved from billing_runs
         where id = $1 and state = 'queued' for update",
    )
    .bind(job.run_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(run) = run else { return Err(JobError::Cancelled) };
    if waits(&mut tx, &run, job.run_id).await? {
        return Err(JobError::Snooze(RETRY_DELAY));
    }
    settings::ensure(&mut *tx, run.client_id).await?;
    let settings = settings::find(&mut *tx, run.client_id).await?;
    let now: Timestamp = sqlx::query_scalar("select now()").fetch_one(&mut *tx).await?;
    let today = settings.date_of(now.to_jiff())?;
    let cutoff = today.checked_add(jiff::Span::new().days(settings.days_ahead))?;
    let uploads = take(&mut tx, &run, job.run_id, job.settle_seconds, cutoff).await?;
    sqlx::query(
        "update billing_runs set issued_on = $2, period = $3, cutoff = $4, currency = $5, started_at = now()
         where id = $1",
    )
    .bind(job.run_id)
    .bind(today.to_sqlx())
    .bind(settings.cycle.period(today).to_sqlx())
    .bind(cutoff.to_sqlx())
    .bind(&settings.currency)
    .execute(&mut *tx)
    .await?;
    let mut jobs = if run.dry_run {
        preview(&mut tx, job.run_id, &settings, today).await?;
        Enqueued::default()
    } else if let Some(why) = objection(&env, &mut tx, &run, &settings, job.run_id).await? {
        hold(&mut tx, job.run_id, &why).await?;
        tracing::warn!(client_id = run.client_id.get(), run_id = %job.run_id, why, "a billing run is held");
        Enqueued::default()
    } else {
        start(&env, &mut tx, &run, job.run_id, &uploads).await?
    };
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::Done(more) => jobs.merge(more),
        Completion::AlreadyDone => return Ok(()),
    }
    tx.commit().await?;
    env.queue.push(jobs).await;
    Ok(())
}

/// A client's runs follow each other; a dry run only looks, and waits for nobody.
async fn waits(conn: &mut PgConnection, run: &RunRow, run_id: Uuid) -> Result<bool, sqlx::Error> {
    if run.dry_run {
        return Ok(false);
    }
    sqlx::query_scalar(
        "select exists (select from billing_runs where client_id = $1 and id < $2 and finished_at is null
                        and not dry_run and state in ('queued', 'running'))",
    )
    .bind(run.client_id)
    .bind(run_id)
    .fetch_one(conn)
    .await
}

/// Takes on the uploads that may have debts to bill. From the commit on they cannot be undone; those that are being
/// undone at this moment are waited for, and left out.
async fn take(
    conn: &mut PgConnection,
    run: &RunRow,
    run_id: Uuid,
    settle_seconds: u32,
    cutoff: Date,
) -> Result<Vec<Candidate>, JobError> {
    let settle = if run.is_wanted() { 0 } else { settle_seconds };
    let sql = format!(
        "select u.id from uploads u
         where u.client_id = $1 and u.state = 'completed' and u.kind = 'debts' and u.rows_dropped_at is null
           and (u.billed_through is null and u.completed_at <= now() - $2 * interval '1 second' or u.next_due <= $3)
           and ($4 or not {LEFT_TO_A_REQUEST})
         order by u.id"
    );
    let candidates: Vec<UploadId> = sqlx::query_scalar(&sql)
        .bind(run.client_id)
        .bind(f64::from(settle))
        .bind(cutoff.to_sqlx())
        .bind(run.is_wanted())
        .fetch_all(&mut *conn)
        .await?;
    let mut locked = Vec::with_capacity(candidates.len());
    for upload_id in candidates {
        if state::lock(conn, upload_id).await? == Some(State::Completed) {
            locked.push(upload_id);
        }
    }
    // Behind the locks: until then rows of theirs may be replaced.
    let sql = format!(
        "select u.id, p.accepted - p.superseded as rows, u.billed_through as after, s.ids = '{{}}' as shares,
                case when s.ids = '{{}}' then array[coalesce(p.segment, {FIRST_SEGMENT})] else s.ids end as segments
         from uploads u join upload_progress p on p.upload_id = u.id
         cross join lateral (select array(select id from row_segments where upload_id = u.id order by part)) s (ids)
         where u.id = any($1) order by u.id"
    );
    let uploads: Vec<Candidate> = sqlx::query_as(&sql).bind(&locked).fetch_all(&mut *conn).await?;
    let ids: Vec<UploadId> = uploads.iter().map(|upload| upload.id).collect();
    if !run.dry_run {
        sqlx::query("update uploads set billed_by = $2 where id = any($1)")
            .bind(&ids)
            .bind(run_id)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query("delete from billing_run_uploads where run_id = $1").bind(run_id).execute(&mut *conn).await?;
    sqlx::query(
        "insert into billing_run_uploads (run_id, upload_id, after, rows, segments)
         select $1, id, after, rows, string_to_array(segments, ',')::int[]
         from unnest($2::uuid[], $3::date[], $4::bigint[], $5::text[]) u (id, after, rows, segments)",
    )
    .bind(run_id)
    .bind(&ids)
    .bind(uploads.iter().map(|upload| upload.after).collect::<Vec<_>>())
    .bind(uploads.iter().map(|upload| upload.rows).collect::<Vec<_>>())
    .bind(uploads.iter().map(Candidate::segments_as_text).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(uploads)
}

/// Why the run must ask before it goes on. Who asked for a run has said how he wants it.
async fn objection(
    env: &Env,
    conn: &mut PgConnection,
    run: &RunRow,
    settings: &Settings,
    run_id: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    if run.is_wanted() {
        return Ok(None);
    }
    if let Some(why) = too_many(conn, run, settings, run_id).await? {
        return Ok(Some(why));
    }
    let samples =
        "its bills would be samples, which are never mailed: set `issuer` by PUT /v1/settings, then approve it";
    Ok((env.mailer.sends() && issue::is_sample(settings)).then(|| samples.to_owned()))
}

/// What is said of a run that would make far more bills than usual.
async fn too_many(
    conn: &mut PgConnection,
    run: &RunRow,
    settings: &Settings,
    run_id: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    let usual: Option<f64> = sqlx::query_scalar(
        "select avg(bills)::float8 from (select bills from billing_runs where client_id = $1 and state = 'completed'
            and not dry_run and bills > 0 order by id desc limit 10) r",
    )
    .bind(run.client_id)
    .fetch_one(&mut *conn)
    .await?;
    let Some(usual) = usual else { return Ok(None) };
    let bound = (usual * settings.safety_factor).max(HARMLESS as f64);
    let rows: i64 =
        sqlx::query_scalar("select coalesce(sum(rows), 0)::bigint from billing_run_uploads where run_id = $1")
            .bind(run_id)
            .fetch_one(&mut *conn)
            .await?;
    if (rows as f64) <= bound {
        return Ok(None);
    }
    // As many rows as that are not as many bills: count before asking.
    let bills: i64 = sqlx::query_scalar(
        "select count(*) from debts d join billing_run_uploads u on u.run_id = $1 and u.upload_id = d.upload_id
         join billing_runs r on r.id = u.run_id
         where d.client_id = r.client_id and d.due_date <= r.cutoff and (u.after is null or d.due_date > u.after)
           and d.segment = any (array(select unnest(segments) from billing_run_uploads where run_id = $1))",
    )
    .bind(run_id)
    .fetch_one(conn)
    .await?;
    Ok(((bills as f64) > bound).then(|| {
        format!(
            "it would make {bills} bills where the last runs made {usual:.0} on average (the bound is {} times that); \
             approve or cancel it",
            settings.safety_factor
        )
    }))
}

async fn hold(conn: &mut PgConnection, run_id: Uuid, why: &str) -> Result<(), sqlx::Error> {
    // The uploads are free again, to be undone if that was the mistake.
    sqlx::query("update uploads set billed_by = null where billed_by = $1 and billed_through is null")
        .bind(run_id)
        .execute(&mut *conn)
        .await?;
    sqlx::query("update billing_runs set state = 'held', detail = $2, started_at = null where id = $1")
        .bind(run_id)
        .bind(why)
        .execute(conn)
        .await?;
    Ok(())
}

/// Cuts the run's debts into shards, and enqueues them as a group, whose join closes the run.
async fn start(
    env: &Env,
    conn: &mut PgConnection,
    run: &RunRow,
    run_id: Uuid,
    uploads: &[Candidate],
) -> Result<Enqueued, JobError> {
    let client_id = run.client_id;
    let rows: i64 = uploads.iter().map(|upload| upload.rows).sum();
    let group = NewGroup {
        name: Some("billing".into()),
        client_id: Some(client_id),
        on_complete: Some(JobSpec::of(&CloseRun { run_id })?.client(client_id)),
        on_failure: Some(JobSpec::of(&FailRun { run_id, detail: None })?.client(client_id)),
        ..NewGroup::new(GroupPolicy::Continue)
    };
    let group = env.queue.create_group(conn, group).await?;
    let segments: BTreeSet<i32> = uploads.iter().flat_map(|upload| upload.segments.iter().copied()).collect();
    for segment in segments {
        sqlx::query("select make_bills_segment($1)").bind(segment).execute(&mut *conn).await?;
    }
    let shards: Vec<BillShard> = shards::cut(conn, uploads)
        .await?
        .into_iter()
        .zip(0..)
        .map(|((segment, debts), no)| BillShard { run_id, no, segment, debts })
        .collect();
    let options = Options { group: Some(group), client_id: Some(client_id), ..Options::default() };
    let mut jobs = env.queue.enqueue_all(conn, &shards, &options).await?;
    jobs.merge(env.queue.seal_group(conn, group).await?);
    sqlx::query("update billing_runs set state = 'running', group_id = $2, planned = $3 where id = $1")
        .bind(run_id)
        .bind(group)
        .bind(rows)
        .execute(conn)
        .await?;
    Ok(jobs)
}
