//! Dead letters, by what they died of.

use askama::Template;
use gristmill_queue::JobId;

use crate::{Error, board::App, format, frame::PageBody, visit::Visit};

#[derive(Template)]
#[template(path = "dead.html")]
struct Page<'a> {
    visit: &'a Visit,
    causes: Vec<Cause>,
    /// There may be more than were looked at.
    more: bool,
}

/// Dead and parked jobs that look alike.
#[derive(sqlx::FromRow)]
struct Cause {
    name: String,
    queue: String,
    state: String,
    error: String,
    jobs: i64,
    newest: JobId,
    last: Option<jiff_sqlx::Timestamp>,
}

impl Cause {
    /// The same as a question to the list of jobs.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("state", &self.state).append_pair("name", &self.name);
        query.append_pair("queue", &self.queue).append_pair("error", &self.error);
        query.finish()
    }
}

/// The newest of them are looked at.
const LOOKED_AT: i64 = 10_000;

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    // Errors that differ in their numbers alone belong together; so the text is cut where the first one stands.
    let causes: Vec<Cause> = sqlx::query_as(app.queue.schema().sql(
        "select name, queue, state, error, count(*) as jobs, (array_agg(id order by id desc))[1] as newest,
                max(finished_at) as last
         from (
            select id, name, queue, state, finished_at,
                   coalesce(nullif(rtrim(substring(left(split_part(last_error, E'\\n', 1), 160) from '^[^0-9]*')), ''),
                            left(split_part(last_error, E'\\n', 1), 40), '') as error
            from gristmill.jobs where state in ('dead', 'parked') order by id desc limit $1
         ) d
         group by name, queue, state, error order by count(*) desc, name limit 100",
    ))
    .bind(LOOKED_AT)
    .fetch_all(app.queue.pool())
    .await?;
    let more = causes.iter().map(|cause| cause.jobs).sum::<i64>() >= LOOKED_AT;
    PageBody::of("Dead letters", &Page { visit, causes, more })
}
