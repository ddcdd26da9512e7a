//! One upload while it arrives: opened by its header, fed with chunks, and ended one way or the other.

use std::time::{Duration, Instant};

use gristmill_pipelines::{Chunk, Dialect, Reading};
use gristmill_queue::{Enqueued, GroupId, GroupPolicy, JobSpec, NewGroup, trace};
use sqlx::types::Json;
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

use super::{
    NewUpload, ReceiveError, ReceiveOutcome, UploadService,
    dedup::PossibleCopy,
    ledger_writer,
    ledger_writer::{Cut, Members, StoredChunk},
    retry::retry_through_outage,
};
use crate::{
    State, Upload, UploadId, client_limits,
    jobs::{CloseUpload, FailUpload},
    read,
    state::{self, End},
};

/// How often the receiving process writes its heartbeat; the scheduler fails an upload that missed five.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
/// How often, and for how long, it is tried to write down why an upload failed.
const REASON_RETRY_INTERVAL: Duration = Duration::from_secs(1);
const REASON_RETRY_LIMIT: Duration = Duration::from_secs(600);

/// Bytes after which the client's other uploads under way are counted again.
const QUOTA_CHECK_BYTES: u64 = 128 << 20;

/// A file that has come to its end, as it was counted on its way.
pub(super) struct ReceivedFile {
    pub(super) bytes: u64,
    /// Of its text, where that is not as it was sent.
    pub(super) text_bytes: u64,
    pub(super) lines: u64,
    pub(super) sha256: [u8; 32],
    pub(super) dialect: Dialect,
}

/// The header of a file that begins to arrive.
pub(super) struct Header<'a> {
    pub(super) raw: &'a [u8],
    /// Bytes of the text up to the end of its line.
    pub(super) bytes: u64,
    /// What is known by now of how the file is written.
    pub(super) dialect: &'a Dialect,
}

/// What the client says of a file, as it is kept: `None`, if nothing.
pub(super) fn said(new: &NewUpload) -> Option<String> {
    Some(new.said.to_string()).filter(|said| !said.is_empty())
}

/// How a file is written, as it is kept: nothing of a plain one.
fn kept(dialect: &Dialect) -> (Option<Json<&Dialect>>, Option<Json<Reading>>) {
    let reading = dialect.reading();
    ((!dialect.is_plain()).then_some(Json(dialect)), (reading != Reading::default()).then_some(Json(reading)))
}

pub(super) struct UploadSession {
    service: UploadService,
    new: NewUpload,
    id: UploadId,
    header_bytes: u64,
    next: i32,
    /// Bytes of the file so far.
    bytes: u64,
    /// Bytes that the client's files may have together before they are closed.
    max_under_way: u64,
    /// Bytes of the file at which it is asked again what else of the client is under way.
    ask_at: u64,
    chunks: Option<mpsc::Sender<Cut>>,
    ledger: JoinHandle<Result<Vec<StoredChunk>, ReceiveError>>,
    alive: JoinHandle<()>,
}

