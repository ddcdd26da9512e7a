//! Files: the list, and one with its map of chunks.

mod reasons;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use futures::future::BoxFuture;
use gristmill_board::{Attention, Cards, Entry, Error, Frames, Page, PageBody, Pages, Person, Samples, Visit};
use gristmill_core::{ClientId, ids};
use gristmill_pipelines::Kind;
use gristmill_platform::keys;
use gristmill_queue::JobId;
use gristmill_uploads::{State, Upload, UploadId, read};
use http::Uri;
use jiff::Timestamp;
use strum::VariantNames as _;

use crate::dashboard::{Dashboard, actions, app::App, format, uploads};

const PAGE: u32 = 50;

/// Files: the list, and one with its map of chunks.
pub(in crate::dashboard) struct UploadPages(pub(in crate::dashboard) App);

impl Page for UploadPages {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("uploads", "Uploads").with_key('u'))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        Box::pin(async move {
            match visit.rest()[..] {
                [] => list(&self.0, visit).await,
                [id] => one(&self.0, visit, id).await,
                _ => Ok(None),
            }
        })
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/uploads", get(frame).post(uploads::receive))
            .route("/uploads/{id}/rejects.csv", get(uploads::rejects))
            .with_state(Arc::clone(&self.0))
    }

    fn actions(&self) -> Router {
        Router::new()
            .route("/uploads/{id}/cancel", post(actions::uploads::remove))
            .route("/uploads/{id}/undo", post(actions::uploads::remove))
            .with_state(Arc::clone(&self.0))
    }

    fn attention(&self) -> BoxFuture<'_, Result<Vec<Attention>, Error>> {
        Box::pin(async move {
            let stuck: i64 =
                sqlx::query_scalar("select count(*) from uploads where state = 'processing' and detail is not null")
                    .fetch_one(&self.0.pool)
                    .await?;
            let (one, many) = ("upload does not add up and is not closed", "uploads do not add up and are not closed");
            Ok(counted(stuck, one, many, "/uploads?state=processing").into_iter().collect())
        })
    }

    fn cards<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Cards, Error>> {
        Box::pin(async move {
            let rate = self.0.rows.last().unwrap_or_default();
            let uploads = read::recent(&self.0.pool, &read::Filter { limit: 6, ..read::Filter::default() }).await?;
            let tile = self.0.rows.tile("Rows/s", "/s", &format::rate(rate), "")?;
            Ok(Cards::default().with_tile(tile).with_section(Newest { visit, uploads }.render()?))
        })
    }
}

/// What is said of so many things that somebody should look at; none where there are none.
pub(super) fn counted(n: i64, one: &str, many: &str, to: &'static str) -> Option<Attention> {
    let what = format!("{} {}", format::count(n), if n == 1 { one } else { many });
    (n > 0).then(|| Attention::new(what, to))
}

/// The page itself, where its address has other methods.
async fn frame(person: Person, frames: Frames, uri: Uri) -> Response {
    frames.show(&person, &uri).await
}

/// Counts the rows that were read, for the line over an hour; until nobody has the dashboard any more.
pub(in crate::dashboard) async fn sample(dashboard: Weak<Dashboard>) {
    let mut last: Option<(Instant, i64)> = None;
    let mut clock = tokio::time::interval(Samples::EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        let Some(app) = dashboard.upgrade() else { return };
        match rows_read(&app).await {
            Ok(read) => {
                let now = Instant::now();
                let rate = last.replace((now, read)).map_or(0.0, |(then, before)| {
                    (read - before).max(0) as f64 / now.duration_since(then).as_secs_f64().max(0.001)
                });
                app.rows.push(rate);
            }
            Err(error) => tracing::warn!(%error, "the dashboard cannot count rows"),
        }
    }
}

/// Of the uploads of the last two days.
async fn rows_read(app: &App) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select coalesce(sum(rows_read), 0)::bigint from upload_progress where upload_id >= $1")
        .bind(ids::younger_than(Duration::from_secs(172_800)))
        .fetch_one(&app.pool)
        .await
}

#[derive(Template)]
#[template(path = "newest_uploads.html")]
struct Newest<'a> {
    visit: &'a Visit,
    uploads: Vec<(String, Upload)>,
}

#[derive(Template)]
#[template(path = "uploads.html")]
struct List<'a> {
    visit: &'a Visit,
    uploads: Vec<(String, Upload)>,
    state: &'a str,
    pages: Pages,
    clients: Vec<(ClientId, String)>,
    kinds: &'static [&'static str],
}

async fn list(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let filter = read::Filter {
        state: asked.value("state"),
        before: asked.value("before"),
        limit: PAGE + 1,
        ..read::Filter::default()
    };
    let mut uploads = read::recent(&app.pool, &filter).await?;
    let more = uploads.len() > PAGE as usize;
    uploads.truncate(PAGE as usize);
    let pages = Pages::of(asked, uploads.last().filter(|_| more).map(|(_, last)| last.id));
    let page = List {
        visit,
        uploads,
        state: asked.text("state"),
        pages,
        clients: keys::clients(&app.pool).await?,
        kinds: Kind::VARIANTS,
    };
    PageBody::of("Uploads", &page)
}

#[derive(Template)]
#[template(path = "upload.html")]
struct One<'a> {
    visit: &'a Visit,
    upload: Upload,
    client: String,
    cells: Vec<Cell>,
    rate: Option<f64>,
    left: Option<f64>,
    reasons: Vec<reasons::Reason>,
    last_row_at: Option<Timestamp>,
}

impl One<'_> {
    /// It has not ended yet, one way or the other.
    fn under_way(&self) -> bool {
        matches!(self.upload.state, State::Receiving | State::Processing)
    }
}

