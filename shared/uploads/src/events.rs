//! What happens to an upload, live: a Redis stream an upload (history) and one channel for all (news).

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
    streams::StreamRangeReply,
};
use serde::Serialize;

use crate::{Upload, UploadId, upload::State};

/// Events kept an upload, about; a watcher who asks for older ones is told that history was trimmed.
const KEEP: usize = 2_000;
/// Events read at a time: watchers, of whom there may be many, hold no more of the past than that.
const PAGE: usize = 100;
/// How long a stream lives after its last event.
const LIVES: Duration = Duration::from_secs(3_600);

/// KEYS stream, end; ARGV name, data, keep, seconds to live, channel, upload id, what sort of an end. One script: who hears of
/// an event on the channel finds it in the stream, and which event is the newest end. A completed upload may be undone, so a
/// second end counts; that it was completed, told late, is no news behind any end.
static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"if ARGV[7] == 'first' and redis.call('EXISTS', KEYS[2]) == 1 then return '' end
          local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[1], 'd', ARGV[2])
          redis.call('EXPIRE', KEYS[1], ARGV[4])
          if ARGV[7] ~= '' then redis.call('SET', KEYS[2], id) end
          redis.call('EXPIRE', KEYS[2], ARGV[4])
          redis.call('PUBLISH', ARGV[5], ARGV[6] .. ' ' .. id .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
          return id",
    )
});

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Name {
    /// A chunk was committed or the file was received; data: the upload.
    Progress,
    /// Records of a chunk were not taken; data: how many, and examples.
    Rejected,
    /// Closed; data: the upload. The last event, unless the upload is undone.
    Completed,
    /// Failed; data: the upload. The last event.
    Failed,
    /// Cancelled or undone; data: the upload. The last event.
    Cancelled,
}

impl Name {
    /// The event that tells of a state.
    pub const fn of(state: State) -> Self {
        match state {
            State::Receiving | State::Processing => Self::Progress,
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }

    /// What sort of an end it tells, in the words of the script.
    const fn end(self) -> &'static str {
        match self {
            Self::Progress | Self::Rejected => "",
            Self::Completed => "first",
            Self::Failed | Self::Cancelled => "any",
        }
    }
}

/// The events of all uploads.
#[derive(Clone)]
pub struct Events {
    client: Client,
    connection: ConnectionManager,
    namespace: String,
}

/// A page of the past of one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// In their order.
    pub events: Vec<StoredEvent>,
    /// There may be more behind them.
    pub more: bool,
    /// The newest event of all.
    pub newest: Option<StoredEvent>,
    /// Events after the one asked for are gone.
    pub trimmed: bool,
    /// The id of the newest event that tells an end.
    pub end: Option<String>,
}

/// One event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The stream's id: grows with time.
    pub id: String,
    /// The word of a [`Name`].
    pub name: String,
    /// JSON.
    pub data: String,
}

impl Events {
    /// Connects at first use; while Redis is down events are lost, which watchers make good from the database.
    pub fn connect(redis_url: &str, namespace: &str) -> Result<Self, RedisError> {
        let client = Client::open(redis_url)?;
        let config =
            ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(5))).set_number_of_retries(2);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, connection, namespace: namespace.to_owned() })
    }

    /// The client, for a connection that subscribes to [`Events::channel`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The channel on which every event of every upload is told: `<upload id> <event id> <name> <json>`.
    pub fn channel(&self) -> String {
        format!("{}:events", self.namespace)
    }

    fn stream(&self, upload_id: UploadId) -> String {
        format!("{}:events:{upload_id}", self.namespace)
    }

    fn end(&self, upload_id: UploadId) -> String {
        format!("{}:end", self.stream(upload_id))
    }

    /// Tells an event. Never fails: the truth is in the database, so a lost event is logged, not retried.
    pub async fn publish(&self, upload_id: UploadId, name: Name, data: &impl Serialize) {
        let data = match serde_json::to_string(data) {
            Ok(data) => data,
            Err(error) => {
                tracing::error!(%upload_id, %error, "an event that cannot be written as JSON");
                return;
            }
        };
        let told = PUBLISH
            .key(self.stream(upload_id))
            .key(self.end(upload_id))
            .arg(<&str>::from(name))
            .arg(data)
            .arg(KEEP)
            .arg(LIVES.as_secs())
            .arg(self.channel())
            .arg(upload_id.to_string())
            .arg(name.end())
            .invoke_async::<String>(&mut self.connection.clone())
            .await;
        if let Err(error) = told {
            tracing::warn!(%upload_id, event = <&str>::from(name), %error, "an event was not published");
        }
    }

    /// Tells the state an upload is in now.
    pub async fn publish_state(&self, upload: &Upload) {
        self.publish(upload.id, Name::of(upload.state), upload).await;
    }

    /// The events after `last_id` (`"0"`: from the beginning), the first hundred of them.
    ///
    /// # Errors
    /// When Redis does not answer, or `last_id` is not a stream id.
    pub async fn since(&self, upload_id: UploadId, last_id: &str) -> Result<History, RedisError> {
        let mut connection = self.connection.clone();
        let stream = self.stream(upload_id);
        let mut all = redis::pipe();
        all.cmd("XRANGE").arg(&stream).arg(format!("({last_id}")).arg("+").arg("COUNT").arg(PAGE);
        // The entry asked for, or the oldest if it is gone: that is how trimming shows.
        all.cmd("XRANGE").arg(&stream).arg("-").arg("+").arg("COUNT").arg(1);
        all.cmd("XREVRANGE").arg(&stream).arg("+").arg("-").arg("COUNT").arg(1);
        all.cmd("GET").arg(self.end(upload_id));
        let (after, oldest, newest, end): (StreamRangeReply, StreamRangeReply, StreamRangeReply, Option<String>) =
            all.query_async(&mut connection).await?;
        let trimmed = last_id != "0" && oldest.ids.first().is_none_or(|first| order(&first.id) > order(last_id));
        let more = after.ids.len() == PAGE;
        let events = after.ids.into_iter().filter_map(|entry| stored(entry.id, entry.map)).collect();
        let newest = newest.ids.into_iter().find_map(|entry| stored(entry.id, entry.map));
        Ok(History { events, more, newest, trimmed, end })
    }

    /// The id of the newest event that tells an end.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn newest_end(&self, upload_id: UploadId) -> Result<Option<String>, RedisError> {
        redis::cmd("GET").arg(self.end(upload_id)).query_async(&mut self.connection.clone()).await
    }
}

fn stored(id: String, fields: HashMap<String, redis::Value>) -> Option<StoredEvent> {
    let text = |key: &str| fields.get(key).and_then(|value| redis::from_redis_value_ref::<String>(value).ok());
    Some(StoredEvent { id, name: text("e")?, data: text("d")? })
}

/// A stream id, `<milliseconds>-<number>`, as numbers to compare by.
pub fn order(id: &str) -> (u64, u64) {
    let (ms, n) = id.split_once('-').unwrap_or((id, "0"));
    (ms.parse().unwrap_or(0), n.parse().unwrap_or(0))
}