impl UploadSession {
    /// The header was accepted: the upload exists from now on.
    pub(super) async fn open(
        service: &UploadService,
        new: &NewUpload,
        Header { raw: header, bytes: header_bytes, dialect }: Header<'_>,
    ) -> Result<Self, ReceiveError> {
        let id = UploadId::from(Uuid::now_v7());
        let (shown, reading) = kept(dialect);
        let mut tx = service.pool.begin().await?;
        let group = service
            .queue
            .create_group(
                &mut tx,
                NewGroup {
                    on_complete: Some(JobSpec::of(&CloseUpload { upload_id: id })?.client(new.client_id)),
                    on_failure: Some(JobSpec::of(&FailUpload { upload_id: id })?.client(new.client_id)),
                    name: Some("upload".into()),
                    client_id: Some(new.client_id),
                    ..NewGroup::new(GroupPolicy::FailFast)
                },
            )
            .await?;
        let inserted = sqlx::query_as(
            "insert into uploads (id, client_id, kind, policy, filename, state, forced, idempotency_key, group_id,
                                  header, header_bytes, max_record_bytes, first_block, said, dialect, reading, on_duplicate)
             values ($1, $2, $3, $4, $5, 'receiving', $6, $7, $8, $9, $10, $11, 0, $12, $13, $14, $15)
             returning (select max_bytes_under_way from client_limits where client_id = $2),
                 (select coalesce(sum(coalesce(o.text_bytes, o.bytes, (select sum(c.bytes) from chunks c where c.upload_id = o.id))), 0)::bigint
                  from uploads o where o.client_id = $2 and o.state in ('receiving', 'processing'))",
        )
        .bind(id)
        .bind(new.client_id)
        .bind(new.kind.to_string())
        .bind(<&str>::from(new.policy))
        .bind(&new.filename)
        .bind(new.force)
        .bind(&new.idempotency_key)
        .bind(group)
        .bind(header)
        .bind(header_bytes.cast_signed())
        .bind(i64::try_from(service.limits.max_record_bytes).unwrap_or(i64::MAX))
        .bind(said(new))
        .bind(shown)
        .bind(reading)
        .bind(<&str>::from(new.on_duplicate))
        .fetch_one(&mut *tx)
        .await;
        let (own_limit, others): (Option<i64>, i64) = match inserted {
            Err(sqlx::Error::Database(error)) if error.constraint() == Some("uploads_idempotency_key") => {
                return Err(ReceiveError::KeyInFlight);
            }
            other => other?,
        };
        sqlx::query("insert into upload_progress (upload_id) values ($1)").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;

