//! Sending, as often as it takes: a connection that drops in mid-body costs time, not the upload.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use gristmill_pipelines::Kind;
use gristmill_uploads::{OnDuplicate, Policy, State, Upload};
use reqwest::{Method, StatusCode, header};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{said::SaidOfFile, source::Source};
use crate::client::{api::Api, error::Failure, human, progress::Meter, watch};

/// The waits before the file is sent again.
const WAITS: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How long the server may take to notice that the body it is receiving has broken off.
const BROKEN_BODY_TIMEOUT: Duration = Duration::from_secs(90);

/// What to send, and how.
pub(super) struct UploadRequest<'a> {
    pub(super) source: &'a Source,
    pub(super) kind: Kind,
    pub(super) policy: Policy,
    pub(super) on_duplicate: OnDuplicate,
    pub(super) force: bool,
    pub(super) said: &'a SaidOfFile,
    pub(super) profile: Option<&'a str>,
    pub(super) follow: bool,
}

/// What the server has.
pub(super) struct ServerUpload {
    pub(super) upload: Upload,
    /// It is the one that the same file made before.
    pub(super) same: bool,
}

/// What became of a request whose answer is lost.
enum Fate {
    /// The server has the file, and this came of it.
    Taken(Box<Upload>),
    /// A part of the file arrived; nothing of it stays.
    Dropped,
    /// The server does not know of it.
    Unknown,
}

impl UploadRequest<'_> {
    pub(super) async fn run(&self, api: &Api, meter: &Arc<Meter>) -> anyhow::Result<ServerUpload> {
        let mut key = new_key();
        let mut waits = WAITS.iter();
        loop {
            let failure = match self.attempt(api, &key, meter).await {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            if let Some(error) = self.source.failure() {
                return Err(error).with_context(|| format!("cannot read {}", self.source));
            }
            // Nobody was there to begin with: that is a wrong address rather than a restart.
            let nobody = matches!(failure, Failure::Unreachable { .. }) && waits.len() == WAITS.len();
            if nobody || !failure.is_passing() {
                return Err(failure.into());
            }
            let Some(wait) = waits.next() else {
                return Err(
                    anyhow::Error::from(failure).context(format!("given up after {} attempts", WAITS.len() + 1))
                );
            };
            meter.note(format!("{}: trying again in {}", watch::brief(&failure), human::duration(*wait)));
            sleep(*wait).await;
            match fate(api, &key).await? {
                Fate::Taken(upload) => return Ok(ServerUpload { upload: *upload, same: false }),
                Fate::Dropped => key = new_key(),
                Fate::Unknown => {}
            }
            if !self.source.repeats() {
                return Err(anyhow::Error::from(failure).context(format!(
                    "{} cannot be read twice, so it was not sent again; nothing of it stays",
                    self.source
                )));
            }
        }
    }

    /// Sends it with a key that is always its own: what the server has of it is not sent again. Tries it once.
    pub(super) async fn once(&self, api: &Api, key: &str, meter: &Arc<Meter>) -> Result<ServerUpload, Failure> {
        match fate(api, key).await? {
            Fate::Taken(upload) => Ok(ServerUpload { upload: *upload, same: true }),
            Fate::Dropped | Fate::Unknown => self.attempt(api, key, meter).await,
        }
    }

    async fn attempt(&self, api: &Api, key: &str, meter: &Arc<Meter>) -> Result<ServerUpload, Failure> {
        meter.begin();
        let body = self.source.body(meter).await;
        let mut request = api
            .request(Method::POST, "v1/uploads", &self.query())
            .header("idempotency-key", key)
            .header(header::CONTENT_TYPE, self.source.media_type());
        if let Some(encoding) = self.source.encoding() {
            request = request.header(header::CONTENT_ENCODING, encoding);
        }
        if let Some(bytes) = self.source.bytes() {
            request = request.header(header::CONTENT_LENGTH, bytes);
        }
        let _spotter = self.follow.then(|| {
            let spotting = spot(api.clone(), key.to_owned(), meter.clone());
            AbortOnDropHandle::new(tokio::spawn(spotting))
        });
        let response = api.send(request.body(body)).await?;
        meter.sent_whole();
        let same = response.status() == StatusCode::OK;
        Ok(ServerUpload { upload: api.json(response).await?, same })
    }

    fn query(&self) -> Vec<(&str, &str)> {
        let mut query = vec![("kind", <&str>::from(self.kind)), ("policy", <&str>::from(self.policy))];
        if self.on_duplicate != OnDuplicate::default() {
            query.push(("on_duplicate", self.on_duplicate.into()));
        }
        query.extend(self.profile.map(|name| ("profile", name)));
        query.extend(self.source.name().map(|name| ("filename", name)));
        query.extend(self.force.then_some(("force", "true")));
        query.extend(self.said.parameters());
        query
    }
}

fn new_key() -> String {
    format!("cli-{}", Uuid::new_v4())
}

/// While the file is sent its first rows are loaded: looks for the upload until it is there, and follows it.
async fn spot(api: Api, key: String, meter: Arc<Meter>) {
    loop {
        sleep(Duration::from_millis(200)).await;
        if let Ok(Some(upload)) = api.upload_by_key(&key).await {
            let id = upload.id;
            meter.learn(upload);
            // It only shows something: whoever sends the file finds out what is wrong.
            let _ = watch::follow(&api, id, &meter).await;
            return;
        }
    }
}

async fn fate(api: &Api, key: &str) -> Result<Fate, Failure> {
    let until = Instant::now() + BROKEN_BODY_TIMEOUT;
    loop {
        let upload = match api.upload_by_key(key).await {
            Ok(Some(upload)) => upload,
            Ok(None) => return Ok(Fate::Unknown),
            // Then the next attempt fails as well, and waits longer.
            Err(failure) if failure.is_passing() => return Ok(Fate::Unknown),
            Err(failure) => return Err(failure),
        };
        match upload.state {
            State::Receiving if Instant::now() < until => sleep(Duration::from_millis(300)).await,
            State::Receiving => return Ok(Fate::Dropped),
            State::Failed if upload.received_at.is_none() => return Ok(Fate::Dropped),
            _ => return Ok(Fate::Taken(Box::new(upload))),
        }
    }
}
