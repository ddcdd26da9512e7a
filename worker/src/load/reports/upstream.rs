//! A client's own reports: asked one by one where it says, and kept for as long as it says.

use std::time::Duration;

use futures::{StreamExt, stream};
use gristmill_core::ClientId;
use gristmill_pipelines::messages::Credits;
use gristmill_queue::JobError;
use gristmill_webhooks::outbound::{Limits, Outbound};
use http::StatusCode;
use serde::Deserialize;

use crate::Env;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body_bytes: 64 * 1024 };
/// Calls that a chunk makes at a time.
const CONCURRENT_CALLS: usize = 8;
/// Answers that are kept by one statement: what a chunk that fails has asked is not asked again.
const KEPT_AT_ONCE: usize = 64;
const MAX_NAME: usize = 200;

#[derive(Deserialize)]
struct ReportAnswer {
    name: String,
    credit_cost: serde_json::Number,
}

/// A report, or that there is none.
struct Answer {
    id: String,
    report: Option<(String, Credits)>,
}

/// Asks for those of the reports that neither the client has put here nor upstream has told lately. An answer that is
/// neither `200` nor `404` is an error: what a message costs is never guessed.
pub(super) async fn refresh(
    env: &Env,
    client_id: ClientId,
    address: &str,
    max_age: i32,
    ids: &[String],
) -> Result<(), JobError> {
    let stale: Vec<String> = sqlx::query_scalar(
        "select m.id from unnest($2::text[]) as m (id)
         where not exists (
             select from reports r where r.client_id = $1 and r.id = m.id
               and (r.source = 'client' or r.updated_at > now() - make_interval(secs => $3))
         )",
    )
    .bind(client_id)
    .bind(ids)
    .bind(f64::from(max_age))
    .fetch_all(&env.pool)
    .await?;
    let outbound = env.deliverer.outbound().with_limits(LIMITS);
    let mut answers = stream::iter(stale)
        .map(|id| ask(&outbound, address, id))
        .buffer_unordered(CONCURRENT_CALLS)
        .chunks(KEPT_AT_ONCE)
        .boxed();
    while let Some(answers) = answers.next().await {
        let (told, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        keep(env, client_id, told.into_iter().flatten().collect()).await?;
        if let Some(error) = failed.into_iter().find_map(Result::err) {
            return Err(error);
        }
    }
    Ok(())
}

async fn ask(outbound: &Outbound, address: &str, id: String) -> Result<Answer, JobError> {
    // A path's `.` and `..` lead elsewhere, written out or not.
    if matches!(id.as_str(), "." | "..") {
        return Ok(Answer { id, report: None });
    }
    let answer = outbound.get(&address.replace("{id}", &segment(&id))).await?;
    let wrong = |what: String| answer.again(what);
    match answer.status {
        StatusCode::NOT_FOUND => return Ok(Answer { id, report: None }),
        StatusCode::OK if answer.cut => return Err(wrong(format!("report {id}: more than 64 KiB were answered"))),
        StatusCode::OK => {}
        status => return Err(wrong(format!("report {id}: {status} was answered"))),
    }
    let said: ReportAnswer = serde_json::from_slice(&answer.body)
        .map_err(|error| wrong(format!("report {id}: no {{\"name\", \"credit_cost\"}} was answered: {error}")))?;
    let cost = said.credit_cost.to_string().parse();
    let cost = cost.map_err(|error| wrong(format!("report {id}: its credit_cost {} {error}", said.credit_cost)))?;
    let name = said.name.chars().filter(|char| *char != '\0').take(MAX_NAME).collect();
    Ok(Answer { id, report: Some((name, cost)) })
}

/// An id as a part of a path: all but the characters that stand for themselves everywhere (RFC 3986, 2.3) is escaped.
fn segment(id: &str) -> String {
    id.bytes().fold(String::with_capacity(id.len()), |mut path, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            other => path.push_str(&format!("%{other:02X}")),
        }
        path
    })
}

/// What a client has put here meanwhile stays.
async fn keep(env: &Env, client_id: ClientId, mut answers: Vec<Answer>) -> Result<(), sqlx::Error> {
    // in one order, so that chunks that keep the same ones never wait for each other in a circle
    answers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let (mut ids, mut names, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for Answer { id, report } in answers {
        let (name, cost) = report.unzip();
        ids.push(id);
        names.push(name);
        costs.push(cost.map(Credits::twentieths));
    }
    sqlx::query(
        "insert into reports (client_id, id, source, name, credit_cost)
         select $1, a.id, 'upstream', a.name, a.cost
         from unnest($2::text[], $3::text[], $4::bigint[]) as a (id, name, cost)
         on conflict (client_id, id) do update
         set name = excluded.name, credit_cost = excluded.credit_cost, updated_at = now()
         where reports.source = 'upstream'",
    )
    .bind(client_id)
    .bind(ids)
    .bind(names)
    .bind(costs)
    .execute(&env.pool)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("5392-a_b.c~"), "5392-a_b.c~");
        assert_eq!(segment("../a?b#c é%2f"), "..%2Fa%3Fb%23c%20%C3%A9%252f");
    }
}