/// A chunk on the map.
struct Cell {
    tone: &'static str,
    title: String,
    job: Option<JobId>,
}

#[derive(sqlx::FromRow)]
struct Chunk {
    no: i32,
    first_line: i64,
    bytes: i64,
    rows_read: Option<i64>,
    rejected: Option<i64>,
    duplicate: Option<i64>,
    done_at: Option<jiff_sqlx::Timestamp>,
}

async fn one(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let Ok(id) = id.parse::<UploadId>() else { return Ok(None) };
    let Some(upload) = read::by_id(&app.pool, id).await? else { return Ok(None) };
    let client: String =
        sqlx::query_scalar("select c.name from uploads u join clients c on c.id = u.client_id where u.id = $1")
            .bind(id)
            .fetch_one(&app.pool)
            .await?;
    let chunks: Vec<Chunk> = sqlx::query_as(
        "select no, first_line, bytes, rows_read, rejected, duplicate, done_at from chunks where upload_id = $1 order by no",
    )
    .bind(id)
    .fetch_all(&app.pool)
    .await?;
    let last_row_at = chunks.iter().filter_map(|chunk| chunk.done_at).map(jiff_sqlx::Timestamp::to_jiff).max();
    let jobs = jobs(app, &upload).await?;
    let cells = chunks.iter().map(|chunk| cell(chunk, jobs.get(&chunk.no))).collect();
    let (rate, left) = pace(&upload, last_row_at);
    let title = upload.filename.clone().unwrap_or_else(|| format::short(upload.id));
    let page =
        One { visit, client, cells, rate, left, reasons: reasons::of(&app.pool, &upload).await?, last_row_at, upload };
    PageBody::of(title, &page)
}

/// What is known of a chunk that is not done.
struct Work {
    job: JobId,
    state: String,
    worker: Option<String>,
}

/// The jobs of chunks that are not done, by the chunk's number.
async fn jobs(app: &App, upload: &Upload) -> Result<HashMap<i32, Work>, Error> {
    if !matches!(upload.state, State::Receiving | State::Processing) {
        return Ok(HashMap::new());
    }
    let found: Vec<(JobId, i32, String)> = sqlx::query_as(
        "select j.id, (j.payload->>'no')::int, j.state
         from gristmill.jobs j join uploads u on u.group_id = j.group_id
         where u.id = $1 and j.state <> 'completed' and j.payload ? 'no'",
    )
    .bind(upload.id)
    .fetch_all(&app.pool)
    .await?;
    let workers = app.queue.workers().await.unwrap_or_default();
    let running: HashMap<&str, &str> = workers
        .iter()
        .flat_map(|worker| worker.lines.iter().map(move |line| (worker.label.as_str(), line)))
        .flat_map(|(label, line)| line.running.iter().map(move |running| (running.id.as_str(), label)))
        .collect();
    let work = |job: JobId, state| Work {
        worker: running.get(job.to_string().as_str()).map(|worker| (*worker).to_owned()),
        job,
        state,
    };
    Ok(found.into_iter().map(|(job, no, state)| (no, work(job, state))).collect())
}

fn cell(chunk: &Chunk, work: Option<&Work>) -> Cell {
    let place =
        format!("chunk {} · line {} · {}", chunk.no, format::count(chunk.first_line), format::bytes(chunk.bytes));
    let (tone, what) = match (chunk.done_at.and(chunk.rows_read), work) {
        (Some(rows), _) => {
            let bad = chunk.rejected.unwrap_or(0) + chunk.duplicate.unwrap_or(0);
            let bad_rows = if bad > 0 { format!(", {} of them not taken", format::count(bad)) } else { String::new() };
            (if bad > 0 { "flawed" } else { "done" }, format!("{} rows{bad_rows}", format::count(rows)))
        }
        (None, Some(Work { state, .. })) if state == "dead" || state == "parked" => ("dead", state.clone()),
        (None, Some(Work { worker: Some(worker), .. })) => ("running", format!("run by {worker}")),
        (None, Some(_)) => ("waiting", "waiting".to_owned()),
        (None, None) => ("calm", "not taken".to_owned()),
    };
    Cell { tone, title: format!("{place} · {what}"), job: work.map(|work| work.job) }
}

/// Rows a second since the first one, and how long the rest takes.
fn pace(upload: &Upload, last: Option<Timestamp>) -> (Option<f64>, Option<f64>) {
    let running = matches!(upload.state, State::Receiving | State::Processing);
    let end = if running { Some(Timestamp::now()) } else { last };
    let Some((first, end)) = Some(upload.created_at).zip(end) else { return (None, None) };
    let took = end.duration_since(first).as_secs_f64();
    if took <= 0.0 || upload.rows.read == 0 {
        return (None, None);
    }
    let rate = upload.rows.read as f64 / took;
    let chunks = upload.chunks;
    let left =
        (running && chunks.done > 0).then(|| took * (chunks.total - chunks.done).max(0) as f64 / chunks.done as f64);
    (Some(if running { steady(rate) } else { rate }), left.map(f64::ceil))
}

/// Two digits of it: while a file runs its rate changes with every look, and steps keep the page still.
fn steady(rate: f64) -> f64 {
    let mut step = 1.0;
    while rate / step >= 100.0 {
        step *= 10.0;
    }
    (rate / step).round() * step
}

#[cfg(test)]
mod tests {
    use super::steady;

    #[test]
    fn a_slow_file_has_a_rate_too() {
        assert_eq!(
            [0.4, 7.2, 99.4, 205.0, 43_935.0, 1_234_567.0].map(steady),
            [0.0, 7.0, 99.0, 210.0, 44_000.0, 1_200_000.0]
        );
    }
}