        let max_under_way = own_limit.map_or(service.limits.max_bytes_under_way, i64::unsigned_abs);
        let (chunks, cut) = mpsc::channel(1);
        let copy = PossibleCopy::new(new, header);
        let members = Members { upload_id: id, client_id: new.client_id, group };
        Ok(Self {
            ledger: tokio::spawn(trace::carry(ledger_writer::enter(service.clone(), members, copy, cut))),
            alive: tokio::spawn(send_heartbeats(service.clone(), id)),
            service: service.clone(),
            new: new.clone(),
            id,
            header_bytes,
            next: 0,
            bytes: header_bytes,
            max_under_way,
            ask_at: max_under_way.saturating_sub(others.unsigned_abs()).min(QUOTA_CHECK_BYTES),
            chunks: Some(chunks),
        })
    }

    /// How its amounts and dates are written is known: before its first chunk, so that each is read alike.
    pub(super) async fn values(&self, dialect: &Dialect) -> Result<(), ReceiveError> {
        let update = async |_| {
            let (dialect, reading) = kept(dialect);
            let update = sqlx::query("update uploads set dialect = $2, reading = $3 where id = $1");
            update.bind(self.id).bind(dialect).bind(reading).execute(&self.service.pool).await?;
            Ok(())
        };
        retry_through_outage(update).await
    }

    /// Takes the next chunk; waits while enough are under way, of this upload or of all of them.
    pub(super) async fn chunk(&mut self, chunk: Chunk) -> Result<(), ReceiveError> {
        self.bytes += chunk.data.len() as u64;
        self.heed_the_clients_limit().await?;
        let no = self.next;
        self.next += 1;
        let sent = match &self.chunks {
            Some(chunks) => {
                let memory = self.service.memory.take(chunk.data.len()).await;
                chunks.send(Cut { no, chunk, memory }).await.is_ok()
            }
            None => false,
        };
        if sent {
            return Ok(());
        }
        // The ledger's task is over before the file is: it says why.
        self.chunks = None;
        match joined((&mut self.ledger).await) {
            Ok(_) => Err(ReceiveError::Cancelled { upload_id: self.id }),
            Err(error) => Err(error),
        }
    }

    /// Other files of the client may end meanwhile, so it is asked now and then, and before anything is refused.
    async fn heed_the_clients_limit(&mut self) -> Result<(), ReceiveError> {
        if self.bytes <= self.ask_at {
            return Ok(());
        }
        let under_way = async |_| Ok(client_limits::under_way(&self.service.pool, self.new.client_id, self.id).await?);
        let others = retry_through_outage(under_way).await?;
        let left = self.max_under_way.saturating_sub(others);
        if self.bytes > left {
            return Err(ReceiveError::TooMuchUnderWay { limit: self.max_under_way, others, upload_id: self.id });
        }
        self.ask_at = left.min(self.bytes + QUOTA_CHECK_BYTES);
        Ok(())
    }

    /// The file arrived whole: from here on it will be done.
    pub(super) async fn finish(mut self, file: ReceivedFile) -> Result<ReceiveOutcome, ReceiveError> {
        self.chunks = None;
        let result = match joined((&mut self.ledger).await) {
            Ok(rest) => self.settle(&rest, &file).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(received) => {
                self.alive.abort();
                Ok(received)
            }
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// `rest` are its chunks that are not entered yet.
    async fn settle(&self, rest: &[StoredChunk], file: &ReceivedFile) -> Result<ReceiveOutcome, ReceiveError> {
        if self.new.is_once()
            && let Some(first) = retry_through_outage(|_| self.same_file(file)).await?
        {
            return Ok(ReceiveOutcome::Same(first));
        }
        let (upload, jobs) = retry_through_outage(|again| self.seal(rest, file, again)).await?;
        self.service.queue.push(jobs).await;
        self.service.events.publish_state(&upload).await;
        tracing::info!(upload_id = %self.id, bytes = file.bytes, header_bytes = self.header_bytes, chunks = self.next, "received");
        Ok(ReceiveOutcome::Accepted(upload))
    }

    /// The upload of the same file, when there is one; then this one is cancelled.
    async fn same_file(&self, file: &ReceivedFile) -> Result<Option<Upload>, ReceiveError> {
        let first = self.service.completed_before(&self.new, file, self.id).await?;
        if let Some(first) = &first {
            self.service.remember(&self.new, first.id).await?;
            self.end(State::Cancelled, "same_file", &format!("the same file as upload {}", first.id)).await?;
            self.service.forget(self.id).await?;
        }
        Ok(first)
    }

    async fn seal(
        &self,
        rest: &[StoredChunk],
        file: &ReceivedFile,
        again: bool,
    ) -> Result<(Upload, Enqueued), ReceiveError> {
        let (dialect, reading) = kept(&file.dialect);
        let mut tx = self.service.pool.begin().await?;
        // From here on its row is locked: it cannot be ended before the commit.
        let group: Option<GroupId> = sqlx::query_scalar(
            "update uploads set state = 'processing', bytes = $2, sha256 = $3, lines = $4, received_at = now(),
                                text_bytes = nullif($5::bigint, $2), dialect = $6, reading = $7
             where id = $1 and state = 'receiving' returning group_id",
        )
        .bind(self.id)
        .bind(file.bytes.cast_signed())
        .bind(&file.sha256[..])
        .bind(file.lines.cast_signed())
        .bind(file.text_bytes.cast_signed())
        .bind(dialect)
        .bind(reading)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(group) = group else {
            let upload = self.find(&mut tx).await?;
            // Only this function says that a file was received: the commit whose answer was lost had taken effect.
            return match upload.received_at {
                Some(_) if again => Ok((upload, Enqueued::default())),
                _ => Err(ReceiveError::Cancelled { upload_id: self.id }),
            };
        };
        let members = Members { upload_id: self.id, client_id: self.new.client_id, group };
        let mut jobs = ledger_writer::enter_in(&self.service, &mut tx, members, rest).await?;
        jobs.merge(self.service.queue.seal_group(&mut tx, group).await?);
        let upload = self.find(&mut tx).await?;
        tx.commit().await?;
        Ok((upload, jobs))
    }

    async fn find(&self, conn: &mut sqlx::PgConnection) -> Result<Upload, ReceiveError> {
        let found = read::by_id(conn, self.id).await?;
        found.ok_or(ReceiveError::Database(sqlx::Error::RowNotFound))
    }

    /// The file will not arrive whole: nothing of it stays. Returns the error, with the upload named.
    pub(super) async fn give_up(mut self, error: ReceiveError) -> ReceiveError {
        self.chunks = None;
        self.ledger.abort();
        self.alive.abort();
        let (reason, error) = match error {
            ReceiveError::Broken { source, .. } => {
                ("incomplete", ReceiveError::Broken { upload_id: Some(self.id), source })
            }
            ReceiveError::TooLarge { limit, .. } => {
                ("too_large", ReceiveError::TooLarge { limit, upload_id: Some(self.id) })
            }
            ReceiveError::Foreign { what, .. } => {
                ("wrong_format", ReceiveError::Foreign { what, upload_id: Some(self.id) })
            }
            ReceiveError::Charset { error, .. } => {
                ("wrong_format", ReceiveError::Charset { error, upload_id: Some(self.id) })
            }
            ReceiveError::Ambiguous { questions, .. } => {
                ("ambiguous", ReceiveError::Ambiguous { questions, upload_id: Some(self.id) })
            }
            ReceiveError::Container { error, .. } => {
                ("bad_container", ReceiveError::Container { error, upload_id: Some(self.id) })
            }
            error @ ReceiveError::TooMuchUnderWay { .. } => ("too_much_under_way", error),
            error @ ReceiveError::Cancelled { .. } => return error,
            error => ("not_stored", error),
        };
        let detail = match &error {
            ReceiveError::Broken { source, .. } => format!("{error}: {source}"),
            other => other.to_string(),
        };
        if let Err(failure) = self.end(State::Failed, reason, &detail).await {
            // The scheduler fails it once its heartbeats have been missing for long enough.
            tracing::warn!(upload_id = %self.id, error = %failure, "a broken upload could not be failed at once");
            tokio::spawn(async move { self.say_why(reason, &detail).await });
        }
        error
    }

    /// The database does not take the end of the upload now, most likely for the same reason that the upload ends for: a
    /// full disk, for instance. That reason is said when it takes it, in place of what the scheduler could know.
    async fn say_why(&self, reason: &str, detail: &str) {
        let since = Instant::now();
        while since.elapsed() < REASON_RETRY_LIMIT {
            tokio::time::sleep(REASON_RETRY_INTERVAL).await;
            if self.end(State::Failed, reason, detail).await.is_err() {
                continue;
            }
            let said = sqlx::query("update uploads set reason = $2, detail = $3 where id = $1 and detail = $4")
                .bind(self.id)
                .bind(reason)
                .bind(detail)
                .bind(state::UNHEARD)
                .execute(&self.service.pool)
                .await;
            if said.is_ok() {
                return;
            }
        }
    }

    async fn end(&self, to: State, reason: &str, detail: &str) -> Result<(), ReceiveError> {
        let mut tx = self.service.pool.begin().await?;
        let end = End { from: &[State::Receiving], to, reason, detail };
        let jobs = state::end(&mut tx, &self.service.queue, self.service.hooks, self.id, end).await?;
        let upload = self.find(&mut tx).await?;
        tx.commit().await?;
        if let Some(jobs) = jobs {
            self.service.queue.push(jobs).await;
            self.service.events.publish_state(&upload).await;
            tracing::info!(upload_id = %self.id, reason, "an upload ended before it was received");
        }
        Ok(())
    }
}

impl Drop for UploadSession {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

fn joined<T>(result: Result<Result<T, ReceiveError>, tokio::task::JoinError>) -> Result<T, ReceiveError> {
    result.unwrap_or_else(|error| Err(ReceiveError::Broken { upload_id: None, source: error.into() }))
}

async fn send_heartbeats(service: UploadService, id: UploadId) {
    // It has just been entered, which says that it is alive.
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    loop {
        tick.tick().await;
        let renewed = sqlx::query("update uploads set alive_at = now() where id = $1 and state = 'receiving'")
            .bind(id)
            .execute(&service.pool)
            .await;
        match renewed {
            Ok(done) if done.rows_affected() == 0 => return,
            Ok(_) => {}
            Err(error) => tracing::warn!(upload_id = %id, %error, "a service could not say that it is alive"),
        }
    }
}
