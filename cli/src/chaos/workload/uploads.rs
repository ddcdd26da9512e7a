//! A client that sends one small file after another, and sends again what was not answered.

use std::{net::SocketAddr, time::Duration};

use gristmill_pipelines::generate::{self, Options};
use gristmill_uploads::UploadId;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::{SentUpload, Workload, lock};
use crate::chaos::inject::now;

/// Tries of one file: a minute and more when there is nobody.
const TRIES: usize = 150;

pub(super) async fn send(
    apis: &[SocketAddr],
    first: usize,
    key: &str,
    seed: u64,
    workload: &Workload,
    stop: &CancellationToken,
) {
    let mut dice = StdRng::seed_from_u64(seed ^ 0x7570_6c6f_6164 ^ first as u64);
    let client = reqwest::Client::new();
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        let atomic = dice.random_bool(0.3);
        let (bad, duplicates) = if atomic && dice.random_bool(0.5) { (0.0, 0.0) } else { (0.01, 0.01) };
        let rows = dice.random_range(50..1_000);
        let options = Options { rows, bad, duplicates, seed: dice.random(), ..Options::default() };
        let mut file = Vec::new();
        let Ok(counts) = generate::debts(&options, &mut file) else { return };
        let name = format!("chaos-{first}-{number}.csv");
        lock(&workload.uploads).insert(name.clone(), SentUpload { counts, atomic, accepted: None, refused: None });
        let policy = if atomic { "atomic" } else { "partial" };
        for attempt in 0..TRIES {
            let api = apis[(first + attempt) % apis.len()];
            let request = client
                .post(format!("http://{api}/v1/uploads?kind=debts&policy={policy}&filename={name}"))
                .bearer_auth(key)
                .header("idempotency-key", &name)
                .timeout(Duration::from_secs(60))
                .body(file.clone());
            match answer(request).await {
                Answer::Accepted(id) => {
                    if let Some(sent) = lock(&workload.uploads).get_mut(&name) {
                        sent.accepted = Some((id, now()));
                    }
                    break;
                }
                Answer::Refused(said) => {
                    if let Some(sent) = lock(&workload.uploads).get_mut(&name) {
                        sent.refused = Some(said);
                    }
                    break;
                }
                Answer::Later => tokio::time::sleep(Duration::from_millis(400)).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(400..2_500))).await;
    }
}

enum Answer {
    Accepted(UploadId),
    Refused(String),
    /// Nobody answered, or somebody said to try again.
    Later,
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let Ok(response) = request.send().await else { return Answer::Later };
    let status = response.status().as_u16();
    let Ok(body) = response.bytes().await else { return Answer::Later };
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        200 | 202 => match json["id"].as_str().and_then(|id| id.parse().ok()) {
            Some(id) => Answer::Accepted(id),
            None => Answer::Refused(format!("{status} without an id: {json}")),
        },
        // the file was taken in by a process that has died: in some seconds its upload has failed
        409 | 502..=504 => Answer::Later,
        _ => Answer::Refused(format!("{status}: {json}")),
    }
}
